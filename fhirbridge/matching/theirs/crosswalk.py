"""Tables from the clinic's own words to what an EHR has itself; the clinic's side is sealed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from fhirbridge.fhir.pointing import Named
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import payload_key
from fhirbridge.store.theirs_tables import crosswalk

ROWS_AT_ONCE = 5000


class Kind(StrEnum):
    """What a table is about."""

    PRACTITIONER = "practitioner"  # NPI, or the clinic's id of the person
    DEPARTMENT = "department"  # CLINIC, or CLINIC/ROOM
    VISIT = "visit"  # the EHR's visit number
    ORDER = "order"  # the EHR's order number
    ASSIGNER = "assigner"  # a system of patient numbers; kept with the destination


# Which types a row may name; the first is meant where it names none.
TYPES: Mapping[Kind, tuple[str, ...]] = {
    Kind.PRACTITIONER: ("Practitioner",),
    Kind.DEPARTMENT: ("Organization", "Location"),
    Kind.VISIT: ("Encounter",),
    Kind.ORDER: ("MedicationRequest",),
    Kind.ASSIGNER: (),
}
OF_PATIENTS = (Kind.VISIT, Kind.ORDER)  # whose values are patient data


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What loading a file changes, in rows."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0

    @property
    def is_none(self) -> bool:
        """Say whether the table is as it would be."""
        return not (self.added or self.changed or self.removed)


class Crosswalk:
    """Reads and writes the tables of every destination."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def find(self, tx: Connection, destination: str, kind: Kind, ours: str, of_type: str) -> str:
        """Return the id in the EHR for a word of the clinic's, or ""."""
        chosen = select(crosswalk.c.ehr_id).where(
            crosswalk.c.destination == destination,
            crosswalk.c.kind == kind,
            crosswalk.c.ours == self._named(kind, ours),
            crosswalk.c.type == of_type,
        )
        return (tx.scalar(chosen) or "") if ours else ""

    def compare(
        self,
        tx: Connection,
        destination: str,
        kind: Kind,
        rows: Mapping[Named, str],
        *,
        whole: bool,
    ) -> Change:
        """Say what loading these would change; `rows`: (type, ours) to the id there."""
        return self._difference(tx, destination, kind, self._keyed(kind, rows), whole=whole)[0]

    def load(
        self,
        tx: Connection,
        destination: str,
        kind: Kind,
        rows: Mapping[Named, str],
        *,
        whole: bool,
        at: str,
    ) -> Change:
        """Add these rows, and put them in the place of older ones; `whole`: nothing else stays."""
        keyed = self._keyed(kind, rows)
        change, write, gone = self._difference(tx, destination, kind, keyed, whole=whole)
        table = (crosswalk.c.destination == destination, crosswalk.c.kind == kind)
        for (of_type, name), own in write.items():
            one = (*table, crosswalk.c.ours == name, crosswalk.c.type == of_type)
            if own.was:
                tx.execute(update(crosswalk).where(*one).values(ehr_id=own.ehr_id, at=at))
        for of_type, name in gone:
            one = (*table, crosswalk.c.ours == name, crosswalk.c.type == of_type)
            tx.execute(delete(crosswalk).where(*one))
        key = self._key(tx, destination)
        new = [(named, own) for named, own in write.items() if not own.was]
        for start in range(0, len(new), ROWS_AT_ONCE):
            part = new[start : start + ROWS_AT_ONCE]
            values = [
                {
                    "destination": destination,
                    "kind": kind.value,
                    "ours": name,
                    "type": of_type,
                    "ehr_id": own.ehr_id,
                    "at": at,
                    "sealed": self._vault.seal(
                        key, own.ours.encode(), f"crosswalk:{destination}:{kind}:{name}"
                    ),
                }
                for (of_type, name), own in part
            ]
            tx.execute(insert(crosswalk), values)
        return change

    def _keyed(self, kind: Kind, rows: Mapping[Named, str]) -> dict[Named, "_Own"]:
        return {
            (of_type, self._named(kind, ours)): _Own(ours, ehr_id)
            for (of_type, ours), ehr_id in rows.items()
        }

    def _difference(
        self,
        tx: Connection,
        destination: str,
        kind: Kind,
        keyed: Mapping[Named, "_Own"],
        *,
        whole: bool,
    ) -> tuple[Change, dict[Named, "_Own"], list[Named]]:
        there = {(row.type, row.ours): row.ehr_id for row in _rows(tx, destination, kind)}
        write = {
            named: _Own(own.ours, own.ehr_id, was=there.get(named, ""))
            for named, own in keyed.items()
            if there.get(named) != own.ehr_id
        }
        gone = [named for named in there if named not in keyed] if whole else []
        added = sum(not own.was for own in write.values())
        change = Change(
            added=added,
            changed=len(write) - added,
            removed=len(gone),
            unchanged=len(keyed) - len(write),
        )
        return change, write, gone

    def remove(self, tx: Connection, destination: str, kind: Kind) -> int:
        """Remove a whole table; return how many rows it had."""
        chosen = delete(crosswalk).where(
            crosswalk.c.destination == destination, crosswalk.c.kind == kind
        )
        return tx.execute(chosen).rowcount

    def counts(self, tx: Connection, destination: str) -> list[dict[str, Any]]:
        """Return the tables of a destination: kind, rows, when one was last changed."""
        chosen = (
            select(crosswalk.c.kind, func.count(), func.max(crosswalk.c.at))
            .where(crosswalk.c.destination == destination)
            .group_by(crosswalk.c.kind)
            .order_by(crosswalk.c.kind)
        )
        return [{"kind": k, "rows": rows, "at": at} for k, rows, at in tx.execute(chosen)]

    def shown(
        self, tx: Connection, destination: str, kind: Kind, *, values: bool
    ) -> list[dict[str, str]]:
        """Return the rows of a table; the clinic's side only with `values`."""
        rows = _rows(tx, destination, kind)
        if not (values and rows):
            return [{"theirs": f"{row.type}/{row.ehr_id}", "at": row.at} for row in rows]
        key = self._key(tx, destination)
        found = [
            {
                "ours": self._vault.unseal(
                    key, row.sealed, f"crosswalk:{destination}:{kind}:{row.ours}"
                ).decode(),
                "theirs": f"{row.type}/{row.ehr_id}",
                "at": row.at,
            }
            for row in rows
        ]
        return sorted(found, key=lambda one: (one["ours"], one["theirs"]))

    def _named(self, kind: Kind, ours: str) -> str:
        return self._vault.digest(f"crosswalk/{kind}/{ours}")

    def _key(self, tx: Connection, destination: str) -> bytes:
        owner = f"crosswalk:{destination}"
        known = select(payload_key.c.owner).where(payload_key.c.owner == owner)
        if tx.execute(known).first() is None:
            return self._vault.new_key(tx, owner)
        return self._vault.key(tx, owner)


@dataclass(frozen=True, slots=True)
class _Own:
    ours: str
    ehr_id: str
    was: str = ""


def _rows(tx: Connection, destination: str, kind: Kind) -> list[Row[Any]]:
    chosen = select(crosswalk).where(
        crosswalk.c.destination == destination, crosswalk.c.kind == kind
    )
    return list(tx.execute(chosen.order_by(crosswalk.c.type, crosswalk.c.ehr_id)))
