"""Whose turn it is to fetch a token, and when nobody may. Pure: a state and the time in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MOST_REFUSED = 2  # calls that came to nothing, within this:
WITHIN = timedelta(minutes=5)
AFTER_REFUSAL = timedelta(seconds=30)  # before the second call: they may have had a bad moment
OVER_WITHIN = timedelta(hours=1)  # two refusals within it: no bad moment
LEASE = timedelta(seconds=20)  # who fetches is done by then, or dead
FRESH = timedelta(seconds=60)  # a token refused this young was never good; later, it ended early
LONGEST_QUIET = timedelta(hours=1)


class Do(StrEnum):
    """What to do for one request."""

    USE = "use"  # the token that is there
    FETCH = "fetch"  # if the lease can be had
    WAIT = "wait"  # somebody fetches
    STOP = "stop"  # refused as often as is allowed
    LATER = "later"  # the last call failed just now


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of one destination's token. None: never, or not now."""

    has_token: bool = False
    issued_at: datetime | None = None
    refresh_at: datetime | None = None
    expires_at: datetime | None = None
    leased_until: datetime | None = None
    quiet_until: datetime | None = None
    refused: tuple[datetime, ...] = ()


def decide(known: Standing, now: datetime) -> Do:
    """Say what to do. A clock that went back costs a call, never a stop for long."""
    usable = is_usable(known, now)
    if usable and known.refresh_at is not None and now < known.refresh_at:
        return Do.USE
    if may_call_at(known, now) is not None:
        return Do.USE if usable else Do.STOP
    if _lies_ahead(known.quiet_until, now, LONGEST_QUIET):
        return Do.USE if usable else Do.LATER
    if _lies_ahead(known.leased_until, now, LEASE):
        return Do.USE if usable else Do.WAIT
    return Do.FETCH


def is_usable(known: Standing, now: datetime) -> bool:
    """Say whether the token can still be sent."""
    if not known.has_token or known.issued_at is None or known.expires_at is None:
        return False
    return known.issued_at - FRESH <= now < known.expires_at


def may_call_at(known: Standing, now: datetime) -> datetime | None:
    """Return from when a call is allowed again, where refusals forbid it now; else None."""
    recent = sorted(one for one in known.refused if one <= now < one + WITHIN)
    return recent[-MOST_REFUSED] + WITHIN if len(recent) >= MOST_REFUSED else None


def is_over(known: Standing, now: datetime) -> bool:
    """Say whether they refused so often that a person must look."""
    return sum(one <= now < one + OVER_WITHIN for one in known.refused) >= MOST_REFUSED


def with_refusal(refused: tuple[datetime, ...], now: datetime) -> tuple[datetime, ...]:
    """Note one call that came to nothing."""
    return (*refused, now)[-MOST_REFUSED:]


def was_never_good(issued_at: datetime, now: datetime) -> bool:
    """Say of a token that the EHR refused whether it counts as a refused call."""
    return now < issued_at + FRESH


def _lies_ahead(at: datetime | None, now: datetime, at_most: timedelta) -> bool:
    return at is not None and now < at <= now + at_most
