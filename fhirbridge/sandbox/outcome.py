"""What the sandbox answers when it does not do as asked: one error type, one OperationOutcome."""

from enum import StrEnum
from http import HTTPStatus
from typing import Any

from fhirbridge.errors import BridgeError


class Issue(StrEnum):
    """The R4 issue codes in use here (HAPI says `processing` for nearly everything)."""

    CONFLICT = "conflict"
    DELETED = "deleted"
    EXCEPTION = "exception"
    INFORMATIONAL = "informational"
    INVALID = "invalid"
    LOGIN = "login"
    MULTIPLE_MATCHES = "multiple-matches"
    NOT_FOUND = "not-found"
    NOT_SUPPORTED = "not-supported"
    STRUCTURE = "structure"
    TOO_LONG = "too-long"


class RefusedError(BridgeError):
    """A request is refused: `http_status` and `issue` say how, `location` names a version."""

    code = "E950"

    def __init__(
        self, status: HTTPStatus, issue: Issue, message: str, *, hint: str = "", location: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.http_status = status
        self.issue = issue
        self.location = location

    def outcome(self) -> dict[str, Any]:
        """Return this refusal as an OperationOutcome."""
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        return outcome("error", self.issue, text)


def outcome(severity: str, issue: Issue, diagnostics: str) -> dict[str, Any]:
    """Return an OperationOutcome with one issue."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": str(issue), "diagnostics": diagnostics}],
    }


def bad_request(message: str, *, hint: str = "", issue: Issue = Issue.INVALID) -> RefusedError:
    """Return a refusal with status 400."""
    return RefusedError(HTTPStatus.BAD_REQUEST, issue, message, hint=hint)


def not_found(message: str, *, hint: str = "") -> RefusedError:
    """Return a refusal with status 404."""
    return RefusedError(HTTPStatus.NOT_FOUND, Issue.NOT_FOUND, message, hint=hint)
