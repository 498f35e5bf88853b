"""What readers may ask for about Bulk Data exports of a facade. Holds no rules."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.access.tokens import Principal
from fhirbridge.audit.log import Action
from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Kind
from fhirbridge.exports import begun, bulk
from fhirbridge.exports.begun import Begun, Told
from fhirbridge.exports.bulk import File, Wanted
from fhirbridge.facade import desk
from fhirbridge.facade.errors import FacadeError
from fhirbridge.facade.held import Held
from fhirbridge.facing import Facing
from fhirbridge.fhir import codec
from fhirbridge.rng import new_id
from fhirbridge.store import moment


@dataclass(frozen=True, slots=True)
class Lines:
    """One file: its ETag, and how it is read, as often as need be. Holds PHI."""

    tag: str
    read: Callable[[], Iterator[bytes]]


class Bulking(Facing):
    """What a door may ask for about Bulk Data exports."""

    def begin_bulk(self, reader: Principal, wanted: Wanted, path: str, query: str) -> str:
        """Begin an export of what the reader's facade shows now; return where it is asked for.

        `path` and `query`: what was asked, below the facade's address. Raises FacadeError.
        """
        now = self.clock.now()
        with self._store.read() as tx:
            destination = desk.opened(tx, reader.facade)
            held = Held(tx, self._parts.vault, destination)
            upto, at = held.last()
            lanes = _lanes(held, wanted.narrowed.patients)
        new = Begun(
            id=new_id(self._parts.rng),
            destination=reader.facade,
            token=reader.id,
            request=f"{destination.base_url}/{path}",
            level=wanted.level,
            since=moment.to_text(wanted.since) if wanted.since is not None else "",
            upto=upto,
            at=moment.to_text(at),
            files=(),
            created_at=moment.to_text(now),
            expires_at=begun.expires(now),
            told=Told(
                query=query,
                filters=wanted.narrowed.filters,
                elements=wanted.narrowed.elements,
                lanes=lanes,
                ignored=wanted.ignored,
            ),
        )
        new = replace(new, files=tuple(self._parted(reader, new, wanted.kinds)))
        with self._store.begin() as tx:
            begun.put(tx, self._parts.vault, new)
            said = {"level": new.level, "since": new.since, "upto": upto, "charts": len(lanes)}
            counted = {one.name: one.count for one in new.files}
            self._note_bulk(tx, reader, new, "begun", **said, files=counted)
            events.wait(tx, _ready(new), at=now)
        return f"{destination.base_url}/$export-status/{new.id}"

    def _parted(self, reader: Principal, new: Begun, kinds: Iterable[str]) -> list[File]:
        """Part what is meant into files; only what a search narrows is opened for it."""
        sieve = new.sieve
        opened = {one for one in kinds if sieve.opens(one)}
        with self._store.read() as tx:
            held = Held(tx, self._parts.vault, desk.opened(tx, reader.facade))
            plain = new.chosen(*(one for one in kinds if one not in opened))
            listed = bulk.files(held.sizes(plain, upto=new.upto))
        searched = (
            (kind, number, len(line))
            for kind in sorted(opened)
            for number, line in self._numbered(
                reader, new, File(kind=kind, place=0, first=1, last=new.upto, count=0)
            )
        )
        return sorted([*listed, *bulk.files(searched)], key=lambda one: (one.kind, one.place))

    def bulk_manifest(self, reader: Principal, export: str) -> tuple[dict[str, Any], str]:
        """Return the manifest of an export, and until when it lives. Raises ExportGoneError."""
        with self._store.read() as tx:
            destination = desk.opened(tx, reader.facade)
            found = self._found_bulk(tx, reader, export)
        at = moment.from_text(found.at)
        left_out = len(found.told.ignored)
        base = destination.base_url
        said = bulk.manifest(found.asked, at, base, found.id, found.files, left_out)
        return said, found.expires_at

    def bulk_file(self, reader: Principal, export: str, name: str) -> Lines:
        """Return one file; noted before its first line is read.

        A few lines are read at a time: however slowly a reader takes them, no writer waits. Raises
        ExportGoneError, FacadeError.
        """
        with self._store.read() as tx:
            held = Held(tx, self._parts.vault, desk.opened(tx, reader.facade))
            found = self._found_bulk(tx, reader, export)
            of_errors = begun.errors(found) if name == bulk.ERRORS else None
            file = of_errors or found.file(name)
            tag = begun.tag(held, self._parts.vault, found, file)
        with self._store.begin() as tx:
            self._note_bulk(tx, reader, found, "read", file=name, count=file.count)
        if of_errors is not None:
            told = bulk.outcomes(found.told.ignored)
            left_out = [codec.encode(one) + b"\n" for one in told]
            return Lines(tag, lambda: iter(left_out))
        return Lines(tag, lambda: (line for _, line in self._numbered(reader, found, file)))

    def end_bulk(self, reader: Principal, export: str) -> None:
        """End an export. Raises ExportGoneError."""
        with self._store.begin() as tx:
            found = self._found_bulk(tx, reader, export)
            begun.forget(tx, found)
            self._note_bulk(tx, reader, found, "ended")

    def _numbered(self, reader: Principal, found: Begun, file: File) -> Iterator[tuple[int, bytes]]:
        after: int | None = file.first - 1
        sieve = found.sieve
        while after is not None:
            with self._store.read() as tx:
                held = Held(tx, self._parts.vault, desk.opened(tx, reader.facade))
                piece = begun.piece(held, found, sieve, file, after)
            yield from piece.lines
            after = piece.after

    def _found_bulk(self, tx: Any, reader: Principal, export: str) -> Begun:
        return begun.find(tx, self._parts.vault, export, token=reader.id, now=self.clock.now())

    def _note_bulk(
        self, tx: Any, reader: Principal, found: Begun, outcome: str, **more: Any
    ) -> None:
        self._note(
            tx,
            reader.actor,
            Action.RESOURCES_EXPORTED,
            outcome=outcome,
            destination=reader.facade,
            detail={"export": found.id, **more},
        )


def _ready(new: Begun) -> Event:
    """Return what others are told: which export, and how much it is."""
    detail = {"export": new.id, "resources": sum(one.count for one in new.files)}
    return Event(kind=Kind.EXPORT_READY, destination=new.destination, patient="", detail=detail)


def _lanes(held: Held, patients: Iterable[str]) -> tuple[str, ...]:
    """Return whose charts are meant. Raises FacadeError where one cannot be read."""
    found = [held.lane_of(one) for one in patients]
    lanes = {one for one in found if one is not None}
    if None in found:
        raise FacadeError(
            "patient names somebody of whom there is nothing for you",
            hint="leave it out, and ask for whoever GET Patient/ID shows",
        )
    return tuple(sorted(lanes))
