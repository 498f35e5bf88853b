"""What a clinic's system tells besides records: events, in the envelope of Standard Webhooks."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

from fhirbridge.records import checking
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.draft import Draft
from fhirbridge.records.fields import Choice, Moment, TableWord, Text, Word
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.parts.shapes import ENTERED_IN_ERROR, Strict
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import tree_of


class EventType(StrEnum):
    """What happened."""

    RECORDED = "session.recorded"
    AMENDED = "session.amended"
    RETRACTED = "session.retracted"
    MERGED = "patient.merged"
    PLAN_CHANGED = "plan.changed"
    CONSENT_WITHDRAWN = "consent.withdrawn"


class Envelope(Strict):
    """What stands around the data of each event."""

    type = Choice(*EventType, required=True)
    timestamp = Moment(required=True)


class Retraction(Strict):
    """A session that is in error, where the sender has no new version of its record."""

    session_id = Word(required=True)
    reason = Text(required=True)


class Merge(Strict):
    """Two patients of the clinic are one: `merged_patient_id` is no longer used there."""

    patient_id = Word(required=True)
    merged_patient_id = Word(required=True)


class Withdrawal(Strict):
    """A consent that ends, told before any record says so. Without a `recipient` it is for all."""

    patient_id = Word(required=True)
    kind = TableWord("consent-kind", required=True)
    recipient = Word()
    withdrawn_at = Moment(required=True)


SHORT = {
    EventType.RETRACTED: Retraction,
    EventType.MERGED: Merge,
    EventType.CONSENT_WITHDRAWN: Withdrawal,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `is_record`: its data is a session record, which is checked where it is kept."""

    type: EventType
    data: dict[str, Any]
    is_record: bool


def is_event(sent: Any) -> bool:
    """Say whether a document is an envelope, and no record."""
    return isinstance(sent, dict) and "type" in sent and "schema" not in sent


def read(sent: dict[str, Any]) -> Event:
    """Check an envelope and, unless it is a record, its data. Raises InvalidRecordError."""
    around = {name: value for name, value in sent.items() if name != "data"}
    _check(around, Envelope)
    kind, data = EventType(sent["type"]), sent.get("data")
    if not isinstance(data, dict):
        raise _refusal("/data", "R102", "data must be an object in braces")
    is_record = "schema" in data or kind not in SHORT
    if is_record:
        _check_fits(kind, data)
    else:
        _check(data, SHORT[kind], at="/data")
    return Event(type=kind, data=data, is_record=is_record)


def _check_fits(kind: EventType, record: dict[str, Any]) -> None:
    """Refuse a record that does not say what its event says."""
    consents = record.get("consents")
    rows = consents if isinstance(consents, list) else []
    ended = [row for row in rows if isinstance(row, dict) and row.get("status") == "withdrawn"]
    if kind is EventType.MERGED:
        raise _refusal("/data", "R101", "patient_id and merged_patient_id are required, no record")
    if kind is EventType.RETRACTED and record.get("status") != ENTERED_IN_ERROR:
        raise _refusal("/data/status", "R106", f"status must be {ENTERED_IN_ERROR} here")
    if kind is EventType.PLAN_CHANGED and not record.get("plan"):
        raise _refusal("/data/plan", "R101", "plan is required here")
    if kind is EventType.CONSENT_WITHDRAWN and not ended:
        raise _refusal("/data/consents", "R101", "a consent that is withdrawn is required here")


def _check(sent: dict[str, Any], form: type[Strict], *, at: str = "") -> None:
    shape, tree = _shape(form)
    try:
        checking.check(Draft(sent), shape, tree, _no_rules)
    except InvalidRecordError as error:
        raise InvalidRecordError(tuple(_below(at, error.findings))) from None


@cache
def _shape(form: type[Strict]) -> tuple[Strict, SourceField]:
    made = form()
    return made, tree_of(made)


def _no_rules(_draft: Draft, _source: SourceField) -> None:
    """Add nothing: an event is its form."""


def _below(at: str, findings: Iterable[Finding]) -> Iterable[Finding]:
    return (replace(one, pointer=at + one.pointer) for one in findings)


def _refusal(pointer: str, code: str, message: str) -> InvalidRecordError:
    finding = Finding(level=Level.ERROR, code=code, pointer=pointer, message=message)
    return InvalidRecordError((finding,))
