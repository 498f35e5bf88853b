"""The Subscriptions that are to be at an EHR, and what is to be done with those that are. Pure."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from fhirbridge.fhir.names import TAG_SYSTEM, Key

HOOK = "/hooks/ehr/v1/"
KIND = "Subscription"
LIFETIME = timedelta(days=14)
RENEWED_BEFORE = timedelta(days=7)  # its end
# Neither at every look: an EHR may end it sooner than asked, never start it, or put it off again.
AGAIN_AFTER = timedelta(hours=1)
STARTS_WITHIN = timedelta(minutes=10)


class State(StrEnum):
    """How notifications stand."""

    OFF = "off"  # nobody asked for them
    REQUESTED = "requested"  # the EHR has not begun yet
    ACTIVE = "active"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one destination is to have. Shows no secret."""

    name: str  # opaque: of our Subscriptions at this destination
    address: str
    token: str
    secret: str

    def __repr__(self) -> str:
        """Show neither token nor secret."""
        return f"Wanted({self.name})"

    @property
    def endpoint(self) -> str:
        """Return where the EHR calls us; nobody can guess it."""
        return f"{self.address}{HOOK}{self.token}"

    def key(self, kind: str = "") -> Key:
        """Return what marks ours for one type, or for all of them."""
        value = f"{self.name}.{kind}" if kind else self.name
        return Key(type=KIND, parameter="_tag", system=TAG_SYSTEM, value=value)

    def body(self, kind: str, now: datetime, there: str = "") -> dict[str, Any]:
        """Return the Subscription for one type. It asks for no payload: nothing of a chart comes.

        `there`: its id where it is there.
        """
        tags = [{"system": TAG_SYSTEM, "code": key.value} for key in (self.key(), self.key(kind))]
        return {
            "resourceType": KIND,
            **({"id": there} if there else {}),
            "meta": {"tag": tags},
            "status": "requested",
            "end": _instant(now + LIFETIME),
            "reason": "fhirbridge looks at what changed",
            "criteria": f"{kind}?",
            "channel": {
                "type": "rest-hook",
                "endpoint": self.endpoint,
                "header": [f"Authorization: Bearer {self.secret}"],
            },
        }


def was_just_written(now: datetime, last: datetime | None) -> bool:
    """Say whether ours were written so short ago that they are left as the EHR has them."""
    return last is not None and timedelta() <= now - last < AGAIN_AFTER


def must_be_written(
    there: Mapping[str, Any], wanted: Wanted, kind: str, now: datetime, last: datetime | None
) -> bool:
    """Say whether one of ours is to be written over; `last`: when that was, None: not as it is."""
    if was_just_written(now, last):
        return False
    channel = there.get("channel")
    is_ours = isinstance(channel, dict) and channel.get("endpoint") == wanted.endpoint
    until = ends(there)
    runs_on = until is None or until - now > RENEWED_BEFORE
    stands = state(there, now, last) is not State.ERROR
    return not (is_ours and there.get("criteria") == f"{kind}?" and runs_on and stands)


def state(there: Mapping[str, Any], now: datetime, last: datetime | None) -> State:
    """Say how one stands that was last written at `last`."""
    said = there.get("status")
    if said == State.ACTIVE:
        return State.ACTIVE
    starting = said == State.REQUESTED and (last is None or now - last < STARTS_WITHIN)
    return State.REQUESTED if starting else State.ERROR


def ends(there: Mapping[str, Any]) -> datetime | None:
    """Return when one ends by itself, or None."""
    try:
        found = datetime.fromisoformat(str(there.get("end")))
    except ValueError:
        return None
    return found if found.tzinfo else None


def hashed(secret: str) -> str:
    """Return by what a secret is known that is never compared itself."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_same(one: str, other: str) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
