"""Keep what an EHR has of a patient, sealed: the newest that was read whole, and its version.

One row for each destination, patient and type, with a key of its own. It goes when it is not read
whole again for thirty days, when it is not to be pulled any more, and when the patient is in
another chart of the EHR: then it was somebody else's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from fhirbridge.clock import Clock
from fhirbridge.events import log as events
from fhirbridge.events.log import Event
from fhirbridge.fhir import codec, projection
from fhirbridge.pull import ours
from fhirbridge.pull.asking import Answer, Ended
from fhirbridge.retention import holds
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.pull_tables import ehr_view
from fhirbridge.store.sealed import Vault

KEPT_FOR = timedelta(days=30)
PATIENT = "Patient"

Bodies = Mapping[str, dict[str, Any]]  # by the EHR's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """One patient of ours, and the EHR's Patient who that is."""

    destination: str
    lane: str
    ehr_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one answer came to. Counts; `sequence` of the event that tells of it, or 0."""

    type: str
    ended: str
    said: str
    theirs: int
    ours: int
    left_out: Mapping[str, int]
    version: int
    sequence: int = 0


class Views:
    """Writes and reads views, in the caller's transaction."""

    def __init__(self, *, vault: Vault, rng: Rng, clock: Clock) -> None:
        self._vault = vault
        self._rng = rng
        self._clock = clock

    def keep(self, tx: Connection, whose: Whose, kind: str, answer: Answer) -> Kept:
        """Keep an answer, and tell an event where it is another than before.

        Of one that is not whole, only that it was asked for: what was read before stays.
        """
        before = find(tx, whose, kind) or self._made(tx, whose, kind)
        values: dict[str, Any] = {
            "asked_at": self._now(),
            "ended": answer.ended.value,
            "said": answer.said,
        }
        news: dict[str, int] = {}
        if answer.ended is Ended.OK:
            known = ours.among(tx, whose.destination, kind, answer.resources)
            theirs = {own: one for own, one in answer.resources.items() if own not in known}
            news = _news(self.opened(tx, before), theirs)
            values |= self._read_whole(tx, before, theirs, answer.left_out)
            values |= {"ours": len(known), "version": before.version + _is_new(before, news)}
        tx.execute(update(ehr_view).where(ehr_view.c.id == before.id).values(**values))
        now = _of_id(tx, before.id)
        return Kept(
            type=kind,
            ended=now.ended,
            said=now.said,
            theirs=now.theirs,
            ours=now.ours,
            left_out=dict(answer.left_out),
            version=now.version,
            sequence=self._tell(tx, before, now, news),
        )

    def _read_whole(
        self, tx: Connection, row: Row[Any], theirs: Bodies, left_out: Mapping[str, int]
    ) -> dict[str, Any]:
        return {
            "theirs": len(theirs),
            "left_out": codec.canonical(dict(left_out)).decode(),
            "as_of": self._now(),
            "expires_at": self._now(KEPT_FOR),
            "sealed": self._sealed(tx, row.id, theirs),
        }

    def opened(self, tx: Connection, row: Row[Any]) -> dict[str, dict[str, Any]]:
        """Open what is theirs, by the EHR's id: PHI."""
        key = self._vault.key(tx, _owner(row.id))
        plain = self._vault.unseal(key, row.sealed, f"ehr-view:{row.id}")
        result: dict[str, dict[str, Any]] = codec.decode_own(plain)
        return result

    def drop(self, tx: Connection, rows: Iterable[Row[Any]]) -> int:
        """Erase views and their keys; return how many went."""
        count = 0
        for row in rows:
            self._vault.shred(tx, _owner(row.id), self._now())
            tx.execute(delete(ehr_view).where(ehr_view.c.id == row.id))
            count += 1
        return count

    def expire(self, tx: Connection) -> int:
        """Erase what was not read whole for its time, but of charts on legal hold."""
        old = select(ehr_view).where(ehr_view.c.expires_at <= self._now())
        kept = holds.lanes(tx)
        return self.drop(tx, [row for row in tx.execute(old) if row.lane not in kept])

    def keep_only(self, tx: Connection, destination: str, types: Collection[str]) -> int:
        """Erase what of a destination is of no type that is pulled."""
        other = select(ehr_view).where(
            ehr_view.c.destination == destination, ehr_view.c.type.not_in(types)
        )
        return self.drop(tx, tx.execute(other).all())

    def keep_chart(self, tx: Connection, whose: Whose) -> int:
        """Erase what was read of this patient in another chart than the one that counts."""
        chosen = select(ehr_view).where(
            ehr_view.c.destination == whose.destination,
            ehr_view.c.lane == whose.lane,
            ehr_view.c.ehr_id != whose.ehr_id,
        )
        return self.drop(tx, tx.execute(chosen).all())

    def _made(self, tx: Connection, whose: Whose, kind: str) -> Row[Any]:
        row_id = new_id(self._rng)
        self._vault.new_key(tx, _owner(row_id))
        values = {
            "destination": whose.destination,
            "lane": whose.lane,
            "type": kind,
            "id": row_id,
            "ehr_id": whose.ehr_id,
            "version": 0,
            "theirs": 0,
            "ours": 0,
            "left_out": "{}",
            "as_of": "",
            "asked_at": self._now(),
            "ended": "",
            "said": "",
            "expires_at": self._now(KEPT_FOR),
            "sealed": self._sealed(tx, row_id, {}),
        }
        tx.execute(insert(ehr_view), values)
        return _of_id(tx, row_id)

    def _tell(
        self, tx: Connection, before: Row[Any], now: Row[Any], news: Mapping[str, int]
    ) -> int:
        is_first_sight = now.type == PATIENT and not before.version  # nobody changed
        if is_first_sight or not any(news.values()):
            return 0
        one = Event(
            subkind=events.OF_TYPE[now.type],
            destination=now.destination,
            patient=now.lane,
            detail={"type": now.type, "version": now.version, **news},
        )
        return events.append(tx, self._rng, one, at=self._clock.now())

    def _now(self, more: timedelta = timedelta()) -> str:
        return moment.to_text(self._clock.now() + more)

    def _sealed(self, tx: Connection, row_id: str, theirs: Bodies) -> bytes:
        key = self._vault.key(tx, _owner(row_id))
        return self._vault.seal(key, codec.encode(dict(theirs)), f"ehr-view:{row_id}")


