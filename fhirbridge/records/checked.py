"""What a check ends in: the record that may go on, or the refusal. Imports nothing heavy."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fhirbridge.errors import BridgeError
from fhirbridge.records.findings import Finding, Level


class InvalidRecordError(BridgeError):
    """The record is refused. `findings` holds all that was found, errors first."""

    code = "E102"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        """Take every finding; at least one is an error."""
        errors = [finding for finding in findings if finding.level is Level.ERROR]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        place = errors[0].pointer or "the record"
        super().__init__(
            f"the record is refused: {place}: {errors[0].message}{more}",
            hint="mend what the findings name and send the record again",
        )
        self.findings = findings


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRecord:
    """A record that may go on.

    `document` is its public JSON form: numbers are Decimal or int, every time has an offset, held
    elements and rows taken back are not in it. `content_hash` is that of the document as sent.
    `zone_applied` points at the times that came without an offset and were read in the clinic's
    zone.
    """

    document: dict[str, Any]
    findings: tuple[Finding, ...]
    session_id: str
    version: int
    content_hash: str
    zone_applied: tuple[str, ...] = ()
