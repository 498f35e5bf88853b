"""From untrusted bytes to a checked record: everything that is wrong is found at once.

Errors refuse the record. A held element is taken out and the rest goes on. A warning is sent and
shown. The values that come out live in `checked`, which is light to import.
"""

from fhirbridge.fhir import codec
from fhirbridge.records import moments, structure
from fhirbridge.records.checked import CheckedRecord, InvalidRecordError
from fhirbridge.records.draft import Draft
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.rules import order
from fhirbridge.records.source_schema import source_schema

__all__ = ["CheckedRecord", "InvalidRecordError", "load"]


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