def find(tx: Connection, whose: Whose, kind: str) -> Row[Any] | None:
    """Return the view of one type, or None."""
    return tx.execute(_of(whose.destination, whose.lane).where(ehr_view.c.type == kind)).first()


def of_patient(tx: Connection, destination: str, lane: str) -> Sequence[Row[Any]]:
    """Return the views of one patient at one destination."""
    return tx.execute(_of(destination, lane)).all()


def last_asked(tx: Connection, destination: str) -> dict[str, str]:
    """Return when a destination was last asked for each patient."""
    chosen = select(ehr_view.c.lane, func.max(ehr_view.c.asked_at)).where(
        ehr_view.c.destination == destination
    )
    rows = tx.execute(chosen.group_by(ehr_view.c.lane))
    return {row[0]: row[1] for row in rows}


def _of(destination: str, lane: str) -> Any:
    return select(ehr_view).where(ehr_view.c.destination == destination, ehr_view.c.lane == lane)


def _of_id(tx: Connection, row_id: str) -> Row[Any]:
    return tx.execute(select(ehr_view).where(ehr_view.c.id == row_id)).one()


def _owner(row_id: str) -> str:
    return f"ehr-view:{row_id}"


def _is_new(before: Row[Any], news: Mapping[str, int]) -> bool:
    return not before.version or any(news.values())


def _news(before: Bodies, now: Bodies) -> dict[str, int]:
    """Count what came, went and is another now; what servers add of their own is no change."""
    both = before.keys() & now.keys()
    return {
        "added": len(now.keys() - before.keys()),
        "changed": sum(not projection.same(before[own], now[own]) for own in both),
        "removed": len(before.keys() - now.keys()),
    }
