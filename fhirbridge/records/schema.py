"""From untrusted bytes to a checked session record.

The values that come out live in `checked`, which is light to import.
"""

from functools import cache

from fhirbridge.fhir import codec
from fhirbridge.records import checking
from fhirbridge.records.checked import CheckedRecord, InvalidRecordError
from fhirbridge.records.parts.session import SessionRecord
from fhirbridge.records.rules import order
from fhirbridge.records.source_schema import source_schema

__all__ = ["CheckedRecord", "InvalidRecordError", "load"]


def load(raw: bytes) -> CheckedRecord:
    """Read and check one session record.

    Raises NotJsonError where the bytes are not strict JSON, InvalidRecordError where the record
    is refused.
    """
    draft = checking.draft_of(raw)
    findings = checking.check(draft, _form(), source_schema(), order.check)
    return CheckedRecord(
        document=draft.finish(),
        findings=findings,
        session_id=draft.sent["session_id"],
        version=draft.sent["version"],
        content_hash=codec.content_hash(draft.sent),
        zone_applied=tuple(draft.zone_applied),
    )


@cache
def _form() -> SessionRecord:
    return SessionRecord()
