"""Follow patients that an EHR made one, or two again, through `Patient.link`. Pure."""

from collections.abc import Mapping
from typing import Any

MOST_HOPS = 5

Bodies = Mapping[str, dict[str, Any]]  # Patients by `Patient/id`


def replaced_by(patient: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the references that replace this Patient, as `Patient/id`."""
    return _linked(patient, "replaced-by")


def onward(bodies: Bodies, reference: str) -> tuple[str, ...]:
    """Return what replaces one Patient, whichever of the two says so."""
    patient = bodies[reference]
    if said := replaced_by(patient):
        return said
    if patient.get("active") is not False:
        return ()  # what is in use is replaced by nobody
    return tuple(other for other, one in bodies.items() if reference in _linked(one, "replaces"))


def survivor(bodies: Bodies, start: str) -> str:
    """Follow from one Patient to the one that is left; itself where nobody replaces it.

    "" where it is not certain: two ways, a circle, a hop too many, or a patient that was not read.
    """
    seen = [start]
    while seen[-1] in bodies and len(seen) <= MOST_HOPS + 1:
        after = onward(bodies, seen[-1])
        if not after:
            return seen[-1]
        if len(after) > 1 or after[0] in seen:
            return ""
        seen.append(after[0])
    return ""


def _linked(patient: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    links = patient.get("link")
    if patient.get("resourceType") != "Patient" or not isinstance(links, list):
        return ()
    found: dict[str, None] = {}
    for link in links:
        other = link.get("other") if isinstance(link, dict) else None
        if isinstance(other, dict) and link.get("type") == kind:
            found[str(other.get("reference", ""))] = None
    return tuple(found)
