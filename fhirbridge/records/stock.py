"""From untrusted bytes to a checked stock record: the same machinery, another form."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records import checking
from fhirbridge.records.draft import Draft
from fhirbridge.records.findings import Finding
from fhirbridge.records.parts.stock import StockRecord
from fhirbridge.records.rules import identity, measures, references, spans, stocktaking, versions
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import tree_of

RETRACTABLE = ("receipts", "vials", "returns", "counts", "losses")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedStock:
    """A stock record that may go on; `document` is as that of a session record."""

    document: dict[str, Any]
    findings: tuple[Finding, ...]
    clinic_id: str
    stock_id: str
    version: int
    content_hash: str
    zone_applied: tuple[str, ...] = ()


def load(raw: bytes) -> CheckedStock:
    """Read and check one stock record.

    Raises NotJsonError where the bytes are not strict JSON, InvalidRecordError where the record
    is refused.
    """
    draft = checking.draft_of(raw)
    findings = checking.check(draft, _form(), stock_schema(), _rules)
    return CheckedStock(
        document=draft.finish(),
        findings=findings,
        clinic_id=draft.sent["clinic"]["id"],
        stock_id=draft.sent["stock_id"],
        version=draft.sent["version"],
        content_hash=codec.content_hash(draft.sent),
        zone_applied=tuple(draft.zone_applied),
    )


@cache
def stock_schema() -> SourceField:
    """Return the whole stock record, as an object."""
    return tree_of(_form())


@cache
def _form() -> StockRecord:
    return StockRecord()


def _rules(draft: Draft, source: SourceField) -> None:
    if draft.document.get("status") == references.ENTERED_IN_ERROR:
        return
    taken_back = references.take_back(draft, RETRACTABLE)
    references.check(draft, source, taken_back)
    versions.check(draft)
    measures.check(draft, source)
    spans.check(draft, source)
    identity.check(draft)
    stocktaking.hold_own_witness(draft)
    references.drop_held(draft, source)
    stocktaking.warn(draft)
