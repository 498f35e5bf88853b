"""Keeps which Bulk Data exports readers began, until they end, and reads their files anew.

A file is no file: the shelf knows what stood on it at any of its numbers, so that the same lines
are read whenever they are asked for; except what may not be read any more by then.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, delete, insert, select

from fhirbridge.exports.bulk import LIVES, PATIENT, ExportGoneError, File, Wanted
from fhirbridge.facade import bundles
from fhirbridge.facade.held import AT_ONCE, Chosen, Held
from fhirbridge.facade.search import Found
from fhirbridge.fhir import codec
from fhirbridge.store import moment
from fhirbridge.store.export_tables import bulk_export


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """One export. Times as the database keeps them."""

    id: str
    destination: str
    token: str
    request: str
    level: str
    since: str
    upto: int
    at: str
    files: tuple[File, ...]
    created_at: str
    expires_at: str

    def file(self, name: str) -> File:
        """Return one of its files. Raises ExportGoneError."""
        found = next((one for one in self.files if one.name == name), None)
        if found is None:
            raise _gone()
        return found


def put(tx: Connection, begun: Begun) -> None:
    """Keep a new one, and forget those that have expired."""
    tx.execute(delete(bulk_export).where(bulk_export.c.expires_at <= begun.created_at))
    listed = codec.encode([asdict(one) for one in begun.files]).decode()
    names = [column.name for column in bulk_export.c if column.name != "files"]
    values = {name: getattr(begun, name) for name in names}
    tx.execute(insert(bulk_export).values(**values, files=listed))


def find(tx: Connection, export: str, *, token: str, now: datetime) -> Begun:
    """Return what a reader began. Raises ExportGoneError."""
    chosen = select(bulk_export).where(
        bulk_export.c.id == export,
        bulk_export.c.token == token,
        bulk_export.c.expires_at > moment.to_text(now),
    )
    row = tx.execute(chosen).mappings().one_or_none()
    if row is None:
        raise _gone()
    listed = tuple(File(**one) for one in codec.decode(row["files"].encode()))
    return Begun(**{**row, "files": listed})


def forget(tx: Connection, begun: Begun) -> None:
    """End one: none of its files can be read any more."""
    tx.execute(delete(bulk_export).where(bulk_export.c.id == begun.id))


def expires(now: datetime) -> str:
    """Return until when one that begins now lives."""
    return moment.to_text(now + LIVES)


def chosen(level: str, kinds: tuple[str, ...], since: str) -> Chosen:
    """Return which versions of a shelf are meant: those that stand there now, of charts or all."""
    at = ((since, ""),) if since else ()
    return Chosen(kinds=kinds, at=at, not_shared=level == PATIENT)


def wanted(asked: Wanted) -> Chosen:
    """Return the same of what is asked for."""
    since = moment.to_text(asked.since) if asked.since is not None else ""
    return chosen(asked.level, asked.kinds, since)


def page(held: Held, begun: Begun, file: File, after: int) -> list[tuple[int, bytes]]:
    """Read the next lines of a file after a number: each with its own."""
    walked = held.walk(chosen(begun.level, (file.kind,), begun.since), upto=begun.upto, after=after)
    return [
        (one.number, codec.encode(bundles.resource(Found(one, codec.decode(one.body)))) + b"\n")
        for one in islice(walked, AT_ONCE)
        if one.number <= file.last
    ]


def _gone() -> ExportGoneError:
    return ExportGoneError("there is no such export for you", hint="begin a new one")
