"""A report says the same in each form, and no form of it does more than say it."""

import csv
import html
import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.reports.table import Cell, Period, Report, Table, numbers, texts
from fhirbridge.reports.written import Format, written

AT = datetime(2026, 5, 4, 9, tzinfo=UTC)
DAY = Period(since=date(2026, 5, 1), until=date(2026, 5, 4))
FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]


def a_report(*rows: tuple[Cell, ...]) -> Report:
    columns = (*texts(("what", "What")), *numbers(("mg", "Milligrams")))
    tables = (
        Table(name="first", title="First", columns=columns, rows=rows),
        Table(name="second", title="Second", columns=columns, rows=(("only", 1),)),
    )
    return Report(name="some", title="Some report", period=DAY, tables=tables, notes=("=note",))


def of_csv(raw: bytes) -> dict[str, list[list[str]]]:
    """The rows below the heads, by table."""
    tables: dict[str, list[list[str]]] = {}
    name = ""
    for row in csv.reader(io.StringIO(raw.decode(), newline="")):
        if row[:1] == ["table"]:
            name = row[1]
            tables[name] = []
        elif row and name:
            tables[name].append(row)
    return {name: rows[1:] for name, rows in tables.items()}


def of_html(raw: bytes) -> list[list[str]]:
    bodies = re.findall(r"<tbody>(.*?)</tbody>", raw.decode(), re.DOTALL)
    rows = [row for body in bodies for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]
    return [
        [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in rows
    ]


def test_r65_rows_and_values_are_the_same_in_all_forms() -> None:
    rows: list[tuple[Any, Any]] = [
        (f"<b>row {n}</b> & \"more\", or 'less'", Decimal(n) / 8 - 1) for n in range(20)
    ]
    rows += [("nobody said it", None), ("Ünïcode\u202e", Decimal("1E+3"))]
    report = a_report(*rows)

    of_json = codec.decode(written(report, Format.JSON, made_at=AT))
    by_table = of_csv(written(report, Format.CSV, made_at=AT))
    page = of_html(written(report, Format.HTML, made_at=AT))

    shown = [[row["what"], row["mg"]] for row in of_json["tables"][0]["rows"]]
    assert [tuple(row) for row in shown] == rows
    assert [len(by_table[name]) for name in ("first", "second")] == [22, 1]
    assert by_table["first"] == page[:22]
    assert [row[0] for row in page] == [row[0] for row in rows] + ["only"]
    assert [Decimal(row[1]) for row in page[:20]] == [row[1] for row in rows[:20]]
    assert [row[1] for row in page[20:]] == ["", "1000", "1"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_s22_no_cell_of_text_is_a_formula(cell: str) -> None:
    raw = written(a_report((cell, Decimal("-1.5"))), Format.CSV, made_at=AT)

    ((shown, number),) = of_csv(raw)["first"]
    assert shown == f"'{cell}"
    assert number == "-1.5"
    assert b"note,'=note" in raw


def test_a_page_runs_nothing_that_a_cell_says() -> None:
    raw = written(a_report(("<script>alert(1)</script>", 1)), Format.HTML, made_at=AT)

    assert b"<script" not in raw
    assert b"&lt;script&gt;" in raw


def test_a_difference_is_loud() -> None:
    columns = texts(("what", "What"))
    table = Table(name="t", title="T", columns=columns, rows=())
    report = Report(name="some", title="S", period=DAY, tables=(table,), difference=2)

    assert b"2 do not add up" in written(report, Format.HTML, made_at=AT)
    assert b"difference,2" in written(report, Format.CSV, made_at=AT)
