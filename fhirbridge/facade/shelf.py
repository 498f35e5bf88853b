"""Put on a facade's shelf what is owed to it: each version sealed, numbered as it was committed.

What stands there was let go by all that lets a delivery go. Whether it may be read is asked again,
each time it is read: `held.py`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from fhirbridge.errors import BridgeError
from fhirbridge.facade import words
from fhirbridge.outbox.contents import Identity
from fhirbridge.store import moment
from fhirbridge.store.facade_tables import facade_clock, facade_version, facade_word
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import resource
from fhirbridge.store.upsert import insert as upsert

NOT_THERE = "0"
# Farther than any shelf grew between a backup and its loss: no number names two versions, ever.
AFTER_A_RESTORE = 1_000_000_000


class ShelfError(BridgeError):
    """A shelf is not as its ledger says; nothing was put there."""

    code = "E971"


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One version that is to be read: `row` is what it was made of, `base` what it replaces."""

    identity: Identity
    row: str
    base: str  # the version before it, or NOT_THERE
    body: dict[str, Any]
    written: bytes  # the same


class Shelf:
    """Keeps what facades show."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def begin(self, tx: Connection, destination: str, *, at: datetime) -> None:
        """Make the empty shelf of a new facade, and the key that seals links to its pages."""
        self._vault.lasting_key(tx, link_owner(destination))
        first = {"destination": destination, "sequence": 0, "at": moment.to_text(at)}
        tx.execute(insert(facade_clock), first)

    def put(
        self,
        tx: Connection,
        destination: str,
        lane: str,
        versions: Sequence[Put],
        *,
        part_2: bool,
        at: datetime,
    ) -> list[int]:
        """Add versions in the caller's transaction; return their numbers. Raises ShelfError."""
        last, now = _advance(tx, destination, len(versions), at)
        first = last - len(versions) + 1
        owners = _owners(tx, [one.row for one in versions])
        for number, one in enumerate(versions, first):
            _replace(tx, destination, one, number)
            owner = owners[one.row]
            key = self._vault.key(tx, owner)
            values = {
                "destination": destination,
                "sequence": number,
                "type": one.identity.type,
                "resource_id": one.identity.id,
                "lane": lane,
                "resource": one.row,
                "owner": owner,
                "part_2": part_2,
                "first": one.base == NOT_THERE,
                "until": 0,
                "at": now,
                "sealed": self._vault.seal(key, one.written, place(destination, number)),
            }
            tx.execute(insert(facade_version), values)
            self._index(tx, destination, one, number)
        return list(range(first, last + 1))

    def _index(self, tx: Connection, destination: str, one: Put, number: int) -> None:
        found = [
            {
                "destination": destination,
                "type": one.identity.type,
                "parameter": parameter,
                "word": self._vault.digest(words.named(parameter, word)),
                "sequence": number,
            }
            for parameter, word in sorted(words.of(one.body))
        ]
        if found:
            tx.execute(insert(facade_word), found)

    def clear(self, tx: Connection, destination: str, *, at: datetime) -> None:
        """Take everything from the shelf of a facade that is removed, and its key."""
        for table in (facade_word, facade_version, facade_clock):
            tx.execute(delete(table).where(table.c.destination == destination))
        self._vault.shred(tx, link_owner(destination), moment.to_text(at))

    def hand_on(
        self, tx: Connection, rows: Sequence[Row[Any]], heirs: Mapping[str, Row[Any]]
    ) -> None:
        """Seal what stands of `rows` anew with the keys of records that are kept.

        `heirs`: by the row that goes, the same content in such a record.
        """
        for row, version in _standing(tx, rows):
            if (heir := heirs.get(row.id)) is None:
                continue
            where = place(version.destination, version.sequence)
            plain = self._vault.unseal(self._vault.key(tx, version.owner), version.sealed, where)
            key = self._vault.key(tx, heir.record_id)
            moved = update(facade_version).where(
                facade_version.c.destination == version.destination,
                facade_version.c.sequence == version.sequence,
            )
            sealed = self._vault.seal(key, plain, where)
            tx.execute(moved.values(resource=heir.id, owner=heir.record_id, sealed=sealed))

    def erase(
        self, tx: Connection, rows: Sequence[Row[Any]], *, lane: str, owners: Collection[str]
    ) -> None:
        """Take the content and the words of what these records own: of a lane, and of `rows`.

        Their numbers stay, so that no number is given out twice.
        """
        own = facade_version.c.owner.in_(owners)
        places = [
            (one.destination, one.sequence) for _, one in _of(tx, rows) if one.owner in owners
        ]
        for name in tx.scalars(select(facade_clock.c.destination)).all():
            there = facade_version.c.destination == name
            chosen = select(facade_version.c.sequence).where(
                there, facade_version.c.lane == lane, own
            )
            places += [(name, number) for number in tx.scalars(chosen)]
        for name, number in places:
            tx.execute(
                delete(facade_word).where(
                    facade_word.c.destination == name, facade_word.c.sequence == number
                )
            )
            gone = update(facade_version).where(
                facade_version.c.destination == name, facade_version.c.sequence == number
            )
            tx.execute(gone.values(sealed=b""))


