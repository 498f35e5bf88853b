"""Erases what is over, one chart a commit: keys and content go, rows, digests and evidence stay."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import ledger
from fhirbridge.facade.shelf import Shelf
from fhirbridge.matching import kept
from fhirbridge.matching.theirs import kept as kept_theirs
from fhirbridge.outbox import erasing
from fhirbridge.reconcile import findings
from fhirbridge.records import history
from fhirbridge.retention import due
from fhirbridge.retention.due import Expired, Standing
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would go now, and what stays although its time is over: counts of charts. No PHI."""

    until: str  # a stored moment: nothing of them changed since
    charts: dict[str, int]  # by Standing
    records: int  # versions of charts that are due
    oldest: str  # when the oldest version of these was received, or ""


@dataclass(slots=True, kw_only=True)
class Purged:
    """What went."""

    until: str
    charts: int = 0
    records: int = 0
    left: dict[str, int] = field(default_factory=dict)  # charts by Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What a purge works with."""

    store: Store
    vault: Vault
    clock: Clock
    audit: EvidenceLog
    shelf: Shelf


def plan(tx: Connection, now: datetime, days: int) -> Plan:
    """Say what a purge would do now; nothing is written."""
    until = _until(now, days)
    charts: Counter[str] = Counter()
    records, oldest = 0, ""
    for chart in due.expired(tx, until):
        found = due.standing(tx, chart, until)
        if found is None:
            continue
        charts[found.value] += 1
        if found is Standing.DUE:
            records += len(due.versions(tx, chart))
            oldest = min(oldest or chart.oldest, chart.oldest)
    return Plan(until=until, charts=dict(sorted(charts.items())), records=records, oldest=oldest)


def apply(rooms: Rooms, days: int, *, actor: str) -> Purged:
    """Purge every chart that is due. Whoever is stopped in between goes on by calling it again.

    What only other charts needed that are due, too, goes in a further round.
    """
    done = Purged(until=_until(rooms.clock.now(), days))
    while True:
        left: Counter[str] = Counter()
        with rooms.store.read() as tx:
            charts = due.expired(tx, done.until)
        went = 0
        for chart in charts:
            with rooms.store.begin() as tx:
                found = due.standing(tx, chart, done.until)
                if found is Standing.DUE:
                    done.records += _purge(tx, rooms, chart, days, actor=actor)
                    went += 1
                elif found is not None:
                    left[found.value] += 1
        done.charts += went
        if not went or not left[Standing.NEEDED]:
            done.left = dict(sorted(left.items()))
            return done


def _purge(tx: Connection, rooms: Rooms, chart: Expired, days: int, *, actor: str) -> int:
    rows = due.versions(tx, chart)
    ids, at = [row.id for row in rows], moment.to_text(rooms.clock.now())
    said = erasing.shared(tx, ids)
    heirs = {one.id: found for one in said if (found := erasing.heir(tx, one, ids)) is not None}
    erasing.hand_on(tx, heirs)
    ledger.hand_on(tx, heirs)
    ledger.forget_content(tx, ids)
    rooms.shelf.hand_on(tx, said, heirs)
    rooms.shelf.erase(tx, said, lane=chart.patient, owners=ids)
    kept.forget(tx, ids, at=at)
    kept_theirs.forget(tx, ids, at=at)
    findings.forget(tx, ids)
    erasing.erase(tx, ids)
    history.erase(tx, rooms.vault, ids, at=at)
    for row in rows:
        entry = Entry(
            actor=actor,
            action=Action.RECORD_PURGED,
            record_id=row.id,
            detail={
                "version": row.version,
                "digest": row.digest,  # keyed: what was kept can still be recognized
                "received_at": row.received_at,
                "days": days,
                "patient": row.patient_key,
            },
        )
        rooms.audit.append(tx, entry)
    return len(rows)


def _until(now: datetime, days: int) -> str:
    return moment.to_text(now - timedelta(days=days))
