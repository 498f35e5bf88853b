"""R4 invariants that the text of a mapping decides: what would be wrong whenever it is made.

What an expression may leave empty is given the benefit of the doubt; `fhir/invariants.py` judges
what was made.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fhirbridge.translate.faults import Faults
from fhirbridge.translate.skeletons.spelling import is_directive, is_expression, is_nothing
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, Sequence

CODE = "E222"
_ENDED = ("inactive", "resolved", "remission")

Broken = Callable[[Fields], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One invariant: its key in R4, where it holds, what it says."""

    key: str
    at: str
    says: str
    broken: Broken


def check(node: Fields, at: str, faults: Faults) -> None:
    """Note each invariant that an object at `at` ("Observation.component") would break."""
    for rule in RULES:
        if rule.at == at and rule.broken(node):
            faults.add(CODE, node.place, f"{at} breaks {rule.key}: {rule.says}")


def check_contained(resource: Fields, faults: Faults) -> None:
    """Note what is contained and never referred to (dom-3), or referred to and not there (ref-1).

    Where a fragment or an expression makes one of them, nobody can tell here.
    """
    contained = resource.items.get("contained")
    ids = dict(_contained_ids(contained))
    scalars = list(_scalars(resource))
    if any(key == "$use" for key, _ in scalars):
        return
    for own, node in ids.items():
        if not any(f"#{own}" in scalar.text for _, scalar in scalars):
            message = f"breaks dom-3: nothing refers to the contained resource '{own}'"
            faults.add(CODE, node.place, message)
    if contained is not None and not ids:
        return
    for key, scalar in scalars:
        if key == "reference" and scalar.text.startswith("#") and scalar.text[1:] not in ids:
            message = f"breaks ref-1: no contained resource has the id '{scalar.text[1:]}'"
            faults.add(CODE, scalar.place, message)


def _contained_ids(node: Node | None) -> Iterator[tuple[str, Scalar]]:
    for item in node.items if isinstance(node, Sequence) else ():
        own = item.items.get("id") if isinstance(item, Fields) else None
        if isinstance(own, Scalar) and not is_expression(own):
            yield own.text, own


def _scalars(node: Node, key: str = "") -> Iterator[tuple[str, Scalar]]:
    if isinstance(node, Scalar):
        yield key, node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _scalars(item, key)
    else:
        for name, inner in node.items.items():
            yield from _scalars(inner, name)


def _needs(*names: str) -> Broken:
    return lambda node: not any(_written(node, name) for name in names)


def _not_both(one: str, other: str) -> Broken:
    """Tell where both are there whatever the record holds."""
    return lambda node: all(any(map(_always, _written(node, name))) for name in (one, other))


def _goes_with(name: str, needed: str) -> Broken:
    return lambda node: bool(_written(node, name)) and not _written(node, needed)


def _written(node: Fields, name: str) -> list[Node]:
    """Return what stands at an element; `rate[x]` is any of rateRatio and rateQuantity."""
    stem = name.removesuffix("[x]")
    found = []
    for key, inner in node.items.items():
        rest = key.removeprefix("_").removeprefix(stem)
        fits = not rest or (stem != name and rest[:1].isupper())
        if key.removeprefix("_").startswith(stem) and fits:
            found.append(inner)
    return found


def _always(node: Node) -> bool:
    """Tell whether something is made of it whatever the record holds."""
    if isinstance(node, Scalar):
        return not is_expression(node) and not is_nothing(node)
    if isinstance(node, Sequence):
        return any(map(_always, node.items))
    return not is_directive(node) and "$if" not in node.items and any(map(_always, _inner(node)))


def _inner(node: Fields) -> list[Node]:
    return [inner for key, inner in node.items.items() if not key.startswith("$")]


