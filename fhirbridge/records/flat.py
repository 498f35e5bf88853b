"""From rows of a flat export to session records, with the row and column of each value.

One record for each visit named in the sessions file; rows of device exports join it by the id of
the visit, or by time within the visit. A cell that cannot be read is an error that names its row
and column; what the record check finds later is traced back to them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhirbridge.records import tables
from fhirbridge.records.columns import Cell, ColumnMap, Sheet, Step
from fhirbridge.records.draft import Path, pointer
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.moments import at
from fhirbridge.records.parts.session import SCHEMA_NAME
from fhirbridge.records.source import Json, SourceField
from fhirbridge.records.tables import TableRow

TRUE, FALSE = ("true", "yes", "y", "1"), ("false", "no", "n", "0")

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


class _UnreadableError(Exception):
    """A cell that says nothing of the kind its field takes; the text never repeats it."""


@dataclass(slots=True, kw_only=True)
class FlatRecord:
    """One record put together, the origin of each value, and what could not be read."""

    session_id: str
    document: dict[str, Any]
    origins: dict[str, str] = field(default_factory=dict)  # pointer -> row and column
    findings: list[Finding] = field(default_factory=list)
    rows: dict[tuple[Path, str], int] = field(default_factory=dict)  # (list, id) -> place in it

    def place(self, pointer: str) -> str:
        """Name the row and column that a pointer's value came from, or the nearest to it."""
        way = pointer
        while way:
            if way in self.origins:
                return self.origins[way]
            below = [place for at, place in self.origins.items() if at.startswith(f"{way}/")]
            if below:
                return below[0]
            way = way.rpartition("/")[0]
        return ""


def assemble(
    columns: ColumnMap,
    visits: Sequence[tuple[str, bytes]],
    exports: list[tuple[str, str, bytes]] | tuple[()] = (),
) -> list[FlatRecord]:
    """Put records together from files of visits (name, bytes) and exports (kind, name, bytes).

    Raises TableError where a file is no table. Rows that belong to no visit are findings of a
    record without an id, which comes last.
    """
    found: dict[str, FlatRecord] = {}
    strays = FlatRecord(session_id="", document={})
    for name, raw in visits:
        for row in _rows(columns.sessions, raw):
            session = row.cells.get(columns.sessions.session, "")
            if not session:
                place = _where(name, row, columns.sessions.session)
                _note(strays, "", place, "has no id of a visit")
                continue
            record = found.setdefault(session, _new(session))
            _fill(record, columns.sessions, row, name, ())
    for kind, file, content in exports:
        _join(columns.exports[kind], file, content, found, strays)
    return [*found.values(), *([strays] if strays.findings else [])]


def unread(sheet: Sheet, raw: bytes) -> list[str]:
    """Name the columns of a file that the map does not read. Raises TableError."""
    rows = _rows(sheet, raw)
    known = sheet.columns()
    return [name for name in (rows[0].cells if rows else ()) if name and name not in known]


def _new(session: str) -> FlatRecord:
    start = {"schema": SCHEMA_NAME, "session_id": session, "status": "active"}
    return FlatRecord(session_id=session, document=start)


def _rows(sheet: Sheet, raw: bytes) -> list[TableRow]:
    wanted = sheet.columns()
    return tables.read(raw, wanted=wanted, encoding=sheet.encoding, delimiter=sheet.delimiter)


def _join(
    sheet: Sheet, file: str, raw: bytes, found: Mapping[str, FlatRecord], strays: FlatRecord
) -> None:
    spans = _spans(found)
    for row in _rows(sheet, raw):
        time = _time_of(sheet, row)
        record = _session_of(sheet, row, time, found=found, spans=spans)
        if record is None:
            text = "belongs to no visit, or to more than one"
            _note(strays, "", _where(file, row, sheet.session or _time_column(sheet)), text)
            continue
        given = row.cells.get(sheet.id, "") if sheet.id else ""
        name = given or f"{sheet.part[-1][0]}-{''.join(sign for sign in time if sign.isalnum())}"
        _fill(record, sheet, row, file, (*sheet.part[:-1], (sheet.part[-1][0], name)))


def _time_of(sheet: Sheet, row: TableRow) -> str:
    for cell in sheet.cells:
        if cell.path == ((sheet.time, ""),):
            try:
                return str(_value(cell, row, sheet))
            except _UnreadableError:
                return ""
    return ""


