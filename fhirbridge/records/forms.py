"""Which form a document is in, and what its check finds; nothing is stored."""

from dataclasses import dataclass

from fhirbridge.fhir import codec
from fhirbridge.records import schema, stock
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.parts.session import SCHEMA_NAME
from fhirbridge.records.parts.stock import STOCK_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check says of one document: its form, whether it is refused, and all findings."""

    form: str
    refused: bool
    findings: tuple[Finding, ...]


def form_of(raw: bytes) -> str:
    """Name the form that a document says it has; what says none is read as a session."""
    try:
        sent = codec.decode(raw)
    except codec.NotJsonError:
        return SCHEMA_NAME
    is_stock = isinstance(sent, dict) and sent.get("schema") == STOCK_NAME
    return STOCK_NAME if is_stock else SCHEMA_NAME


def judge(raw: bytes) -> Verdict:
    """Check a session or a stock record; what is no JSON at all is one finding."""
    form = form_of(raw)
    try:
        checked = stock.load(raw) if form == STOCK_NAME else schema.load(raw)
    except codec.NotJsonError as error:
        finding = Finding(level=Level.ERROR, code=error.code, pointer="", message=error.message)
        return Verdict(form="", refused=True, findings=(finding,))
    except InvalidRecordError as refusal:
        return Verdict(form=form, refused=True, findings=refusal.findings)
    return Verdict(form=form, refused=False, findings=checked.findings)