def _code(node: Fields, name: str) -> str:
    """Return the code of an element that is written `system#code`; nothing where it is another."""
    for inner in _written(node, name):
        for item in inner.items if isinstance(inner, Sequence) else (inner,):
            if isinstance(item, Scalar) and not is_expression(item):
                return item.text.partition("#")[2]
    return ""


def _repeats_its_code(node: Fields) -> bool:
    own, parts = node.items.get("code"), node.items.get("component")
    if not isinstance(own, Scalar) or is_expression(own) or not _written(node, "value[x]"):
        return False
    listed = parts.items if isinstance(parts, Sequence) else ()
    codes = [
        item.items.get("code")
        for item in listed
        if isinstance(item, Fields) and "$if" not in item.items
    ]
    return any(isinstance(code, Scalar) and code.text == own.text for code in codes)


def _problem_without_status(node: Fields) -> bool:
    listed = _code(node, "category") == "problem-list-item"
    mistaken = _code(node, "verificationStatus") == "entered-in-error"
    return listed and not mistaken and not _written(node, "clinicalStatus")


def _abated_and_active(node: Fields) -> bool:
    if not _written(node, "abatement[x]"):
        return False
    code = _code(node, "clinicalStatus")
    return not _written(node, "clinicalStatus") or (bool(code) and code not in _ENDED)


def _mistaken_with_status(node: Fields) -> bool:
    mistaken = _code(node, "verificationStatus") == "entered-in-error"
    return mistaken and any(map(_always, _written(node, "clinicalStatus")))


def _rule(key: str, at: str, says: str, broken: Broken) -> Rule:
    return Rule(key=key, at=at, says=says, broken=broken)


RULES = (
    _rule("mad-1", "MedicationAdministration.dosage", "a dosage has a dose or a rate",
          _needs("dose", "rate[x]")),
    _rule("obs-3", "Observation.referenceRange", "a range has a low, a high or a text",
          _needs("low", "high", "text")),
    _rule("obs-6", "Observation", "dataAbsentReason stands only where there is no value",
          _not_both("dataAbsentReason", "value[x]")),
    _rule("obs-7", "Observation", "no value where a component has the same code",
          _repeats_its_code),
    _rule("cpl-3", "CarePlan.activity", "a reference or a detail, not both",
          _not_both("reference", "detail")),
    _rule("gol-1", "Goal.target", "a detail needs its measure", _goes_with("detail[x]", "measure")),
    _rule("ppc-1", "Consent", "a policy or a policyRule must be there",
          _needs("policy", "policyRule")),
    _rule("con-3", "Condition", "a problem of the list has a clinicalStatus",
          _problem_without_status),
    _rule("con-4", "Condition", "what abated is inactive, resolved or in remission",
          _abated_and_active),
    _rule("con-5", "Condition", "what is entered in error has no clinicalStatus",
          _mistaken_with_status),
    _rule("pat-1", "Patient.contact", "a contact has a name, telecom, address or organization",
          _needs("name", "telecom", "address", "organization")),
    _rule("ext-1", "Extension", "an extension has a value or extensions",
          _needs("value[x]", "extension")),
    _rule("ext-1", "Extension", "an extension has a value or extensions, not both",
          _not_both("value[x]", "extension")),
    _rule("att-1", "Attachment", "data needs its contentType", _goes_with("data", "contentType")),
    _rule("qty-3", "Quantity", "a code needs its system", _goes_with("code", "system")),
    _rule("tim-1", "Timing.repeat", "a duration needs its unit",
          _goes_with("duration", "durationUnit")),
    _rule("tim-2", "Timing.repeat", "a period needs its unit", _goes_with("period", "periodUnit")),
    _rule("tim-6", "Timing.repeat", "durationMax needs a duration",
          _goes_with("durationMax", "duration")),
    _rule("tim-7", "Timing.repeat", "periodMax needs a period", _goes_with("periodMax", "period")),
    _rule("tim-8", "Timing.repeat", "countMax needs a count", _goes_with("countMax", "count")),
)  # fmt: skip