def link_owner(destination: str) -> str:
    """Name the owner of the key that seals the links to a facade's pages."""
    return f"facade:{destination}"


def place(destination: str, number: int) -> str:
    """Name the place for which a version is sealed."""
    return f"facade:{destination}:{number}"


def skip_ahead(tx: Connection) -> None:
    """Give out no number again: the database went back, and readers may know what was after."""
    tx.execute(update(facade_clock).values(sequence=facade_clock.c.sequence + AFTER_A_RESTORE))


def _advance(tx: Connection, destination: str, count: int, at: datetime) -> tuple[int, str]:
    """Take the next numbers, holding the clock's row until the commit; time never goes back."""
    taken = upsert(facade_clock).values(
        destination=destination, sequence=count, at=moment.to_text(at)
    )
    taken = taken.on_conflict_do_update(
        index_elements=["destination"],
        set_={"sequence": facade_clock.c.sequence + count},
    )
    row = tx.execute(taken.returning(facade_clock.c.sequence, facade_clock.c.at)).one()
    now = max(moment.to_text(at), row.at)
    moved = update(facade_clock).where(facade_clock.c.destination == destination)
    tx.execute(moved.values(at=now))
    return row.sequence, now


def _of(tx: Connection, rows: Sequence[Row[Any]]) -> Iterator[tuple[Row[Any], Row[Any]]]:
    """Yield what lies on shelves of resource versions, each with its resource version."""
    names = tx.scalars(select(facade_clock.c.destination)).all()
    for name, row in product(names, rows):
        chosen = select(facade_version).where(
            facade_version.c.destination == name,
            facade_version.c.type == row.type,
            facade_version.c.resource_id == row.resource_id,
            facade_version.c.resource == row.id,
        )
        for version in tx.execute(chosen).all():
            yield row, version


def _standing(tx: Connection, rows: Sequence[Row[Any]]) -> Iterator[tuple[Row[Any], Row[Any]]]:
    return ((row, version) for row, version in _of(tx, rows) if not version.until)


def _owners(tx: Connection, rows: Sequence[str]) -> dict[str, str]:
    chosen = select(resource.c.id, resource.c.record_id).where(resource.c.id.in_(rows))
    return {row.id: row.record_id for row in tx.execute(chosen)}


def _replace(tx: Connection, destination: str, one: Put, number: int) -> None:
    """Let the version before this one count no more; it is the one that the ledger knows."""
    before = update(facade_version).where(
        facade_version.c.destination == destination,
        facade_version.c.type == one.identity.type,
        facade_version.c.resource_id == one.identity.id,
        facade_version.c.until == 0,
    )
    before = before.values(until=number).returning(facade_version.c.sequence)
    found = [str(row.sequence) for row in tx.execute(before)]
    if found != ([] if one.base == NOT_THERE else [one.base]):
        raise ShelfError(
            f"the shelf of {destination} has another version of a {one.identity.type} than its "
            "ledger knows",
            hint="restore the database from a backup",
        )
