"""What readers may ask for about Bulk Data exports of a facade. Holds no rules."""

from collections.abc import Iterator
from typing import Any

from fhirbridge.access.tokens import Principal
from fhirbridge.audit.log import Action
from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Kind
from fhirbridge.exports import begun, bulk
from fhirbridge.exports.begun import Begun
from fhirbridge.exports.bulk import File, Wanted
from fhirbridge.facade import desk
from fhirbridge.facade.held import Held
from fhirbridge.facing import Facing
from fhirbridge.rng import new_id
from fhirbridge.store import moment


class Bulking(Facing):
    """What a door may ask for about Bulk Data exports."""

    def begin_bulk(self, reader: Principal, wanted: Wanted, request: str) -> str:
        """Begin an export of what the reader's facade shows now; return where it is asked for.

        `request`: what was asked, below the facade's address. Raises FacadeError.
        """
        now = self.clock.now()
        with self._store.read() as tx:
            destination = desk.opened(tx, reader.facade)
            held = Held(tx, self._parts.vault, destination)
            upto, at = held.last()
            listed = bulk.files(held.sizes(begun.wanted(wanted), upto=upto))
        new = Begun(
            id=new_id(self._parts.rng),
            destination=reader.facade,
            token=reader.id,
            request=f"{destination.base_url}/{request}",
            level=wanted.level,
            since=moment.to_text(wanted.since) if wanted.since is not None else "",
            upto=upto,
            at=moment.to_text(at),
            files=tuple(listed),
            created_at=moment.to_text(now),
            expires_at=begun.expires(now),
        )
        with self._store.begin() as tx:
            begun.put(tx, new)
            said = {"level": new.level, "since": new.since, "upto": upto}
            counted = {one.name: one.count for one in listed}
            self._note_bulk(tx, reader, new, "begun", **said, files=counted)
            events.wait(tx, _ready(new), at=now)
        return f"{destination.base_url}/$export-status/{new.id}"

    def bulk_manifest(self, reader: Principal, export: str) -> tuple[dict[str, Any], str]:
        """Return the manifest of an export, and until when it lives. Raises ExportGoneError."""
        with self._store.read() as tx:
            destination = desk.opened(tx, reader.facade)
            found = begun.find(tx, export, token=reader.id, now=self.clock.now())
        at = moment.from_text(found.at)
        said = bulk.manifest(found.request, at, destination.base_url, found.id, found.files)
        return said, found.expires_at

    def bulk_file(self, reader: Principal, export: str, name: str) -> Iterator[bytes]:
        """Return the lines of one file; noted before the first one is read. Holds PHI.

        A few lines are read at a time: however slowly a reader takes them, no writer waits. Raises
        ExportGoneError, FacadeError.
        """
        with self._store.begin() as tx:
            desk.opened(tx, reader.facade)
            found = begun.find(tx, export, token=reader.id, now=self.clock.now())
            file = found.file(name)
            self._note_bulk(tx, reader, found, "read", file=name, count=file.count)
        return self._lines(reader, found, file)

    def end_bulk(self, reader: Principal, export: str) -> None:
        """End an export. Raises ExportGoneError."""
        with self._store.begin() as tx:
            found = begun.find(tx, export, token=reader.id, now=self.clock.now())
            begun.forget(tx, found)
            self._note_bulk(tx, reader, found, "ended")

    def _lines(self, reader: Principal, found: Begun, file: File) -> Iterator[bytes]:
        after = file.first - 1
        while True:
            with self._store.read() as tx:
                destination = desk.opened(tx, reader.facade)
                held = Held(tx, self._parts.vault, destination)
                lines = begun.page(held, found, file, after)
            if not lines:
                return
            yield from (line for _, line in lines)
            after = lines[-1][0]

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
