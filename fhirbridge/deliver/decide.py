"""Where a delivery goes after an answer or a read-back. Pure: rows and answers in, a move out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Protocol

from fhirbridge.deliver.answer import Answer, Kind
from fhirbridge.deliver.readback import Found, Reading
from fhirbridge.outbox import backoff
from fhirbridge.outbox.settle import Move
from fhirbridge.outbox.states import (
    DOUBLED,
    EDITED,
    GONE,
    MISMATCH,
    POISON,
    REFUSED,
    RETRACTED,
    State,
    Way,
)

MOST_SERVER_ERRORS = 5
MOST_NAMED = 3
MOST_FORBIDDEN = 3  # patients in a row that are answered 403
NOT_ACCOUNTED = "the answer does not account for every entry"
# The server answered, and the read-back shows nothing of it: five times, and the content is why.
NEVER_TAKEN = ("answered ", NOT_ACCOUNTED)
# What only a look at the EHR can tell; GONE too: a gateway says 404 of what is there.
ASKS_BACK = (Kind.UNKNOWN, Kind.CONFLICT, Kind.GONE)
FRESH = {"runs": 0, "attempts": 0, "server_errors": 0}
REQUEST_STATUS = frozenset({405, 406, 411, 414, 415, 431})
STOPPED = "the worker stopped in between"
# What of several entries decides: what is in doubt is read back before all else.
FIRST = (State.UNKNOWN, State.HELD, State.PARKED, State.PENDING, State.DELIVERED)
READ_BACK = "; read-back: "
WROTE_OVER = (
    "changed in the EHR just before ours was written over it: its history there has the change"
)
WAS_THERE = "the EHR had one of our identifier already"
WRITTEN_WEAKLY = "written over what was read just before, without a guard of the EHR"
# Read once more before a person is asked: a proxy may mix answers up, a gateway may have none.
SHOWN_ANOTHER = "the EHR showed another resource than was asked for"
CALLED_UNKNOWN = "the EHR knows nothing of what it had"


class Refused(StrEnum):
    """What of a request the EHR will not take."""

    SIZE = "size"  # fewer at a time
    ACCESS = "access"  # we may not
    REQUEST = "request"  # whatever it carries: our mistake, or a wrong address
    CONTENT = "content"  # something in it: which, single requests find out


class Counted(Protocol):
    """What a decision reads of a delivery's row."""

    @property
    def runs(self) -> Any: ...
    @property
    def attempts(self) -> Any: ...
    @property
    def server_errors(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The moment and the chance from which the next try is timed."""

    now: datetime
    jitter: float


def what_is_refused(answer: Answer) -> Refused:
    """Tell what a PERMANENT answer is about."""
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Refused.SIZE
    if answer.status == HTTPStatus.FORBIDDEN:
        return Refused.ACCESS
    if answer.redirects or answer.status in REQUEST_STATUS:
        return Refused.REQUEST
    return Refused.CONTENT


def delivered() -> Move:
    """Every resource arrived."""
    return Move(to=State.DELIVERED, counts=FRESH)


def taken_back() -> Move:
    """Send nothing more of it: it was taken back from its patient's chart."""
    return Move(to=State.SUPERSEDED, reason=RETRACTED, counts=FRESH)


def landed(*, more: bool) -> Move:
    """All that was sent arrived; what is left goes at once."""
    return again("") if more else delivered()


def again(reason: str) -> Move:
    """Go on at once with what is left."""
    return Move(to=State.PENDING, reason=reason, counts=FRESH)


def one_by_one(reason: str) -> Move:
    """Send what was refused as a whole in single requests: they find every bad resource."""
    return Move(
        to=State.PENDING,
        reason=f"the EHR {reason}; now one by one",
        counts=FRESH,
        way=Way.SINGLE,
    )


def of_several(moves: Sequence[Move]) -> Move:
    """Choose, of what the entries of a batch came to, what the delivery does."""
    return min(moves, key=lambda move: (FIRST.index(move.to), move.due_at is None))


def parked(reason: str) -> Move:
    """Set the whole delivery aside."""
    return Move(to=State.PARKED, reason=f"{REFUSED}the EHR {reason}", counts={"runs": 0})


def set_aside(sentences: Sequence[str], waiting: int) -> Move:
    """Park what is left: the EHR took all but these, and what points to them waits."""
    more = f"; {len(sentences) - 1} more refused" if len(sentences) > 1 else ""
    verb = "waits" if waiting == 1 else "wait"
    waits = f"; {waiting} {verb} for it" if waiting else ""
    return Move(to=State.PARKED, reason=f"{REFUSED}{sentences[0]}{more}{waits}", counts={"runs": 0})


def to_read_back(reason: str) -> Move:
    """Ask the EHR first what it holds."""
    return Move(to=State.UNKNOWN, reason=reason, counts={"runs": 0})


def poison(row: Counted) -> Move:
    """Park what was started this often and never settled: it may be what stops the worker."""
    return Move(
        to=State.PARKED,
        reason=f"{POISON}started {row.runs} times without an end; the log of those times says more",
        counts={"runs": 0},
    )


def after_refusal(row: Counted, answer: Answer, *, now: datetime, jitter: float) -> Move:
    """Wait, read back or park, after a request that did not succeed."""
    if answer.kind in ASKS_BACK:
        return to_read_back(answer.reason)
    if answer.kind in (Kind.RETRY, Kind.AUTH):
        return _after_nothing(row, answer, Wait(now=now, jitter=jitter))
    return parked(answer.reason)


def _after_nothing(row: Counted, answer: Answer, wait: Wait) -> Move:
    """Wait; where nobody knows what the status means, five times, then it is a refusal."""
    if not answer.counted:
        return _try_later(row, answer.reason, answer, wait)
    errors = row.server_errors + 1
    if errors >= MOST_SERVER_ERRORS:
        return parked(f"{answer.reason} each time")
    return _try_later(row, answer.reason, answer, wait, server_errors=errors)


def still_unknown(row: Counted, answer: Answer, earlier_reason: str, wait: Wait) -> Move:
    """Ask again later: the read-back got no usable answer, and nothing is sent until one does."""
    pause = backoff.next_wait(row.attempts, retry_after=answer.retry_after, jitter=wait.jitter)
    reason = f"{first_reason(earlier_reason)}{READ_BACK}{answer.reason}"
    counts = {"runs": 0, "attempts": row.attempts + 1}
    return Move(to=State.UNKNOWN, reason=reason, due_at=wait.now + pause, counts=counts)


def after_reading(
    row: Counted,
    found: Sequence[Reading],
    earlier_reason: str,
    wait: Wait,
    *,
    more: bool = False,
    weak: bool = False,
) -> Move:
    """Decide from what the EHR holds; ask a person where somebody else changed or removed it.

    `more`: not all of the delivery was read. `weak`: the EHR guards no update.
    """
    by_kind = {kind: [r for r in found if r.found is kind] for kind in Found}
    if by_kind[Found.OTHER]:
        return _after_another(row, by_kind[Found.OTHER], earlier_reason, wait)
    if by_kind[Found.UNREADABLE]:
        return _ask_again(row, "the EHR did not say what it holds", earlier_reason, wait)
    if by_kind[Found.MISSING] and not _was_heard(CALLED_UNKNOWN, earlier_reason):
        return _ask_again(row, CALLED_UNKNOWN, earlier_reason, wait)
    if held := _for_a_person(by_kind, weak=weak):
        return Move(to=State.HELD, reason=held, counts={"runs": 0})
    if len(by_kind[Found.OURS]) == len(found):
        return landed(more=more)
    return _send_again(row, first_reason(earlier_reason), wait)


def _for_a_person(found: Mapping[Found, Sequence[Reading]], *, weak: bool) -> str:
    """Say what a person has to look at before anything else is done, or ""."""
    if several := found[Found.SEVERAL]:
        return f"{DOUBLED}{_names(several)} is in the EHR more than once"
    if edited := found[Found.EDITED]:
        return f"{EDITED}{_names(edited)} changed in the EHR"
    if gone := [*found[Found.GONE], *found[Found.MISSING]]:
        return f"{GONE}{_names(gone)} removed in the EHR"
    if over := [one for one in found[Found.OURS] if weak and one.wrote_over]:
        return f"{EDITED}{_names(over)} {WROTE_OVER}"
    return ""


def _after_another(
    row: Counted, others: Sequence[Reading], earlier_reason: str, wait: Wait
) -> Move:
    """Read once more; the same again, and a person looks."""
    if not _was_heard(SHOWN_ANOTHER, earlier_reason):
        return _ask_again(row, SHOWN_ANOTHER, earlier_reason, wait)
    reason = f"{MISMATCH}{_names(others)} read twice, another resource was shown"
    return Move(to=State.HELD, reason=reason, counts={"runs": 0})


def _was_heard(said: str, earlier_reason: str) -> bool:
    """Say whether the read-back before this one said the same."""
    return earlier_reason.endswith(f"{READ_BACK}{said}")


def _ask_again(row: Counted, said: str, earlier_reason: str, wait: Wait) -> Move:
    return still_unknown(row, Answer(kind=Kind.UNKNOWN, reason=said), earlier_reason, wait)


def _send_again(row: Counted, earlier_reason: str, wait: Wait) -> Move:
    """Send again, guarded, what did not land; five times, then the content may be the reason."""
    errors = row.server_errors + (1 if earlier_reason.startswith(NEVER_TAKEN) else 0)
    if errors >= MOST_SERVER_ERRORS:
        return parked(f"{earlier_reason} each time")
    answer = Answer(kind=Kind.RETRY, reason=earlier_reason)
    return _try_later(row, earlier_reason, answer, wait, server_errors=errors)


def first_reason(reason: str) -> str:
    """Return why a delivery became uncertain, without what its read-backs said."""
    return reason.partition(READ_BACK)[0] or STOPPED


def _try_later(
    row: Counted, reason: str, answer: Answer, wait: Wait, server_errors: int | None = None
) -> Move:
    pause = backoff.next_wait(row.attempts, retry_after=answer.retry_after, jitter=wait.jitter)
    counts = {"runs": 0, "attempts": row.attempts + 1}
    if server_errors is not None:
        counts["server_errors"] = server_errors
    if answer.retry_after is not None and answer.retry_after > backoff.LONGEST_ASKED:
        reason += "; it asks to wait longer than the 24 h that are waited at most"
    return Move(to=State.PENDING, reason=reason, due_at=wait.now + pause, counts=counts)


def _names(found: Sequence[Reading]) -> str:
    shown = [f"{r.send.identity.type}/{r.send.identity.id}" for r in found[:MOST_NAMED]]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(shown) + more
