"""When a destination that fails is left alone, and when it is tried again. Pure.

Successes are noted only after a failure: in good times the state never changes.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from fhirbridge.egress.exchange import NotSent, Response, Unknown

MOST_IN_A_ROW = 10
LOOKED_AT = 20
MOST_OF_THEM = 10
WITHIN = timedelta(seconds=60)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
PROBE_LASTS = timedelta(seconds=60)  # twice the longest exchange: its worker is dead

# The server is not well, or nothing we send it can be right.
FAILED_STATUS = frozenset({400, 404, 405, 406, 408, 415, 425, 429})


class Standing(StrEnum):
    """Whether requests may go."""

    CLOSED = "closed"  # they flow
    OPEN = "open"  # none goes
    HALF_OPEN = "half-open"  # one may go, to see
    PROBING = "probing"  # that one is under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """How one exchange ended."""

    at: datetime
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What is remembered of one destination. `pause` is zero while it is closed."""

    in_a_row: int = 0
    recent: tuple[Noted, ...] = ()
    opened_at: datetime | None = None
    pause: timedelta = timedelta()
    probed_at: datetime | None = None


CALM = Breaker()


def standing(breaker: Breaker, now: datetime) -> Standing:
    """Say whether requests may go. A clock that went back costs one early probe, no more."""
    if not breaker.pause or breaker.opened_at is None:
        return Standing.CLOSED
    if breaker.opened_at <= now < breaker.opened_at + breaker.pause:
        return Standing.OPEN
    probed = breaker.probed_at
    if probed is not None and probed <= now < probed + PROBE_LASTS:
        return Standing.PROBING
    return Standing.HALF_OPEN


def waits_until(breaker: Breaker, now: datetime) -> datetime | None:
    """Return until when nothing may go, or None where something may."""
    found = standing(breaker, now)
    if found is Standing.OPEN and breaker.opened_at is not None:
        return breaker.opened_at + breaker.pause
    if found is Standing.PROBING and breaker.probed_at is not None:
        return breaker.probed_at + PROBE_LASTS
    return None


def probing(breaker: Breaker, now: datetime) -> Breaker:
    """Let one request through a half-open breaker."""
    return replace(breaker, probed_at=now)


def after(breaker: Breaker, now: datetime, *, good: bool) -> Breaker:
    """Take in how one exchange ended."""
    if breaker.pause:
        return CALM if good else _still_down(breaker, now)
    in_a_row = 0 if good else breaker.in_a_row + 1
    recent = _recent(breaker, now, good=good)
    bad = sum(not one.good for one in recent)
    if in_a_row >= MOST_IN_A_ROW or (len(recent) == LOOKED_AT and bad >= MOST_OF_THEM):
        return Breaker(in_a_row=in_a_row, opened_at=now, pause=FIRST_PAUSE)
    if not in_a_row and not bad:
        return CALM
    return Breaker(in_a_row=in_a_row, recent=recent)


def _still_down(breaker: Breaker, now: datetime) -> Breaker:
    """Wait twice as long after a probe that failed; what went before the opening says nothing."""
    if standing(breaker, now) is Standing.OPEN:
        return breaker
    pause = min(breaker.pause * 2, LONGEST_PAUSE)
    return Breaker(in_a_row=breaker.in_a_row + 1, opened_at=now, pause=pause)


def _recent(breaker: Breaker, now: datetime, *, good: bool) -> tuple[Noted, ...]:
    known = [one for one in breaker.recent if abs(now - one.at) < WITHIN]
    return (*known, Noted(at=now, good=good))[-LOOKED_AT:]


def is_good(outcome: Response | NotSent | Unknown) -> bool:
    """Say whether the far side did its work, whatever it thought of the content."""
    if isinstance(outcome, NotSent):
        return outcome.refused  # as a 401: the destination is stopped, not left alone for a while
    if isinstance(outcome, Unknown):
        return False
    if outcome.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return outcome.body.lstrip()[:1] == b"{"  # a sign-in page is no answer
    redirected = HTTPStatus.MULTIPLE_CHOICES <= outcome.status < HTTPStatus.BAD_REQUEST
    failed = redirected or outcome.status in FAILED_STATUS
    return not failed and outcome.status < HTTPStatus.INTERNAL_SERVER_ERROR
