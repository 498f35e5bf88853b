"""One report as CSV, HTML or JSON: the same rows and values in each."""

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from fhirbridge.fhir import codec
from fhirbridge.reports.table import Cell, Report, Table
from fhirbridge.store import moment
from fhirbridge.workbench.spreadsheet import safe


class Format(StrEnum):
    """In which form a report is written."""

    CSV = "csv"
    HTML = "html"
    JSON = "json"


def written(report: Report, form: Format, *, made_at: datetime) -> bytes:
    """Return a report as bytes of UTF-8."""
    about = _about(report, made_at)
    if form is Format.JSON:
        return codec.encode({**about, "tables": [_plain(one) for one in report.tables]}) + b"\n"
    if form is Format.HTML:
        return _page().render(about=about, report=report, shown=_shown).encode()
    return _csv(report, about).encode()


def _about(report: Report, made_at: datetime) -> dict[str, Any]:
    return {
        "report": report.name,
        "title": report.title,
        "since": report.period.since.isoformat(),
        "until": report.period.until.isoformat(),
        "made_at": moment.to_text(made_at),
        "difference": report.difference,
        "notes": list(report.notes),
    }


def _plain(table: Table) -> dict[str, Any]:
    names = [column.name for column in table.columns]
    return {
        "name": table.name,
        "title": table.title,
        "columns": [
            {"name": one.name, "title": one.title, "kind": one.kind.value} for one in table.columns
        ],
        "rows": [dict(zip(names, row, strict=True)) for row in table.rows],
    }


def _csv(report: Report, about: Mapping[str, Any]) -> str:
    """Write each table under its name, a blank line between (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    for name in ("report", "title", "since", "until", "made_at", "difference"):
        writer.writerow([name, _cell(about[name])])
    for note in report.notes:
        writer.writerow(["note", safe(note)])
    for table in report.tables:
        writer.writerow([])
        writer.writerow(["table", safe(table.name)])
        writer.writerow([column.name for column in table.columns])
        for row in table.rows:
            writer.writerow([_cell(cell) for cell in row])
    return out.getvalue()


def _cell(cell: Cell) -> str:
    # A number is none that anybody typed: a minus before it is no formula.
    return safe(cell) if isinstance(cell, str) else _shown(cell)


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    return codec.plain(cell) if isinstance(cell, Decimal) else str(cell)


@cache
def _page() -> Template:
    source = resources.files("fhirbridge.reports").joinpath("report.html").read_text("utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
