"""Whether a resource meets one search parameter, as R4 says. Pure."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhirbridge.facade import spans
from fhirbridge.facade.parameters import Kind, Parameter
from fhirbridge.fhir.references import literal

ANY_SYSTEM = "*"  # of a plain code: the element itself says of which system it is
_NAMES = ("family", "given", "text", "prefix", "suffix")
_ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country")


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One parameter of a search: any of its values must be met."""

    name: str
    modifier: str
    parameter: Parameter
    values: tuple[str, ...]  # as they were sent, split at commas; escapes are still there


def meets(body: dict[str, Any], one: Criterion) -> bool:
    """Say whether a resource meets one criterion."""
    elements = [found for path in one.parameter.paths for found in at(body, path)]
    return any(_meets(element, value, one) for element in elements for value in one.values)


def at(body: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a path, each of a list by itself."""
    name, _, rest = path.partition(".")
    found = body.get(name) if isinstance(body, dict) else None
    for each in found if isinstance(found, list) else [found]:
        if each is not None and not rest:
            yield each
        elif each is not None:
            yield from at(each, rest)


def _meets(element: Any, value: str, one: Criterion) -> bool:
    match one.parameter.kind:
        case Kind.TOKEN:
            return _is_token(element, value)
        case Kind.DATE:
            return spans.meets(spans.of_element(element), spans.asked(value))
        case Kind.REFERENCE:
            return _leads_to(element, value, one)
        case Kind.STRING:
            return any(_reads(text, unescaped(value), one.modifier) for text in _texts(element))


def _is_token(element: Any, value: str) -> bool:
    """Compare `code`, `system|code`, `|code` or `system|`."""
    before, bar, after = split_token(value)
    if not bar:
        return any(code == before for _, code in _codes(element))
    if not before and not after:
        return False
    return any(
        system in (before, ANY_SYSTEM) and after in ("", code) for system, code in _codes(element)
    )


def split_token(value: str) -> tuple[str, str, str]:
    """Split a token's text at its bar: (system or code, bar or "", code)."""
    marked = value.replace("\\\\", "\0").replace("\\|", "\1")
    before, bar, after = marked.partition("|")

    def plain(text: str) -> str:
        return unescaped(text.replace("\1", "\\|").replace("\0", "\\\\"))

    return plain(before), bar, plain(after)


def _codes(element: Any) -> Iterator[tuple[str, str]]:
    """Yield (system, code) of a code, a Coding, a CodeableConcept or an Identifier."""
    if isinstance(element, bool):
        yield ANY_SYSTEM, str(element).lower()
    elif isinstance(element, str):
        yield ANY_SYSTEM, element
    elif isinstance(element, dict):
        for coding in element.get("coding", [element]):
            code = coding.get("code", coding.get("value"))
            if isinstance(code, str):
                yield coding.get("system", ""), code


def _leads_to(element: Any, value: str, one: Criterion) -> bool:
    named = literal(element) if isinstance(element, dict) else None
    if named is None:
        return False
    kind, own = split_reference(unescaped(value))
    kind = kind or one.modifier.removeprefix(":")
    return named[1] == own and kind in ("", named[0])


def split_reference(value: str) -> tuple[str, str]:
    """Split `id`, `Type/id` or an address that ends so: (type or "", id)."""
    before, _, own = value.rpartition("/")
    return before.rpartition("/")[2], own


def _reads(text: str, value: str, modifier: str) -> bool:
    if modifier == ":exact":
        return text == value
    plain, wanted = _folded(text), _folded(value)
    return wanted in plain if modifier == ":contains" else plain.startswith(wanted)


def _texts(element: Any) -> Iterator[str]:
    """Yield the texts of a string, a HumanName or an Address."""
    if isinstance(element, str):
        yield element
    elif isinstance(element, dict):
        for name in (*_NAMES, *_ADDRESS):
            found = element.get(name, [])
            yield from [found] if isinstance(found, str) else found


def _folded(text: str) -> str:
    """Return a text without case and accents, as R4 compares strings."""
    apart = unicodedata.normalize("NFKD", text)
    return "".join(one for one in apart if not unicodedata.combining(one)).casefold()


def split_values(text: str) -> tuple[str, ...]:
    """Split at the commas that are not escaped."""
    marked = text.replace("\\\\", "\0").replace("\\,", "\1")
    return tuple(one.replace("\1", "\\,").replace("\0", "\\\\") for one in marked.split(","))


def unescaped(text: str) -> str:
    r"""Return a value without R4's escapes: `\,` `\|` `\$` and `\\`."""
    marked = text.replace("\\\\", "\0")
    for one in (",", "|", "$"):
        marked = marked.replace(f"\\{one}", one)
    return marked.replace("\0", "\\")
