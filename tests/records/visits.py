"""Records to break: the samples, and edits of them by JSON Pointer."""

from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.findings import Finding

SAMPLES = sorted((Path(__file__).parents[2] / "fhirbridge/samples").glob("*.json"))
INFUSION, NASAL, INTRAMUSCULAR, ORAL = "01-", "08-", "09-", "10-"
ABSENT = object()

Record = dict[str, Any]


def a_visit(name: str = INFUSION, **edits: Any) -> Record:
    """Read the sample whose file name starts so, with whole parts replaced; it has no findings."""
    path = next(path for path in SAMPLES if path.name.startswith(name))
    record: Record = codec.decode(path.read_bytes())
    return {**record, **edits}


def edited(record: Record, *edits: tuple[str, Any]) -> Record:
    """Copy a record with values set, or taken out (ABSENT), at JSON Pointers; "-" appends."""
    copy = deepcopy(record)
    for pointer, value in edits:
        *way, last = pointer.split("/")[1:]
        holder: Any = copy
        for step in way:
            holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
        _put(holder, last, value)
    return copy


def load(record: Any) -> schema.CheckedRecord:
    return schema.load(codec.encode(record))


def findings(record: Any) -> tuple[Finding, ...]:
    """Return all findings, whether the record is refused or not."""
    try:
        return load(record).findings
    except schema.InvalidRecordError as refused:
        return refused.findings


def found(record: Any) -> list[tuple[str, str, str]]:
    return [(finding.level.value, finding.code, finding.pointer) for finding in findings(record)]


def amount(value: str | int, unit: str) -> Record:
    return {"value": Decimal(value), "unit": unit}


def _put(holder: Any, last: str, value: Any) -> None:
    if isinstance(holder, list) and last == "-":
        holder.append(value)
    elif value is ABSENT:
        del holder[int(last) if isinstance(holder, list) else last]
    else:
        holder[int(last) if isinstance(holder, list) else last] = value