def _time_column(sheet: Sheet) -> str:
    return next((one.column for one in sheet.cells if one.path == ((sheet.time, ""),)), sheet.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """When one visit took place, and whose it was."""

    patient: str
    start: datetime
    end: datetime
    record: FlatRecord


def _spans(found: Mapping[str, FlatRecord]) -> list[_Span]:
    spans: list[_Span] = []
    for record in found.values():
        visit, person = (record.document.get(name, {}) for name in ("visit", "patient"))
        start, end = _moment_of(visit.get("start")), _moment_of(visit.get("end"))
        if start and end:
            patient = str(person.get("id", ""))
            spans.append(_Span(patient=patient, start=start, end=end, record=record))
    return spans


def _moment_of(text: object) -> datetime | None:
    try:
        return at(text)
    except ValueError:
        return None


def _session_of(
    sheet: Sheet, row: TableRow, time: str, *, found: Mapping[str, FlatRecord], spans: list[_Span]
) -> FlatRecord | None:
    if sheet.session:
        return found.get(row.cells.get(sheet.session, ""))
    moment = _moment_of(time)
    # An empty cell where the map names the patient's column fits nobody: no guess by time alone.
    patient = row.cells.get(sheet.patient, "")
    fitting = [
        span.record
        for span in spans
        if moment and (not sheet.patient or patient == span.patient) and _lies_in(moment, span)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _lies_in(moment: datetime, span: _Span) -> bool:
    try:
        return span.start <= moment <= span.end
    except TypeError:  # one with and one without an offset: nobody can say
        return False


def _fill(
    record: FlatRecord, sheet: Sheet, row: TableRow, file: str, base: tuple[Step, ...]
) -> None:
    for steps, kind, text in sheet.constants:
        made = _constant(kind, text)
        _put(record, (*base, *steps), made, row, f"{file}: a constant of the column map")
    for cell in sheet.cells:
        place = _where(file, row, cell.column)
        try:
            value = _value(cell, row, sheet)
        except _UnreadableError as error:
            _note(record, "", place, str(error))
            continue
        if value is not None:
            _put(record, (*base, *cell.path), value, row, place)


def _where(file: str, row: TableRow, column: str) -> str:
    return f"{file} row {row.number}, column {column}"


def _note(record: FlatRecord, at: str, place: str, text: str) -> None:
    message = f"{place}: {text}"
    record.findings.append(Finding(level=Level.ERROR, code="R401", pointer=at, message=message))


def _value(cell: Cell, row: TableRow, sheet: Sheet) -> Json:
    """Read a cell as the JSON value of its field; None where it is empty."""
    texts = [row.cells.get(name, "") for name in (cell.column, cell.second) if name]
    text = " ".join(one for one in texts if one)
    if not text:
        return None
    if tables.is_formula(text):
        raise _UnreadableError("looks like a formula; export values, not formulas")
    known = text in cell.values
    text = cell.values.get(text, text)
    kind = cell.kind
    if kind.dimensions and "value" in kind.fields:
        unit = cell.unit or row.cells.get(cell.unit_column, "")
        return {"value": _number(text, sheet.decimal), **({"unit": unit} if unit else {})}
    if kind.kind == "object":
        return {"key": text} if known and kind.table else {"text": text}
    if kind.kind == "list" and kind.item is not None:
        parts = text.split(cell.split) if cell.split else [text]
        return [_plain(kind.item, part.strip(), cell, sheet) for part in parts if part.strip()]
    return _plain(kind, text, cell, sheet)


def _plain(kind: SourceField, text: str, cell: Cell, sheet: Sheet) -> Json:
    if kind.kind in ("decimal", "integer"):
        number = _number(text, sheet.decimal)
        return int(number) if kind.kind == "integer" and number == int(number) else number
    if kind.kind == "boolean":
        return _flag(text)
    if kind.kind in ("date", "dateTime", "partialDate") and cell.format:
        return _moment(kind.kind, text, cell.format)
    return {"text": text} if kind.kind == "object" else text


def _number(text: str, mark: str) -> Decimal:
    plain = text.replace(mark, ".") if mark != "." else text
    # No exponents: a short one can stand for a number that fills the memory.
    if not _NUMBER.fullmatch(plain):
        raise _UnreadableError("is not a number")
    return Decimal(plain)


def _flag(text: str) -> bool:
    if text.lower() in (*TRUE, *FALSE):
        return text.lower() in TRUE
    raise _UnreadableError("is neither yes nor no; name its words under values")


def _moment(kind: str, text: str, form: str) -> str:
    try:
        read = datetime.strptime(text, form)  # noqa: DTZ007, the zone is the clinic's, applied later
    except ValueError:
        raise _UnreadableError("is not a time of the form that the column map says") from None
    return read.isoformat() if kind == "dateTime" else read.date().isoformat()


def _constant(kind: SourceField, text: str) -> Json:
    """Read a constant: a number or a flag where the field is one, a key where it has a table."""
    if kind.kind in ("integer", "decimal") and _NUMBER.fullmatch(text):
        return int(text) if text.isdigit() else Decimal(text)
    if kind.kind == "boolean":
        return text.lower() in TRUE
    if kind.kind == "object":
        return {"key": text} if kind.table else {"text": text}
    return [text] if kind.kind == "list" else text


def _put(
    record: FlatRecord, steps: tuple[Step, ...], value: Json, row: TableRow, place: str
) -> None:
    """Set a value; where another row said something else, say so and keep the first."""
    holder: Any = record.document
    way: Path = ()
    for number, (name, row_id) in enumerate(steps):
        is_last = number == len(steps) - 1
        if is_last and not row_id:
            break
        known = row.cells.get(row_id[1:], "") if row_id.startswith("$") else row_id
        holder, way = _enter(record, holder, name, known, way)
    name = steps[-1][0]
    at_place = pointer((*way, name))
    if name in holder and holder[name] != value and at_place in record.origins:
        text = f"differs from {record.origins[at_place]}"
        _note(record, at_place, place, text)
        return
    holder[name] = value
    record.origins.setdefault(at_place, place)


def _enter(record: FlatRecord, holder: Any, name: str, row_id: str, way: Path) -> tuple[Any, Path]:
    if not row_id:
        return holder.setdefault(name, {}), (*way, name)
    rows = holder.setdefault(name, [])
    known = ((*way, name), row_id)
    if known not in record.rows:
        record.rows[known] = len(rows)
        rows.append({"id": row_id})
    index = record.rows[known]
    return rows[index], (*way, name, index)
