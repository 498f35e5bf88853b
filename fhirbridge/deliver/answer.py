"""What an exchange with the EHR means. Pure: one table, every case a test."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.fhir import codec
from fhirbridge.fhir.outcome import issue_codes


class Kind(StrEnum):
    """The classes of answers, each with one action."""

    OK = "ok"  # save versions, next
    RETRY = "retry"  # nothing happened: wait, send again
    UNKNOWN = "unknown"  # read back before anything else
    CONFLICT = "conflict"  # read back: ours, still our base, or edited
    AUTH = "auth"  # stop the destination, not the record
    PERMANENT = "permanent"  # park with the reason
    GONE = "gone"  # hold: the deletion may be deliberate


RETRY_STATUS = frozenset({408, 423, 425, 429, 503})
UNKNOWN_STATUS = frozenset({500, 502, 504})
CONFLICT_STATUS = frozenset({409, 412})
TRANSIENT_ISSUES = frozenset({"transient", "lock-error", "throttled", "timeout", "no-store"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One classified exchange. `reason` is our words, a status and issue types: safe to log."""

    kind: Kind
    reason: str
    retry_after: timedelta | None = None
    body: dict[str, Any] | None = None


def classify(outcome: Response | NotSent | Unknown, *, now: datetime) -> Answer:
    """Put any outcome of a Bundle POST in one class. `OK` still needs its entries checked."""
    if isinstance(outcome, NotSent):
        return Answer(kind=Kind.RETRY, reason=f"not sent: {outcome.reason}")
    if isinstance(outcome, Unknown):
        return Answer(kind=Kind.UNKNOWN, reason=f"no certain answer: {outcome.reason}")
    body = _body(outcome)
    if outcome.status in (200, 201):
        return _success(outcome, body)
    return _failure(outcome, body, now)


def _success(outcome: Response, body: dict[str, Any] | None) -> Answer:
    """Take only a Bundle as an answer to a Bundle: a 200 may be a login page."""
    if body is not None and body.get("resourceType") == "Bundle":
        return Answer(kind=Kind.OK, reason=f"answered {outcome.status}", body=body)
    issues = issue_codes(body)
    found = (
        f"an OperationOutcome ({', '.join(issues)})"
        if issues
        else "something that is not a FHIR Bundle"
    )
    return Answer(kind=Kind.UNKNOWN, reason=f"answered {outcome.status} with {found}")


def _failure(outcome: Response, body: dict[str, Any] | None, now: datetime) -> Answer:
    issues = issue_codes(body)
    reason = f"answered {outcome.status}" + (f" ({', '.join(issues)})" if issues else "")
    after = retry_after(outcome.headers, now)
    return Answer(kind=_kind(outcome.status, issues), reason=reason, retry_after=after, body=body)


def _kind(status: int, issues: tuple[str, ...]) -> Kind:
    if status in CONFLICT_STATUS:
        return Kind.CONFLICT
    if status in RETRY_STATUS or (
        status not in UNKNOWN_STATUS and TRANSIENT_ISSUES.intersection(issues)
    ):
        return Kind.RETRY
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.MULTIPLE_CHOICES:
        return Kind.UNKNOWN
    if status == HTTPStatus.UNAUTHORIZED:
        return Kind.AUTH
    if status == HTTPStatus.GONE:
        return Kind.GONE
    return Kind.PERMANENT


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Read Retry-After in seconds or as a date; None where it is absent or makes no sense."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 10**8))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(moment - now, timedelta())


def _body(outcome: Response) -> dict[str, Any] | None:
    try:
        value = codec.decode(outcome.body)
    except codec.NotJsonError:
        return None
    return value if isinstance(value, dict) else None
