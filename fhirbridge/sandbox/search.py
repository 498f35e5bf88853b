"""Search: which parameters a type knows, what they mean, in what order results come. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fhirbridge.sandbox import dates, definitions
from fhirbridge.sandbox.outcome import Issue, RefusedError, bad_request
from fhirbridge.sandbox.storage import Version

# HAPI's own default: a client that does not follow the `next` link is found out here already.
DEFAULT_COUNT = 10
LARGEST_COUNT = 1000
_CONTROLS = frozenset({"_count", "_format", "_pretty", "_sort", "_summary", "_total"})
_SORTS = frozenset({"_id", "_lastUpdated"})
_MODIFIERS = frozenset({"Patient"})
_TOKENS = {"identifier": "value", "_tag": "code"}  # and what stands beside the system there

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One search parameter; one of its values must fit."""

    resource_type: str
    name: str
    values: tuple[str, ...]
    modifier: str = ""

    def fits(self, version: Version) -> bool:
        """Tell whether a living version satisfies this criterion."""
        return any(self._fits_one(version, value) for value in self.values)

    def _fits_one(self, version: Version, value: str) -> bool:
        if self.name == "_id":
            return version.id == plain(value)
        if self.name == "_lastUpdated":
            return dates.parse(plain(value), name=self.name).holds(version.updated)
        found = elements(version.resource or {}, definitions.paths(self.resource_type, self.name))
        if self.name in _TOKENS:
            member = _TOKENS[self.name]
            return any(_is_token(element, member, value) for element in found)
        return any(self._points_at(element, plain(value)) for element in found)

    def _points_at(self, element: object, value: str) -> bool:
        reference = element.get("reference") if isinstance(element, Mapping) else None
        if not isinstance(reference, str):
            return False
        # `patient` always means a Patient; a bare id in `subject` means any type of that id.
        wanted_type = "Patient" if self.name == "patient" else self.modifier
        if wanted_type and not reference.startswith(f"{wanted_type}/"):
            return False
        wanted = "/".join(value.split("/")[-2:])
        return reference == wanted if "/" in wanted else reference.endswith(f"/{wanted}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A whole search: what fits, in which order, how many to a page (0: only the total)."""

    criteria: tuple[Criterion, ...]
    count: int
    sort: str

    def select(self, living: Iterable[Version]) -> list[Version]:
        """Return all versions that fit every criterion, in order."""
        found = [version for version in living if fits(version, self.criteria)]
        descending = self.sort.startswith("-")
        match self.sort.removeprefix("-"):
            case "_id":
                found.sort(key=lambda version: version.id, reverse=descending)
            case "_lastUpdated":
                found.sort(key=lambda version: version.updated, reverse=descending)
        return found


def parse(resource_type: str, pairs: Pairs) -> Search:
    """Read a search; raises RefusedError (400) for what it does not know."""
    controls = {name: value for name, value in pairs if name in _CONTROLS}
    rest = [(name, value) for name, value in pairs if name not in _CONTROLS]
    return Search(
        criteria=_criteria(resource_type, rest),
        count=0 if controls.get("_summary") == "count" else count_of(controls.get("_count")),
        sort=_sort(controls.get("_sort", "")),
    )


def match_url(resource_type: str, query: str) -> tuple[Criterion, ...]:
    """Read the query of a conditional request or reference, with or without `Type?` before it.

    Raises RefusedError (400), also where it selects by nothing.
    """
    text = query.removeprefix(f"{resource_type}?").removeprefix("?")
    pairs = parse_qsl(text, keep_blank_values=True)
    if not pairs or "=" not in text:
        raise bad_request(f"a conditional URL of {resource_type} has no search parameters")
    return _criteria(resource_type, pairs)


def fits(version: Version, criteria: Iterable[Criterion]) -> bool:
    """Tell whether a version satisfies all criteria."""
    return all(criterion.fits(version) for criterion in criteria)


def count_of(value: str | None) -> int:
    """Return a page size; a larger one than 1000 is cut. Raises RefusedError (400)."""
    if value is None:
        return DEFAULT_COUNT
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise bad_request("_count is not a whole number")
    return min(int(value), LARGEST_COUNT)


def elements(resource: Mapping[str, Any], paths: Iterable[str]) -> Iterator[object]:
    """Yield what stands at any of the dotted paths; lists are entered."""
    for path in paths:
        found: list[object] = [resource]
        for name in path.split("."):
            found = [item for value in found for item in _children(value, name)]
        yield from found


def split(value: str, separator: str) -> list[str]:
    """Split at each separator that no backslash escapes; the escapes stay in."""
    parts = [""]
    for token in re.findall(r"\\?.|\\", value, re.DOTALL):
        if token == separator:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def plain(value: str) -> str:
    r"""Take FHIR's search escapes out: `\,` is a comma."""
    return re.sub(r"\\([\\,$|])", r"\1", value)


def _children(value: object, name: str) -> list[object]:
    if not isinstance(value, Mapping) or name not in value:
        return []
    child = value[name]
    return child if isinstance(child, list) else [child]


def _is_token(element: object, member: str, value: str) -> bool:
    if not isinstance(element, Mapping):
        return False
    parts = [plain(part) for part in split(value, "|")]
    if len(parts) == 1:
        return bool(element.get(member) == parts[0])
    system_fits = element.get("system", "") == parts[0]
    return bool(system_fits and (parts[1] == "" or element.get(member) == parts[1]))


def _criteria(resource_type: str, pairs: Pairs) -> tuple[Criterion, ...]:
    criteria = tuple(_criterion(resource_type, name, value) for name, value in pairs)
    for criterion in criteria:
        if criterion.name == "_lastUpdated":
            for value in criterion.values:
                dates.parse(plain(value), name=criterion.name)
    return criteria


def _criterion(resource_type: str, parameter: str, value: str) -> Criterion:
    name, _, modifier = parameter.partition(":")
    known = definitions.parameters(resource_type)
    if name not in known:
        raise _unknown(resource_type, known)
    if modifier and (modifier not in _MODIFIERS or name not in {"patient", "subject"}):
        raise bad_request(f"{name} has a modifier that the sandbox does not know")
    if not value:
        # HAPI leaves an empty value out, and so selects everything: too dangerous to copy.
        raise bad_request(f"{name} has no value")
    return Criterion(
        resource_type=resource_type,
        name=name,
        values=tuple(split(value, ",")),
        modifier=modifier,
    )


def _unknown(resource_type: str, known: Iterable[str]) -> RefusedError:
    # The name is not repeated: a URL may hold anything.
    return bad_request(
        f"{resource_type} is searched by a parameter that the sandbox does not know",
        hint=f"it knows {', '.join(known)}",
        issue=Issue.NOT_SUPPORTED,
    )


def _sort(value: str) -> str:
    if value and value.removeprefix("-") not in _SORTS:
        raise bad_request("_sort names a parameter that the sandbox cannot sort by")
    return value
