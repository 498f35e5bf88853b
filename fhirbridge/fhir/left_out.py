"""What a resource says where something that it points to does not go to an EHR. Pure.

Nothing dangles: such a reference is left out; where R4 requires it, or it names who did something
or where, it names that without a link (by identifier and display).
"""

from collections.abc import Collection, Mapping
from typing import Any

from fhirbridge.fhir.references import LITERAL

Named = tuple[str, str]  # a type and an id of ours
Logical = dict[str, Any]  # a Reference without `reference`

# Who and where: worth more by name than not at all.
ACTORS = frozenset({"Practitioner", "PractitionerRole", "Organization", "Location"})
# R4: elements that may not be missing where what holds them is there, by type and path. A patient
# is never left out, so that no `subject` stands here; nor does Provenance.target, of which a
# Provenance without any is not sent at all.
REQUIRED = frozenset(
    {
        ("AdverseEvent", "suspectEntity.instance"),
        ("Appointment", "participant.actor"),  # app-1: a type or an actor
        ("Consent", "provision.actor.reference"),
        ("Consent", "provision.data.reference"),
        ("DocumentReference", "relatesTo.target"),
        ("Encounter", "diagnosis.condition"),
        ("Encounter", "location.location"),
        ("Medication", "ingredient.itemReference"),
        ("MedicationAdministration", "medicationReference"),
        ("MedicationAdministration", "performer.actor"),
        ("MedicationRequest", "medicationReference"),
        ("MedicationStatement", "medicationReference"),
        ("Procedure", "focalDevice.manipulated"),
        ("Procedure", "performer.actor"),
        ("Provenance", "agent.who"),
        ("Provenance", "entity.what"),
    }
)


class _Nothing:
    """What is left of an element that is left out."""


NOTHING = _Nothing()


def without(resource: dict[str, Any], absent: Mapping[Named, Logical]) -> dict[str, Any]:
    """Return a resource of ours that points to nothing of `absent`: each with its name."""
    if not absent:
        return resource
    kind = resource["resourceType"]
    found: dict[str, Any] = _Cut(kind, absent).fields(resource, "")
    return found


def bare(resource: dict[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    """Return a resource, of ours or theirs, without any reference to these types, by link or name.

    Two that are equal so differ in nothing but whether such things were sent.
    """
    if not kinds:
        return resource
    found: dict[str, Any] = _strip(resource, frozenset(kinds))
    return found


def _strip(value: Any, kinds: frozenset[str]) -> Any:
    if isinstance(value, list):
        kept = [one for item in value if (one := _strip(item, kinds)) is not NOTHING]
        return kept if kept or not value else NOTHING
    if not isinstance(value, dict):
        return value
    target = value.get("reference")
    named = LITERAL.fullmatch(target) if isinstance(target, str) else None
    if named[1] in kinds if named else "identifier" in value and value.get("type") in kinds:
        return NOTHING
    kept_fields = {
        k: one for k, item in value.items() if (one := _strip(item, kinds)) is not NOTHING
    }
    lost = len(kept_fields) < len(value)
    return NOTHING if lost and set(kept_fields) <= {"url"} else kept_fields


def logical(target: dict[str, Any]) -> Logical:
    """Return a Reference that names a resource of ours without a link: number and name."""
    held = target.get("identifier")
    numbers = [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []
    # A number that others know, such as an NPI; else the one that is our id.
    chosen = sorted(numbers, key=lambda one: one.get("value") == target["id"])[:1]
    found: Logical = {"type": target["resourceType"]}
    if chosen:
        found["identifier"] = {k: v for k, v in chosen[0].items() if k in ("system", "value")}
    display = _display(target.get("name"))
    return {**found, "display": display} if display else found


def _display(name: Any) -> str:
    """Return a name of an organization or a place as it is; of a person, given and family."""
    if isinstance(name, str):
        return name
    if not (isinstance(name, list) and name and isinstance(name[0], dict)):
        return ""
    given = [one for one in name[0].get("given", []) if isinstance(one, str)]
    parts = [*given, name[0].get("family", "")]
    return " ".join(one for one in parts if isinstance(one, str) and one)


class _Cut:
    def __init__(self, kind: str, absent: Mapping[Named, Logical]) -> None:
        self._kind = kind
        self._absent = absent

    def fields(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        kept = {
            name: self._value(one, f"{path}.{name}" if path else name)
            for name, one in value.items()
        }
        return {name: one for name, one in kept.items() if one is not NOTHING}

    def _value(self, value: Any, path: str) -> Any:
        if isinstance(value, list):
            kept = [one for item in value if (one := self._value(item, path)) is not NOTHING]
            return kept if kept or not value else NOTHING
        if not isinstance(value, dict):
            return value
        target = value.get("reference")
        named = LITERAL.fullmatch(target) if isinstance(target, str) else None
        if named and (named[1], named[2]) in self._absent:
            return self._instead((named[1], named[2]), path)
        kept_fields = self.fields(value, path)
        if not kept_fields and value:
            return NOTHING
        lost = len(kept_fields) < len(value)
        # ext-1: an extension without its value says nothing, and is refused.
        return NOTHING if lost and set(kept_fields) == {"url"} else kept_fields

    def _instead(self, named: Named, path: str) -> Any:
        if (self._kind, path) in REQUIRED or named[0] in ACTORS:
            return self._absent[named]
        return NOTHING
