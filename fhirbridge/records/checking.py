"""The machinery of a check: form first, then times, then rules; everything wrong at once.

Errors refuse the record. A held element is taken out and the rest goes on. A warning is sent and
shown.
"""

from collections.abc import Callable

from marshmallow import Schema

from fhirbridge.fhir import codec
from fhirbridge.records import moments, structure
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.draft import Draft
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.source import SourceField

Rules = Callable[[Draft, SourceField], None]


def draft_of(raw: bytes) -> Draft:
    """Read the bytes; raise NotJsonError, or InvalidRecordError where they are no object."""
    sent = codec.decode(raw)
    if not isinstance(sent, dict):
        message = "the record must be an object in braces"
        raise InvalidRecordError(
            (Finding(level=Level.ERROR, code="R102", pointer="", message=message),)
        )
    return Draft(sent)


def check(draft: Draft, form: Schema, source: SourceField, rules: Rules) -> tuple[Finding, ...]:
    """Check a draft and return what is held and what is unusual; raise InvalidRecordError."""
    structure.check(draft, form, source)
    moments.check(draft, source)
    rules(draft, source)
    findings = _worst_first(draft.findings)
    if any(finding.level is Level.ERROR for finding in findings):
        raise InvalidRecordError(findings)
    return findings


def _worst_first(findings: list[Finding]) -> tuple[Finding, ...]:
    ranks = list(Level)
    return tuple(sorted(findings, key=lambda finding: ranks.index(finding.level)))
