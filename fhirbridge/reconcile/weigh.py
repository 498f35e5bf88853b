"""What is to be done about what was found. Pure: a policy and counts in, a choice out."""

from collections.abc import Mapping
from enum import StrEnum

from fhirbridge.reconcile.compare import BEYOND_THE_COPY, LOST, Kind

EVERY_TYPE = "*"
# Beyond this an EHR was not only restored by an hour: a person looks before anything is sent.
MOST_LOST = 200
MOST_LOST_PERCENT = 20


class Choice(StrEnum):
    """Which side stays, where both cannot."""

    HOLD = "hold"  # a person decides
    OURS = "ours"  # what we sent is sent again
    THEIRS = "theirs"  # the EHR keeps what it has


def choice(kind: Kind, resource_type: str, policies: Mapping[str, str]) -> Choice:
    """Choose for one finding; what was lost comes back, and a person judges what has no policy."""
    if kind in LOST:
        return Choice.OURS
    if kind not in (Kind.EDITED, Kind.DELETED):
        return Choice.HOLD
    chosen = policies.get(resource_type) or policies.get(EVERY_TYPE) or Choice.HOLD
    return Choice(chosen)


def looks_restored(lost: int, compared: int) -> bool:
    """Say whether so much is lost that a person must look first."""
    return lost > MOST_LOST or lost * 100 > compared * MOST_LOST_PERCENT


def may_settle(kind: Kind, chosen: Choice) -> bool:
    """Say whether a person may choose so.

    A duplicate, or what we cannot retract, is theirs to remove; a merge is theirs to undo.
    """
    if kind in BEYOND_THE_COPY:
        return chosen is Choice.THEIRS
    if kind is Kind.MERGED:
        return chosen is Choice.OURS
    return chosen is not Choice.HOLD
