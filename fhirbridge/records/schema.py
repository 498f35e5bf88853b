"""From untrusted bytes to a checked record: everything that is wrong is found at once.

Errors refuse the record. A held element is taken out and the rest goes on. A warning is sent and
shown.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records import moments, structure
from fhirbridge.records.draft import Draft
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.rules import order
from fhirbridge.records.source_schema import source_schema


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


def load(raw: bytes) -> CheckedRecord:
    """Read and check one session record.

    Raises NotJsonError where the bytes are not strict JSON, InvalidRecordError where the record
    is refused.
    """
    sent = codec.decode(raw)
    if not isinstance(sent, dict):
        message = "the record must be an object in braces"
        raise InvalidRecordError(
            (Finding(level=Level.ERROR, code="R102", pointer="", message=message),)
        )
    draft = Draft(sent)
    source = source_schema()
    structure.check(draft, source)
    moments.check(draft, source)
    order.check(draft, source)
    findings = _worst_first(draft.findings)
    if any(finding.level is Level.ERROR for finding in findings):
        raise InvalidRecordError(findings)
    return CheckedRecord(
        document=draft.finish(),
        findings=findings,
        session_id=sent["session_id"],
        version=sent["version"],
        content_hash=codec.content_hash(sent),
        zone_applied=tuple(draft.zone_applied),
    )


def _worst_first(findings: list[Finding]) -> tuple[Finding, ...]:
    ranks = list(Level)
    return tuple(sorted(findings, key=lambda finding: ranks.index(finding.level)))
