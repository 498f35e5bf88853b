"""What an exchange with the EHR means. Pure: one table, every case a test."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    GONE = "gone"  # read back; if it is so, hold: the deletion may be deliberate


class Asked(StrEnum):
    """What the request was: the same status may mean another thing."""

    BUNDLE = "bundle"  # a transaction or a batch: a Bundle must come back
    CREATE = "create"  # one PUT of what the EHR does not have
    UPDATE = "update"  # one PUT of what the ledger says it has


RETRY_STATUS = frozenset({408, 423, 425, 429, 503})
CONFLICT_STATUS = frozenset({409, 412})
PERMANENT_STATUS = frozenset({400, 403, 404, 405, 406, 411, 413, 414, 415, 422, 431})
SUCCESS = {
    Asked.BUNDLE: frozenset({200, 201}),
    Asked.CREATE: frozenset({200, 201, 204}),
    Asked.UPDATE: frozenset({200, 201, 204}),
}
TRANSIENT_ISSUES = frozenset({"transient", "lock-error", "throttled", "timeout", "no-store"})
SIGN_IN_ISSUES = frozenset({"login", "expired"})
DELETED = "deleted"
# What says, under a status that is in no table, that the same content will be refused again.
CONTENT_ISSUES = frozenset(
    {
        "invalid", "structure", "required", "value", "invariant", "not-supported", "duplicate",
        "multiple-matches", "too-long", "code-invalid", "extension", "business-rule", "forbidden",
    }
)  # fmt: skip
LONGEST_READ = 10**8  # seconds: more than three years is as good as never


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One classified exchange. `reason` is our words, a status and issue types: safe to log."""

    kind: Kind
    reason: str
    status: int = 0  # 0: no answer
    counted: bool = False  # a RETRY of which five are enough: nobody knows what the status means
    retry_after: timedelta | None = None
    body: dict[str, Any] | None = None

    @property
    def redirects(self) -> bool:
        """Say whether the EHR wants us to go elsewhere, which we never do."""
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST


def classify(
    outcome: Response | NotSent | Unknown, *, now: datetime, asked: Asked = Asked.BUNDLE
) -> Answer:
    """Put any outcome of a request in one class. `OK` still needs id and version checked."""
    if isinstance(outcome, NotSent):
        kind = Kind.AUTH if outcome.refused else Kind.RETRY
        return Answer(kind=kind, reason=f"not sent: {outcome.reason}")
    if isinstance(outcome, Unknown):
        return Answer(kind=Kind.UNKNOWN, reason=f"no certain answer: {outcome.reason}")
    body = _body(outcome)
    if outcome.status in SUCCESS[asked]:
        return _success(outcome, body, asked)
    return _failure(outcome, body, now, asked)


def _success(outcome: Response, body: dict[str, Any] | None, asked: Asked) -> Answer:
    """Take only what can be an answer to the request: a 200 may be a login page."""
    status, issues = outcome.status, issue_codes(body)
    if _can_be_success(outcome, body, issues, asked):
        return Answer(kind=Kind.OK, reason=f"answered {status}", status=status, body=body)
    wanted = "Bundle" if asked is Asked.BUNDLE else "resource"
    found = (
        f"an OperationOutcome ({', '.join(issues)})"
        if issues
        else f"something that is not a FHIR {wanted}"
    )
    return Answer(kind=Kind.UNKNOWN, reason=f"answered {status} with {found}", status=status)


def _can_be_success(
    outcome: Response, body: dict[str, Any] | None, issues: tuple[str, ...], asked: Asked
) -> bool:
    kind = None if body is None else body.get("resourceType")
    if asked is Asked.BUNDLE:
        return kind == "Bundle"
    return not issues and (not outcome.body or isinstance(kind, str)) and kind != "Bundle"


def _failure(outcome: Response, body: dict[str, Any] | None, now: datetime, asked: Asked) -> Answer:
    status, issues = outcome.status, issue_codes(body)
    kind = _kind(status, issues, asked)
    reason = f"answered {status}" + (f" ({', '.join(issues)})" if issues else "")
    reason += f"; {outcome.note}" if outcome.note else ""
    answer = Answer(
        kind=kind,
        reason=reason,
        status=status,
        counted=kind is Kind.RETRY and status not in RETRY_STATUS and not _is_transient(issues),
        retry_after=retry_after(outcome.headers, now),
        body=body,
    )
    if answer.redirects:
        return replace(answer, reason=f"{reason}, a redirect, which is never followed")
    return answer


def _kind(status: int, issues: tuple[str, ...], asked: Asked) -> Kind:
    """Decide by the status where it says enough, else by the issue types."""
    if status in CONFLICT_STATUS:
        return Kind.CONFLICT
    if status in RETRY_STATUS:
        return Kind.RETRY
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.MULTIPLE_CHOICES:
        return Kind.UNKNOWN
    return _of_a_refusal(status, issues, asked)


def _of_a_refusal(status: int, issues: tuple[str, ...], asked: Asked) -> Kind:
    """Tell the 3xx and 4xx apart: nothing happened, and what comes next depends on why."""
    if _is_transient(issues):
        return Kind.RETRY
    if status == HTTPStatus.UNAUTHORIZED or SIGN_IN_ISSUES.intersection(issues):
        return Kind.AUTH
    if status == HTTPStatus.GONE or DELETED in issues:
        return Kind.GONE
    if status == HTTPStatus.NOT_FOUND and asked is Asked.UPDATE:
        return Kind.GONE
    known = status < HTTPStatus.BAD_REQUEST or status in PERMANENT_STATUS
    return Kind.PERMANENT if known or CONTENT_ISSUES.intersection(issues) else Kind.RETRY


def _is_transient(issues: tuple[str, ...]) -> bool:
    return bool(TRANSIENT_ISSUES.intersection(issues))


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Read Retry-After in seconds or as a date; None where it is absent or makes no sense."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), LONGEST_READ))
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
