"""What a destination takes of each resource type. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

from fhirbridge.errors import BridgeError

NOTE_TYPE = "DocumentReference"
DOSE_TYPE = "MedicationAdministration"
EVENT_TYPES = ("AdverseEvent", "Observation")  # may say that something went wrong with a dose
URGENT_TYPES = (*EVENT_TYPES, "Condition")  # may say what a person must hear of


class Taken(StrEnum):
    """How a destination gets what is of one type."""

    SEND = "send"
    SKIP = "skip"  # not at all, and that is reported
    NOTE = "note"  # by what the readable note says


class TypesError(BridgeError):
    """A choice of types that would lose or misstate something."""

    code = "E428"
    http_status = HTTPStatus.CONFLICT


def check(types: Mapping[str, Taken]) -> None:
    """Refuse what would leave something unsaid or in nobody's chart. Raises TypesError."""

    def of(kind: str) -> Taken:
        return types.get(kind, Taken.SEND)

    if of("Patient") is not Taken.SEND:
        raise TypesError(
            "Patient cannot be left out: everything would be in nobody's chart",
            hint="where the EHR has its own patients: --patients match",
        )
    if of(NOTE_TYPE) is Taken.NOTE:
        raise TypesError(f"{NOTE_TYPE} is the note itself: --send or --skip it")
    if of(NOTE_TYPE) is Taken.SEND:
        return
    by_note = sorted(kind for kind, one in types.items() if one is Taken.NOTE)
    if by_note:
        raise TypesError(
            f"no note goes to this destination, which is to say what {', '.join(by_note)} is",
            hint=f"--send {NOTE_TYPE}, or --skip them",
        )
    unsaid = [kind for kind in EVENT_TYPES if of(kind) is not Taken.SEND]
    if of(DOSE_TYPE) is Taken.SEND and unsaid:
        raise TypesError(
            f"a dose would go without its adverse event: {' and '.join(unsaid)} and {NOTE_TYPE} "
            f"are left out, {DOSE_TYPE} is not",
            hint=f"--send {NOTE_TYPE}, or --skip {DOSE_TYPE} too",
        )
