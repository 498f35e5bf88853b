"""Every adverse event of a period, as the newest version of its record says it. Pure.

Holds what is known of patients.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from fhirbridge.reports import substances
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.table import Period, Report, Row, Table, texts

TITLE = "Adverse events"
NOTE = (
    "An event is of the day of its onset, else of its visit. What nobody wrote down is empty: an "
    "empty seriousness does not mean that it was not serious."
)
COLUMNS = texts(
    ("record", "Record"),
    ("row", "Row in it"),
    ("day", "Day"),
    ("patient", "Patient (the clinic's id)"),
    ("event", "Event"),
    ("parts", "Parts"),
    ("onset", "Onset"),
    ("resolved", "Resolved"),
    ("severity", "Severity"),
    ("seriousness", "Seriousness"),
    ("causality", "Causality"),
    ("suspected", "Suspected"),
    ("actions", "What was done"),
    ("outcome", "Outcome"),
)


def report(sessions: Iterable[Kept], period: Period) -> Report:
    """Return the listing."""
    rows: list[Row] = []
    left_out: list[Row] = []
    for kept in sessions:
        if not kept.left_out:
            rows += _of(kept, period)
        elif kept.document.get("adverse_events"):
            left_out.append((kept.id, kept.left_out))
    tables = (
        Table(
            name="events",
            title="Events",
            columns=COLUMNS,
            rows=tuple(sorted(rows, key=lambda row: (str(row[2]), str(row[0]), str(row[1])))),
        ),
        Table(
            name="not-counted",
            title="Not counted",
            columns=texts(("record", "Record"), ("why", "Why")),
            rows=tuple(left_out),
        ),
    )
    return Report(name="adverse-events", title=TITLE, period=period, tables=tables, notes=(NOTE,))


def _of(kept: Kept, period: Period) -> Iterator[Row]:
    document = kept.document
    drugs = {
        one["id"]: substances.name(row.get("drug"))
        for row in document.get("administrations", ())
        for one in (row, *row.get("rates", ()))
    }
    for row in document.get("adverse_events", ()):
        day = datetime.fromisoformat(row.get("onset") or document["visit"]["start"]).date()
        if period.has(day):
            yield (
                kept.id,
                f"adverse_events/{row['id']}",
                day.isoformat(),
                document["patient"]["id"],
                substances.name(row.get("event")),
                ", ".join(substances.name(part.get("event")) for part in row.get("parts", ())),
                row.get("onset"),
                row.get("resolved"),
                substances.name(row.get("severity")) or None,
                row.get("seriousness"),
                row.get("causality"),
                ", ".join(f"{drugs.get(one, '')} ({one})" for one in row.get("suspected", ())),
                ", ".join(_action(one) for one in row.get("actions", ())),
                row.get("outcome"),
            )


def _action(row: Mapping[str, Any]) -> str:
    return f"{row['kind']} at {row['time']}" if "time" in row else str(row["kind"])
