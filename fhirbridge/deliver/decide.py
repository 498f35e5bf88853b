"""Where a delivery goes after an answer or a read-back. Pure: rows and answers in, a move out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from fhirbridge.deliver.answer import Answer, Kind
from fhirbridge.deliver.readback import Found, Reading
from fhirbridge.outbox import backoff
from fhirbridge.outbox.settle import Move
from fhirbridge.outbox.states import EDITED, GONE, POISON, REFUSED, State

MOST_SERVER_ERRORS = 5
MOST_NAMED = 3
NOT_ACCOUNTED = "the answer does not account for every entry"
# The server answered, and the read-back shows nothing of it: five times, and the content is why.
NEVER_TAKEN = ("answered ", NOT_ACCOUNTED)
STOPPED = "the worker stopped in between"
READ_BACK = "; read-back: "


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


def delivered() -> Move:
    """Every resource arrived."""
    return Move(to=State.DELIVERED, counts={"runs": 0, "attempts": 0, "server_errors": 0})


def poison(row: Counted) -> Move:
    """Park what was started this often and never settled: it may be what stops the worker."""
    return Move(
        to=State.PARKED,
        reason=f"{POISON}started {row.runs} times without an end; the log of those times says more",
        counts={"runs": 0},
    )


def after_refusal(row: Counted, answer: Answer, *, now: datetime, jitter: float) -> Move:
    """Wait, read back, hold or park, after a transaction that did not succeed."""
    if answer.kind in (Kind.UNKNOWN, Kind.CONFLICT):
        return Move(to=State.UNKNOWN, reason=answer.reason, counts={"runs": 0})
    if answer.kind in (Kind.RETRY, Kind.AUTH):
        return _try_later(row, answer.reason, answer, Wait(now=now, jitter=jitter))
    if answer.kind is Kind.GONE:
        return Move(to=State.HELD, reason=f"{GONE}{answer.reason}", counts={"runs": 0})
    return Move(to=State.PARKED, reason=f"{REFUSED}the EHR {answer.reason}", counts={"runs": 0})


def still_unknown(row: Counted, answer: Answer, earlier_reason: str, wait: Wait) -> Move:
    """Ask again later: the read-back got no usable answer, and nothing is sent until one does."""
    pause = backoff.next_wait(row.attempts, retry_after=answer.retry_after, jitter=wait.jitter)
    reason = f"{_first(earlier_reason)}{READ_BACK}{answer.reason}"
    counts = {"runs": 0, "attempts": row.attempts + 1}
    return Move(to=State.UNKNOWN, reason=reason, due_at=wait.now + pause, counts=counts)


def after_reading(row: Counted, found: Sequence[Reading], earlier_reason: str, wait: Wait) -> Move:
    """Decide from what the EHR holds; ask a person where somebody else changed or removed it."""
    by_kind = {kind: [r for r in found if r.found is kind] for kind in Found}
    if by_kind[Found.UNREADABLE]:
        answer = Answer(kind=Kind.UNKNOWN, reason="the EHR did not say what it holds")
        return still_unknown(row, answer, earlier_reason, wait)
    if by_kind[Found.EDITED]:
        return Move(
            to=State.HELD,
            reason=f"{EDITED}{_names(by_kind[Found.EDITED])} changed in the EHR",
            counts={"runs": 0},
        )
    if by_kind[Found.GONE]:
        return Move(
            to=State.HELD,
            reason=f"{GONE}{_names(by_kind[Found.GONE])} removed in the EHR",
            counts={"runs": 0},
        )
    if len(by_kind[Found.OURS]) == len(found):
        return delivered()
    return _send_again(row, _first(earlier_reason), wait)


def _send_again(row: Counted, earlier_reason: str, wait: Wait) -> Move:
    """Send again, guarded, what did not land; five times, then the content may be the reason."""
    errors = row.server_errors + (1 if earlier_reason.startswith(NEVER_TAKEN) else 0)
    if errors >= MOST_SERVER_ERRORS:
        return Move(
            to=State.PARKED,
            reason=f"{REFUSED}the EHR {earlier_reason} each time",
            counts={"runs": 0},
        )
    answer = Answer(kind=Kind.RETRY, reason=earlier_reason)
    return _try_later(row, earlier_reason, answer, wait, server_errors=errors)


def _first(reason: str) -> str:
    """Return why a delivery became uncertain, without what its read-backs said."""
    return reason.partition(READ_BACK)[0] or STOPPED


def _try_later(
    row: Counted, reason: str, answer: Answer, wait: Wait, server_errors: int | None = None
) -> Move:
    pause = backoff.next_wait(row.attempts, retry_after=answer.retry_after, jitter=wait.jitter)
    counts = {"runs": 0, "attempts": row.attempts + 1}
    if server_errors is not None:
        counts["server_errors"] = server_errors
    return Move(to=State.PENDING, reason=reason, due_at=wait.now + pause, counts=counts)


def _names(found: Sequence[Reading]) -> str:
    shown = [f"{r.send.identity.type}/{r.send.identity.id}" for r in found[:MOST_NAMED]]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(shown) + more
