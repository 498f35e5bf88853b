"""What an answer means for its message and for its endpoint. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from fhirbridge.deliver.answer import retry_after
from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.webhooks import schedule

FAILS_AT_MOST = timedelta(days=5)  # without one success between
REDIRECTS = range(300, 400)
# Why an endpoint is disabled. What a person did begins otherwise than what we did ourselves.
BY_OPERATOR = "disabled by an operator"
BY_RESTORE = "the database was put back"
GONE = "gone: it answered 410"
FAILING = "failing: nothing was taken for five days"
BY_ITSELF = (GONE, FAILING)


class Outcome(StrEnum):
    """What one try came to."""

    BEGUN = "begun"  # under way; or who sent it ended, or lost its lease, before it was noted
    DELIVERED = "delivered"
    FAILED = "failed"  # it is tried again
    GONE = "gone"  # the receiver wants no more


class State(StrEnum):
    """Where a message stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"  # after the last try; a person may replay it
    TEST = "test"  # tried once, when a person asks for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One try. `status` 0: there was no answer; `asked`: to be left alone for so long."""

    outcome: Outcome
    status: int
    reason: str = ""
    asked: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What becomes of the message and of its endpoint."""

    state: State
    due_at: datetime
    failing_since: datetime | None
    quiet_until: datetime | None
    disabled: str = ""


def judge(answer: Response | NotSent | Unknown, now: datetime) -> Judged:
    """Put an answer into its class: 2xx is taken, 410 is the end, all else is tried again."""
    if not isinstance(answer, Response):
        return Judged(outcome=Outcome.FAILED, status=0, reason=answer.reason)
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Judged(outcome=Outcome.DELIVERED, status=status)
    outcome = Outcome.GONE if status == HTTPStatus.GONE else Outcome.FAILED
    also = ": redirects are not followed" if status in REDIRECTS else ""
    return Judged(
        outcome=outcome,
        status=status,
        reason=f"answered {status}{also}",
        asked=retry_after(answer.headers, now),
    )


def follow(
    judged: Judged, *, made: int, failing_since: datetime | None, now: datetime, jitter: float
) -> Next:
    """Say what follows of the try that was number `made`; `failing_since` as it was before."""
    if judged.outcome is Outcome.DELIVERED:
        return Next(state=State.DELIVERED, due_at=now, failing_since=None, quiet_until=None)
    since = failing_since or now
    wait = schedule.next_wait(made, asked=judged.asked, jitter=jitter)
    asked = min(judged.asked or timedelta(), schedule.LONGEST_ASKED)
    disabled = FAILING if now - since >= FAILS_AT_MOST else ""
    return Next(
        state=State.GIVEN_UP if wait is None else State.WAITING,
        due_at=now + (wait or timedelta()),
        failing_since=since,
        quiet_until=now + asked if asked else None,
        disabled=GONE if judged.outcome is Outcome.GONE else disabled,
    )
