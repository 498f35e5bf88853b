"""The states of a delivery and the only ways between them. Pure."""

from enum import StrEnum

from fhirbridge.errors import BridgeError


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # waits for its turn
    SENDING = "sending"  # a request may be under way
    UNKNOWN = "unknown"  # a request went out and nobody knows what came of it
    DELIVERED = "delivered"  # the EHR holds all of it
    HELD = "held"  # waits for a person
    PARKED = "parked"  # set aside with a reason; one command sends it again
    SUPERSEDED = "superseded"  # it will not go: replaced by what is newer, taken back, given up


class Way(StrEnum):
    """How the rest of a delivery goes."""

    BUNDLE = "bundle"  # as transactions, as large as the EHR takes them
    SINGLE = "single"  # one by one, since it was refused as a whole


class Became(StrEnum):
    """What became of one resource of a delivery."""

    WAITING = ""
    SENT = "sent"  # it went out and nobody knows yet what came of it
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"  # the EHR had it, or never had what is taken back
    SUPERSEDED = "superseded"  # something newer of it is there
    REFUSED = "refused"  # the EHR will not take it
    BLOCKED = "blocked"  # it points to a refused one
    THEIRS = "theirs"  # a person, or the policy, left it as the EHR has it
    SKIPPED = "skipped"  # the destination does not take its type
    CARRIED = "carried"  # not as itself: the readable note that the EHR has says it
    CANNOT_UPDATE = "cannot-update"  # the EHR has an older one, and a person must put it right
    CANNOT_RETRACT = "cannot-retract"  # the EHR has it, and a person must take it back there
    BY_HAND = "by-hand"  # a person said that it is put right, or taken back, there


LANDED = (Became.CREATED, Became.UPDATED)
# What of a type, or of a change, an EHR does not take: reported, never silent.
NOT_AS_ITSELF = (Became.SKIPPED, Became.CARRIED, Became.CANNOT_UPDATE, Became.CANNOT_RETRACT)
# Of these the EHR has something that a person must change there.
TASKS = (Became.CANNOT_UPDATE, Became.CANNOT_RETRACT)
OPEN = (State.PENDING, State.SENDING, State.UNKNOWN)
UNCERTAIN = (State.SENDING, State.UNKNOWN)
STUCK = (State.HELD, State.PARKED)
# The reason of a pending delivery that waits for a stuck one begins so; the stuck one's id follows.
BLOCKED = "blocked-by: "
# How the reason of a parked delivery begins that was started again and again and never settled.
POISON = "poison: "
# How the reason of a parked delivery begins that the EHR would not take.
REFUSED = "refused: "
# How the reason of a parked delivery begins that an operator set aside before it went.
CANCELLED = "cancelled: "
# How the reason of a held delivery begins of which the EHR has something, changed by somebody else.
EDITED = "edited: "
# How the reason of a held delivery begins of which the EHR removed something.
GONE = "gone: "
# How the reason of a held delivery begins of which the EHR has something more than once.
DOUBLED = "doubled: "
# How the reason of a held delivery begins of which the EHR showed something else, twice in a row.
MISMATCH = "mismatch: "
# How the reason of a held delivery begins whose patient the EHR merged into another one.
MERGED = "merged: "
# Of these something may be in the EHR that the ledger does not know.
IN_DOUBT = (POISON, EDITED, DOUBLED, MISMATCH)
# How the reason of a held delivery begins of which no note that the EHR has says all that is left.
NOT_CARRIED = "not-carried: "
# How the reason of a held delivery begins of which the EHR has something in another chart for good.
OTHER_CHART = "other-chart: "
# The reason of what a person took back from the chart of its patient.
RETRACTED = "retracted from this chart"
# How the reason of a held delivery begins of which nobody knows whose chart it belongs in.
PATIENT = "patient: "

ALLOWED: dict[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {
            State.PENDING,
            State.SENDING,
            State.DELIVERED,
            State.HELD,
            State.PARKED,
            State.SUPERSEDED,
        }
    ),
    State.SENDING: frozenset(
        {
            State.SENDING,
            State.PENDING,
            State.UNKNOWN,
            State.DELIVERED,
            State.HELD,
            State.PARKED,
            State.SUPERSEDED,
        }
    ),
    State.UNKNOWN: frozenset({State.SENDING, State.HELD, State.PARKED}),
    State.HELD: frozenset({State.PENDING, State.SUPERSEDED}),
    State.PARKED: frozenset({State.PENDING, State.SUPERSEDED}),
    State.DELIVERED: frozenset(),
    State.SUPERSEDED: frozenset(),
}


class ForbiddenMoveError(BridgeError):
    """A delivery was asked to go where its state does not lead."""

    code = "E301"


def check_move(before: State, after: State) -> None:
    """Raise ForbiddenMoveError unless the graph has this edge."""
    if after not in ALLOWED[before]:
        raise ForbiddenMoveError(f"a delivery does not go from {before} to {after}")
