"""Secrets that sign messages: sealed, each by a key of its own, and two at once while one changes.

One piece for both ways: `sources.py` (who signs to us) and `webhooks/endpoints.py` (to whom we do).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, insert, select, update

from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault

OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Rotating:
    """The secrets in the table of `of`, its column that says whose each is.

    `named`: how the keys that seal them are named. Columns: id, sealed, made_at, expires_at.
    """

    vault: Vault
    rng: Rng
    of: Column[Any]
    named: str

    def put(self, tx: Connection, whose: str, secret: bytes, *, now: datetime) -> None:
        """Keep another secret, which counts until it is rotated."""
        made = new_id(self.rng)
        key = self.vault.new_key(tx, self._owner(made))
        sealed = self.vault.seal(key, secret, self._owner(made))
        row = {"id": made, self.of.name: whose, "sealed": sealed, "expires_at": ""}
        tx.execute(insert(self._table).values(**row, made_at=moment.to_text(now)))

    def end(self, tx: Connection, whose: str, *, now: datetime) -> None:
        """Let all go in OVERLAP; one that was on its way out already is gone at once."""
        until = moment.to_text(now + OVERLAP)
        for row in standing(tx, self.of, whose):
            if row.expires_at:
                self._erase(tx, row.id, now)
            else:
                left = update(self._table).where(self._table.c.id == row.id)
                tx.execute(left.values(expires_at=until))

    def erase(self, tx: Connection, whose: str, *, now: datetime) -> None:
        """Erase all at once."""
        for row in standing(tx, self.of, whose):
            self._erase(tx, row.id, now)

    def opened(self, tx: Connection, row: Row[Any]) -> bytes:
        """Open one that is not erased."""
        key = self.vault.key(tx, self._owner(row.id))
        return self.vault.unseal(key, row.sealed, self._owner(row.id))

    @property
    def _table(self) -> Table:
        table: Table = self.of.table
        return table

    def _erase(self, tx: Connection, secret_id: str, now: datetime) -> None:
        self.vault.shred(tx, self._owner(secret_id), moment.to_text(now))
        gone = update(self._table).where(self._table.c.id == secret_id)
        tx.execute(gone.values(sealed=None))

    def _owner(self, secret_id: str) -> str:
        return f"{self.named}:{secret_id}"


def standing(tx: Connection, of: Column[Any], whose: str) -> Sequence[Row[Any]]:
    """Return the secrets of one that are not erased, the oldest first."""
    table = of.table
    chosen = select(table).where(of == whose, table.c.sealed.is_not(None))
    return tx.execute(chosen.order_by(table.c.made_at, table.c.id)).all()


def times(tx: Connection, of: Column[Any], whose: str) -> list[dict[str, str]]:
    """Say of each when it was made and until when it is good; "": until it is rotated."""
    found = standing(tx, of, whose)
    return [{"made_at": one.made_at, "expires_at": one.expires_at} for one in found]
