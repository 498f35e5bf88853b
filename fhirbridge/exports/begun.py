"""Keeps which Bulk Data exports readers began, until they end, and reads their files anew.

A file is no file: the shelf knows what stood on it at any of its numbers, so that the same lines
are read whenever they are asked for; except what may not be read any more by then.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, delete, insert, select

from fhirbridge import __version__
from fhirbridge.exports.bulk import ERRORS, LIVES, PATIENT, ExportGoneError, File
from fhirbridge.exports.narrowing import Narrowed, Sieve
from fhirbridge.facade import bundles
from fhirbridge.facade.held import AT_ONCE, Chosen, Held
from fhirbridge.facade.search import Found
from fhirbridge.facade.shelf import link_owner
from fhirbridge.fhir import codec
from fhirbridge.store import moment
from fhirbridge.store.export_tables import bulk_export
from fhirbridge.store.sealed import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was asked, as it is kept sealed: it may name patients."""

    query: str = ""  # of the address
    filters: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()  # charts; () for any
    ignored: tuple[str, ...] = ()


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
    told: Told = field(default_factory=Told)

    def file(self, name: str) -> File:
        """Return one of its files. Raises ExportGoneError."""
        found = next((one for one in self.files if one.name == name), None)
        if found is None:
            raise gone()
        return found

    @property
    def asked(self) -> str:
        """Return the address as it was asked."""
        return f"{self.request}?{self.told.query}" if self.told.query else self.request

    @property
    def sieve(self) -> Sieve:
        """Return what lets pass what was asked for."""
        told = self.told
        return Sieve(Narrowed(filters=told.filters, elements=told.elements))

    def chosen(self, *kinds: str) -> Chosen:
        """Return which versions of a shelf are meant, of these types."""
        return Chosen(
            kinds=kinds,
            at=((self.since, ""),) if self.since else (),
            not_shared=self.level == PATIENT,
            lanes=self.told.lanes or None,
        )


def put(tx: Connection, vault: Vault, begun: Begun) -> None:
    """Keep a new one, and forget those that have expired."""
    tx.execute(delete(bulk_export).where(bulk_export.c.expires_at <= begun.created_at))
    own = ("files", "sealed")
    names = [column.name for column in bulk_export.c if column.name not in own]
    values = {name: getattr(begun, name) for name in names}
    listed = codec.encode([asdict(one) for one in begun.files]).decode()
    key = vault.key(tx, link_owner(begun.destination))
    sealed = vault.seal(key, codec.encode(asdict(begun.told)), _place(begun.id))
    tx.execute(insert(bulk_export).values(**values, files=listed, sealed=sealed))


def find(tx: Connection, vault: Vault, export: str, *, token: str, now: datetime) -> Begun:
    """Return what a reader began. Raises ExportGoneError."""
    chosen = select(bulk_export).where(
        bulk_export.c.id == export,
        bulk_export.c.token == token,
        bulk_export.c.expires_at > moment.to_text(now),
    )
    row = tx.execute(chosen).mappings().one_or_none()
    if row is None:
        raise gone()
    values = {name: value for name, value in row.items() if name != "sealed"}
    listed = tuple(File(**one) for one in codec.decode(row["files"].encode()))
    told = Told()
    if row["sealed"] is not None:
        key = vault.key(tx, link_owner(row["destination"]))
        said = codec.decode_own(vault.unseal(key, row["sealed"], _place(row["id"])))
        query = said.pop("query")
        told = Told(query=query, **{name: tuple(some) for name, some in said.items()})
    return Begun(**{**values, "files": listed, "told": told})


def forget(tx: Connection, begun: Begun) -> None:
    """End one: none of its files can be read any more."""
    tx.execute(delete(bulk_export).where(bulk_export.c.id == begun.id))


def expires(now: datetime) -> str:
    """Return until when one that begins now lives."""
    return moment.to_text(now + LIVES)


@dataclass(frozen=True, slots=True)
class Piece:
    """A few lines of a file, each with its number; `after`: where to go on, None at its end."""

    lines: list[tuple[int, bytes]]
    after: int | None


def piece(held: Held, begun: Begun, sieve: Sieve, file: File, after: int) -> Piece:
    """Read what comes in a file after a number, as much as is opened at once."""
    walked = held.walk(begun.chosen(file.kind), upto=begun.upto, after=after)
    seen = [
        Found(one, codec.decode(one.body))
        for one in islice(walked, AT_ONCE)
        if one.number <= file.last
    ]
    lines = [
        (one.version.number, codec.encode(sieve.shown(bundles.resource(one))) + b"\n")
        for one in seen
        if sieve.lets(one)
    ]
    return Piece(lines, seen[-1].version.number if seen else None)


def tag(held: Held, vault: Vault, begun: Begun, file: File) -> str:
    """Return what changes whenever a byte of a file would: its ETag, without opening any of it.

    A version never changes; what may be read of them does, and how they are written may.
    """
    counted = hashlib.sha256()
    numbers = held.sizes(begun.chosen(file.kind), upto=begun.upto, after=file.first - 1)
    for number in _until(numbers, file.last):
        counted.update(f"{number},".encode())
    told = begun.told
    how = (__version__, begun.destination, file.kind, *told.filters, "|", *told.elements)
    return vault.digest(f"export:{counted.hexdigest()}:{codec.encode(how).decode()}")[:32]


def _until(sizes: Iterator[tuple[str, int, int]], last: int) -> Iterator[int]:
    for _, number, _ in sizes:
        if number > last:
            return
        yield number


def errors(begun: Begun) -> File | None:
    """Return the file of what was left out, where something was."""
    kind, _, place = ERRORS.partition(".")
    many = len(begun.told.ignored)
    return File(kind=kind, place=int(place), first=0, last=0, count=many) if many else None


def gone() -> ExportGoneError:
    """Say that there is nothing of it for this reader."""
    return ExportGoneError("there is no such export for you", hint="begin a new one")


def _place(export: str) -> str:
    return f"bulk-export:{export}"
