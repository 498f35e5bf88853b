"""What doors show of what an EHR knows of a patient, with what can be said of it and what cannot.

That nothing is there is never shown as less than it is: not asked, refused, or the EHR has none.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge.destinations import pulls
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import codec
from fhirbridge.pull import asking, charts, contraindications, views
from fhirbridge.pull.asking import Ended
from fhirbridge.pull.views import Views
from fhirbridge.store import moment
from fhirbridge.store.tables import record

NOT_CHOSEN = "not asked: this destination is not to be asked for it"
NOT_YET = "not asked yet"
HAS_NONE = "the EHR has none"
BESIDE_OURS = "the EHR has none beside what we sent"


def at(
    tx: Connection, kept: Views, where: Destination, lane: str, *, now: datetime, values: bool
) -> dict[str, Any]:
    """Show what one destination said of one patient; with `values` all of it: PHI.

    Only of the chart that counts now, and nothing whose time is over.
    """
    chart = charts.of(tx, where, lane)
    rows = {
        row.type: row
        for row in views.of_patient(tx, where.name, lane)
        if row.ehr_id == chart.ehr_id and moment.from_text(row.expires_at) > now
    }
    chosen = pulls.types(where.pull)
    found = {
        "destination": where.name,
        "why": chart.why or "",
        "words": charts.WORDS[chart.why] if chart.why else "",
        "types": [_type(kind, rows.get(kind), chosen) for kind in pulls.EVERY_TYPE],
    }
    if not values:
        return found
    opened = {kind: kept.opened(tx, row) for kind, row in rows.items() if kind in chosen}
    bodies = [one for kind in chosen for _, one in sorted(opened.get(kind, {}).items())]
    return {
        **found,
        "flags": [asdict(one) for one in contraindications.flags(bodies)],
        "never_found": list(contraindications.uncoded()),
        "note": contraindications.NOTE,
        "resources": [
            {
                "resource": f"{one['resourceType']}/{one['id']}",
                "reading": contraindications.reading(one).value,
                "body": one,
            }
            for one in bodies
        ],
    }


def sessions(tx: Connection, lane: str) -> list[str]:
    """Return the ids of the record versions that count of a patient, as receipts gave them."""
    chosen = (
        select(record.c.id)
        .where(record.c.patient_key == lane, record.c.state == "current")
        .order_by(record.c.recorded_at, record.c.id)
    )
    return list(tx.scalars(chosen))


def _type(kind: str, row: Row[Any] | None, chosen: tuple[str, ...]) -> dict[str, Any]:
    asked = row if kind in chosen else None
    return {
        "type": kind,
        "ended": "" if asked is None else asked.ended,
        "words": NOT_CHOSEN if kind not in chosen else _words(asked),
        "as_of": "" if asked is None else asked.as_of,
        "asked_at": "" if asked is None else asked.asked_at,
        "version": 0 if asked is None else asked.version,
        "theirs": 0 if asked is None else asked.theirs,
        "ours": 0 if asked is None else asked.ours,
        "left_out": {} if asked is None else codec.decode_own(asked.left_out.encode()),
    }


def _words(row: Row[Any] | None) -> str:
    if row is None:
        return NOT_YET
    if row.ended != Ended.OK:
        why = asking.WORDS[Ended(row.ended)] + (f" ({row.said})" if row.said else "")
        if not row.as_of:
            return f"not known: {why}"
        return f"{_has(row)} when it last answered; now {why}"
    return _has(row)


def _has(row: Row[Any]) -> str:
    left = sum(codec.decode_own(row.left_out.encode()).values())
    not_shown = f"; {left} left out, look there" if left else ""
    if not row.theirs:
        return (BESIDE_OURS if row.ours else HAS_NONE) + not_shown
    return f"the EHR has {row.theirs}{not_shown}"
