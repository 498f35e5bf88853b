"""What a token endpoint's answer means. Pure; a text of the server is never repeated."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.fhir import codec

UNSAID_LIFE = timedelta(minutes=5)  # what SMART asks servers to give at most
SHORTEST_LIFE = timedelta(minutes=1)  # where 0 or less is said: else each request would ask
LONGEST_LIFE = timedelta(hours=24)
BEFORE_END = timedelta(seconds=30)
LARGEST_SKEW = timedelta(seconds=30)
FIRST_QUIET = timedelta(seconds=15)
LONGEST_QUIET = timedelta(hours=1)

_TOKEN = re.compile(r"[!-~]{1,16384}")
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?")
_SCOPES = re.compile(r"[!-~ ]{0,8192}")
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)  # RFC 6749, section 5.2
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Granted:
    """A token, what it is good for, and how long."""

    token: str
    scopes: str
    life: timedelta
    refresh_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """They do not let us in; asking again changes nothing. `reason` is our words."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No answer that says anything of us; it may do so after `wait`."""

    reason: str
    wait: timedelta = FIRST_QUIET
    moved: bool = False  # there is no token endpoint at that address


Fetched = Granted | Refused | Failed


def read(outcome: Response | NotSent | Unknown, *, asked: str, now: datetime) -> Fetched:
    """Read the answer to a token request that asked for the scopes `asked`."""
    if not isinstance(outcome, Response):
        return Failed(reason=f"the token endpoint gave no answer: {outcome.reason}")
    if outcome.status == HTTPStatus.OK:
        return _granted(outcome, asked)
    words = f"the token endpoint answered {outcome.status}"
    if outcome.status in _REFUSALS:
        return Refused(reason=f"{words}{_error(outcome)}{skew_words(outcome, now)}")
    if HTTPStatus.MULTIPLE_CHOICES <= outcome.status < HTTPStatus.BAD_REQUEST:
        return Failed(reason=f"{words}, a redirect, which is never followed")
    moved = outcome.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
    return Failed(reason=words, wait=_wait(outcome), moved=moved)


def _granted(outcome: Response, asked: str) -> Fetched:
    said = body(outcome)
    if said is None:
        return Failed(reason="the token endpoint answered 200 with something that is not JSON")
    token, kind = said.get("access_token"), said.get("token_type")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return Failed(reason="the token endpoint answered 200 without a usable access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return Failed(reason="the token endpoint gave a token that is not of type bearer")
    scopes = said.get("scope")
    known = isinstance(scopes, str) and _SCOPES.fullmatch(scopes)
    life = lifetime(said.get("expires_in"))
    return Granted(
        token=token,
        scopes=str(scopes) if known else asked,  # RFC 6749: left out where it is what was asked
        life=life,
        refresh_after=refresh_after(life),
    )


def lifetime(said: Any) -> timedelta:
    """Take `expires_in` in seconds, also as text; what says nothing is a short life."""
    if isinstance(said, str) and _NUMBER.fullmatch(said.strip()):
        said = Decimal(said.strip())
    if isinstance(said, bool) or not isinstance(said, int | Decimal):
        return UNSAID_LIFE
    seconds = max(0, min(said, int(LONGEST_LIFE.total_seconds())))
    return max(timedelta(seconds=float(seconds)), SHORTEST_LIFE if said <= 0 else timedelta(0))


def refresh_after(life: timedelta) -> timedelta:
    """Return when to fetch the next one: at 80 % of its life, or 30 s before its end."""
    if life <= 2 * BEFORE_END:
        return life / 2
    return min(life * 0.8, life - BEFORE_END)


def body(outcome: Response) -> dict[str, Any] | None:
    """Return the JSON object of an answer, or None where it is anything else."""
    try:
        value = codec.decode(outcome.body)
    except codec.NotJsonError:
        return None
    return value if isinstance(value, dict) else None


def skew_words(outcome: Response, now: datetime) -> str:
    """Say how far our clock is from the server's, where that may be why; else nothing."""
    try:
        theirs = parsedate_to_datetime(outcome.headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return ""
    if theirs.tzinfo is None or abs(now - theirs) <= LARGEST_SKEW:
        return ""
    return f"; this machine's clock is {apart_words(now - theirs)} theirs: set it by NTP"


def apart_words(ahead: timedelta) -> str:
    """Say how far ahead or behind a clock is."""
    seconds = abs(ahead).total_seconds()
    much = f"{seconds / 60:.0f} minutes" if seconds > 120 else f"{seconds:.0f} s"  # noqa: PLR2004
    return f"{much} {'ahead of' if ahead > timedelta() else 'behind'}"


def _error(outcome: Response) -> str:
    said = (body(outcome) or {}).get("error")
    return f" ({said})" if isinstance(said, str) and said in _ERRORS else ""


def _wait(outcome: Response) -> timedelta:
    asked = outcome.headers.get("retry-after", "").strip()
    if not (asked.isascii() and asked.isdigit()):
        return FIRST_QUIET
    return max(FIRST_QUIET, min(timedelta(seconds=int(asked[:6])), LONGEST_QUIET))
