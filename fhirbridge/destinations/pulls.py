"""What may be asked of an EHR about a patient, as an operator names it. Nothing, unless he says."""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Pull(StrEnum):
    """One kind of what an EHR knows; the values are stored."""

    DEMOGRAPHICS = "demographics"
    CONDITIONS = "conditions"
    ALLERGIES = "allergies"
    MEDICATIONS = "medications"
    PLANS = "plans"


TYPES: Mapping[Pull, tuple[str, ...]] = {
    Pull.DEMOGRAPHICS: ("Patient",),
    Pull.CONDITIONS: ("Condition",),
    Pull.ALLERGIES: ("AllergyIntolerance",),
    Pull.MEDICATIONS: ("MedicationRequest", "MedicationStatement"),
    Pull.PLANS: ("CarePlan", "Goal"),
}
EVERY_TYPE = tuple(one for types in TYPES.values() for one in types)
ALL, NONE = "all", "none"


def read(words: Iterable[str]) -> tuple[Pull, ...] | None:
    """Return what these words choose, in the order of the list; None where one is unknown."""
    said = set(words)
    if said == {ALL}:
        return tuple(Pull)
    if said == {NONE}:
        return ()
    if not said or said - set(Pull):
        return None
    return tuple(one for one in Pull if one in said)


def types(chosen: Iterable[Pull]) -> tuple[str, ...]:
    """Return the FHIR types of what was chosen."""
    return tuple(one for pull in chosen for one in TYPES[pull])
