"""Stock documents and session records of one clinic, and how its account is read."""

from datetime import date
from typing import Any

from fhirbridge.reports import accounting
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.table import Period, Report
from tests.records.visits import amount

Rows = list[dict[str, Any]]
MARCH = Period(since=date(2026, 3, 1), until=date(2026, 3, 31))
CLINIC = {"id": "clinic-1", "name": "Synthetic Clinic", "location": "East"}
STAFF = [
    {"id": "st-1", "name": {"family": "Giver", "given": ["Synthetic"]}, "role": "administering"},
    {"id": "st-2", "name": {"family": "Witness", "given": ["Synthetic"]}, "role": "witness"},
]
KETAMINE = {"drug": {"key": "ketamine"}, "location": "loc-1", "lot": "L-1"}
SEEN = {"by": "st-1", "witness": "st-2"}


def at(day: int, hour: int = 9, minute: int = 0) -> str:
    return f"2026-03-{day:02}T{hour:02}:{minute:02}:00-05:00"


def a_stock(own: str = "stock-a", **parts: Any) -> Kept:
    document = {
        "clinic": CLINIC,
        "staff": STAFF,
        "recorded_at": at(31),
        "locations": [{"id": "loc-1", "name": "East", "registration": "SYN-1"}],
        **parts,
    }
    return Kept(id=own, version=1, document=document)


def a_session(own: str = "rec-1", *, findings: Any = (), left_out: str = "", **parts: Any) -> Kept:
    document = {"clinic": CLINIC, "staff": STAFF, "recorded_at": at(31), **parts}
    return Kept(id=own, version=1, document=document, findings=tuple(findings), left_out=left_out)


def a_receipt(mg: int, day: int = 1, **parts: Any) -> dict[str, Any]:
    return {**KETAMINE, **SEEN, "id": f"rc-{day}", "time": at(day), "amount": amount(mg, "mg"),
            **parts}  # fmt: skip


def a_dose(mg: Any, day: int = 2, **parts: Any) -> dict[str, Any]:
    return {
        "id": "a-1",
        "role": "study-drug",
        "status": "completed",
        "drug": {"key": "ketamine"},
        "route": {"key": "intravenous-infusion"},
        "performer": "st-1",
        "start": at(day),
        "dose": amount(mg, "mg"),
        "supplies": [{"id": "s-1", "lot": "L-1", "vial": "V-1"}],
        **parts,
    }


def a_waste(mg: Any, day: int = 2, **parts: Any) -> dict[str, Any]:
    return {"id": "w-1", "time": at(day, 10), "drug": {"key": "ketamine"}, "lot": "L-1",
            "vial": "V-1", "amount": amount(mg, "mg"), "giver": "st-1", "witness": "st-2",
            **parts}  # fmt: skip


def account(sessions: list[Kept], stock: list[Kept], period: Period = MARCH) -> Report:
    return accounting.report(sessions, stock, period)


def rows(report: Report, name: str) -> Rows:
    (table,) = [one for one in report.tables if one.name == name]
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]
