"""Say of a resource that it was entered in error, in the way its type has. Pure."""

from typing import Any

# R4: the types we send whose own status element has the code entered-in-error.
STATUS_TYPES = frozenset(
    {
        "Appointment",
        "CarePlan",
        "Consent",
        "DocumentReference",
        "Encounter",
        "MedicationAdministration",
        "MedicationRequest",
        "MedicationStatement",
        "Observation",
        "Procedure",
    }
)
# Those that say it in an element of their own.
OTHER_TYPES = frozenset({"Condition", "Goal"})


def can_retract(resource_type: str) -> bool:
    """Say whether this type has a status for it; one that has none needs a person."""
    return resource_type in STATUS_TYPES | OTHER_TYPES


def retracted(body: dict[str, Any]) -> dict[str, Any]:
    """Return the same resource, marked as entered in error.

    A Condition says it by verificationStatus and then has no clinicalStatus (R4 con-5).
    """
    kind = body["resourceType"]
    if kind in STATUS_TYPES:
        return {**body, "status": "entered-in-error"}
    if kind == "Goal":
        return {**body, "lifecycleStatus": "entered-in-error"}
    if kind == "Condition":
        rest = {name: value for name, value in body.items() if name != "clinicalStatus"}
        coding = dict(body["verificationStatus"]["coding"][0])
        coding["code"] = "entered-in-error"
        coding.pop("display", None)
        return {**rest, "verificationStatus": {"coding": [coding]}}
    raise ValueError(kind)
