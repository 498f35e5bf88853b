"""What is done once a transaction is written, and never where it is not."""

from collections.abc import Callable

from sqlalchemy import Connection

_PLACE = "fhirbridge.after_commit"  # where SQLAlchemy keeps what belongs to a connection

Call = Callable[[], None]


def commit(tx: Connection, call: Call) -> None:
    """Call this after the transaction's commit; it must be quick and not fail."""
    tx.info.setdefault(_PLACE, []).append(call)


def taken(connection: Connection) -> list[Call]:
    """Return what was asked for on this connection, and forget it."""
    found: list[Call] = connection.info.pop(_PLACE, [])
    return found
