"""How much may go to a destination, and until when nothing may. Pure: a state and the time in."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from fhirbridge.deliver import breaker as breakers
from fhirbridge.deliver.answer import retry_after
from fhirbridge.deliver.breaker import Breaker, Standing
from fhirbridge.destinations.limits import Limits
from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.outbox.backoff import LONGEST_ASKED

LONGEST_TURN = timedelta(seconds=2)  # a worker waits this long for its turn, else does other things
ONE_DAY = timedelta(days=1)
DOWN = "down"
ASKED = "asked to wait"
QUOTA = "quota"
BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What is remembered of the requests to one destination, by all who send them."""

    breaker: Breaker = breakers.CALM
    asked_at: datetime | None = None  # when the server said how long to wait
    asked_until: datetime | None = None
    asked: timedelta = timedelta()  # what it said, which may be more than is waited
    next_at: datetime | None = None  # the next request's turn
    day: str = ""
    used: int = 0  # requests of that day


QUIET = Traffic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Nothing goes before `until`."""

    cause: str
    until: datetime
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A request may go after `wait`; `traffic` is what has to be remembered first."""

    traffic: Traffic
    wait: timedelta = field(default_factory=timedelta)


def closed(traffic: Traffic, limits: Limits, now: datetime) -> Closed | None:
    """Say why and until when nothing may go; the reason that lasts longest. None: it may."""
    found = [
        _down(traffic, now),
        _asked(traffic, now),
        _used_up(traffic, limits, now),
        _busy(traffic, limits, now),
    ]
    return max((one for one in found if one is not None), key=lambda one: one.until, default=None)


def turn(traffic: Traffic, limits: Limits, now: datetime) -> Turn | Closed:
    """Give one request its turn, or say until when there is none."""
    shut = closed(traffic, limits, now)
    if shut is not None:
        return shut
    at = _turn_at(traffic, limits, now)
    taken = traffic
    if limits.rps:
        taken = replace(taken, next_at=at + _step(limits))
    if limits.per_day:
        day, used = _used(traffic, now)
        taken = replace(taken, day=day, used=used + 1)
    if breakers.standing(traffic.breaker, now) is Standing.HALF_OPEN:
        taken = replace(taken, breaker=breakers.probing(traffic.breaker, now))
    return Turn(traffic=taken, wait=at - now)


def after(traffic: Traffic, outcome: Response | NotSent | Unknown, now: datetime) -> Traffic:
    """Take in how a request ended."""
    good = breakers.is_good(outcome)
    known = replace(traffic, breaker=breakers.after(traffic.breaker, now, good=good))
    asked = _wish(outcome, now)
    if asked is None:
        return known
    until = now + min(asked, LONGEST_ASKED)
    return replace(known, asked_at=now, asked_until=until, asked=asked)


def _down(traffic: Traffic, now: datetime) -> Closed | None:
    until = breakers.waits_until(traffic.breaker, now)
    if until is None:
        return None
    return Closed(cause=DOWN, until=until, words="its requests fail; one is tried then")


def _asked(traffic: Traffic, now: datetime) -> Closed | None:
    """Heed what the server asked for; a clock that went back does not make it longer."""
    at, until = traffic.asked_at, traffic.asked_until
    if at is None or until is None or not at <= now < until:
        return None
    seconds = int(traffic.asked.total_seconds())
    words = f"it asked to wait {seconds} seconds"
    if traffic.asked > LONGEST_ASKED:
        words += "; we ask again after a day"
    return Closed(cause=ASKED, until=until, words=words)


def is_used_up(traffic: Traffic, limits: Limits, now: datetime) -> bool:
    """Say whether the requests of the day are used up."""
    return bool(limits.per_day) and _used(traffic, now)[1] >= limits.per_day


def _used_up(traffic: Traffic, limits: Limits, now: datetime) -> Closed | None:
    if not is_used_up(traffic, limits, now):
        return None
    day, _ = _used(traffic, now)
    until = datetime.fromisoformat(f"{day}T00:00:00+00:00") + ONE_DAY
    words = f"the {limits.per_day} requests of {day} are used up"
    return Closed(cause=QUOTA, until=until, words=words)


def _busy(traffic: Traffic, limits: Limits, now: datetime) -> Closed | None:
    at = _turn_at(traffic, limits, now)
    if at - now <= LONGEST_TURN:
        return None
    return Closed(cause=BUSY, until=at, words="the limit of requests per second is reached")


def _used(traffic: Traffic, now: datetime) -> tuple[str, int]:
    """Return the day that counts and its requests; a clock set back over midnight starts none."""
    today = now.astimezone(UTC).date().isoformat()
    tomorrow = (now.astimezone(UTC) + ONE_DAY).date().isoformat()
    return (traffic.day, traffic.used) if traffic.day in (today, tomorrow) else (today, 0)


def _turn_at(traffic: Traffic, limits: Limits, now: datetime) -> datetime:
    if not limits.rps or traffic.next_at is None:
        return now
    # Nobody reserves further ahead than this: a later turn was given by a clock that was ahead.
    last = now + LONGEST_TURN + _step(limits)
    return now if traffic.next_at > last else max(now, traffic.next_at)


def _step(limits: Limits) -> timedelta:
    return timedelta(seconds=1 / limits.rps)


def _wish(outcome: Response | NotSent | Unknown, now: datetime) -> timedelta | None:
    """Return how long a server asks to be left alone; "at once" is no wish."""
    if not isinstance(outcome, Response):
        return None
    if outcome.status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return None
    asked = retry_after(outcome.headers, now)
    return asked if asked is not None and asked > timedelta() else None
