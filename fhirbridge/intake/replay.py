"""After a fix: what was set aside goes again, what other mappings made is made anew."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from fhirbridge.intake import again
from fhirbridge.intake.owing import Owing
from fhirbridge.intake.rooms import Rooms
from fhirbridge.outbox import selection, stuck
from fhirbridge.outbox.selection import Selection, of_records
from fhirbridge.outbox.states import REFUSED, State
from fhirbridge.store.tables import record


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of it: records looked at, made anew, not translatable; deliveries put back."""

    considered: int
    translated: int
    failed: int
    put_back: int


def parked(rooms: Rooms, owing: Owing, chosen: Selection, *, actor: str) -> Replayed:
    """Send parked deliveries again: what other mappings made is translated with the live ones.

    The new delivery replaces the refused one. Where the live mappings made it already, or it was
    set aside for another reason, it goes as it is.
    """
    with rooms.store.read() as tx:
        aside = stuck.find(tx, chosen, (State.PARKED,))
        refused = {row.record_id for row in aside if row.reason.startswith(REFUSED)}
        anew = [row for row in _records(tx, Selection(), owing) if row in refused]
    good, failed = _translate(rooms, owing, anew, actor)
    with rooms.store.begin() as tx:
        left = stuck.find(tx, chosen, (State.PARKED,))
        ids = [row.id for row in left if row.record_id not in failed]
        count = stuck.put_back(tx, rooms.settlement, ids, actor=actor)
    return Replayed(
        considered=len({row.record_id for row in aside}),
        translated=good,
        failed=len(failed),
        put_back=count,
    )


def records(rooms: Rooms, owing: Owing, chosen: Selection, *, actor: str) -> Replayed:
    """Translate records anew with the live mappings; what comes out as before is not sent."""
    with rooms.store.read() as tx:
        selection.check(tx, chosen)
        met = of_records(chosen)
        considered = len(tx.scalars(select(record.c.id).where(_counts(), *met)).all())
        anew = _records(tx, chosen, owing)
    good, failed = _translate(rooms, owing, anew, actor)
    return Replayed(considered=considered, translated=good, failed=len(failed), put_back=0)


def _counts() -> ColumnElement[bool]:
    counts = (record.c.state == "current") & record.c.in_error.is_(False)
    return counts & (record.c.retracted == "") & (record.c.purged_at == "")


def _records(tx: Connection, chosen: Selection, owing: Owing) -> list[str]:
    """Return current versions that another set than the live one translated, oldest first."""
    found = (
        select(record.c.id)
        .where(
            _counts(),
            record.c.translation == "done",
            record.c.set_digest != owing.translator.digest,
            *of_records(chosen),
        )
        .order_by(record.c.received_at, record.c.recorded_at, record.c.id)
    )
    return list(tx.scalars(found))


def _translate(
    rooms: Rooms, owing: Owing, ids: Sequence[str], actor: str
) -> tuple[int, frozenset[str]]:
    """Translate one record a commit, so that whoever is stopped goes on where he was."""
    failed = set()
    for record_id in ids:
        with rooms.store.begin() as tx:
            row = tx.execute(select(record).where(record.c.id == record_id)).one()
            good = row.state != "current" or again.translate_anew(
                tx, rooms, owing, row, actor=actor
            )
        if not good:
            failed.add(record_id)
    return len(ids) - len(failed), frozenset(failed)
