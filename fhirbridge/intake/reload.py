"""A draft of mappings made live: compiled aside, its cases run, then swapped in; or refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry
from fhirbridge.destinations import registry
from fhirbridge.errors import BridgeError
from fhirbridge.intake import live
from fhirbridge.intake.rooms import Rooms
from fhirbridge.records.source import SourceField
from fhirbridge.store import moment
from fhirbridge.translate import mapping_set
from fhirbridge.translate.faults import MappingError
from fhirbridge.translate.mapping_set import Files
from fhirbridge.workbench import cases
from fhirbridge.workbench.cases import CaseResult

MOST_MISTAKES = 50
UNTESTED = (
    f"{cases.CASES}/: there is no case, so nothing says what a record must become; make a folder"
    f" {cases.CASES}/01-iv-series-visit-1.v1, run: fhirbridge map test --update, and read it"
)


class RefusedMappingsError(BridgeError):
    """A draft was not made live; `mistakes` says why, and what was live still is."""

    code = "E805"
    http_status = HTTPStatus.CONFLICT

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        lines = "\n".join(mistakes)
        super().__init__(
            f"the mappings were not made live; what was live still is\n{lines}",
            hint="mend them, try with: fhirbridge map check, fhirbridge map test",
        )
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What is live now. `changed` is false where it was live before."""

    digest: str
    changed: bool
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A draft that was compiled and whose cases were run; `replaces` was live when that began."""

    files: Files
    replaces: str
    overlays: frozenset[str]
    cases: int
    mistakes: tuple[str, ...]


def reload(rooms: Rooms, folder: Path, source: SourceField, *, actor: str) -> Reloaded:
    """Make a folder of mappings live, where it compiles and all its cases hold.

    Raises MappingError where the folder cannot be read, RefusedMappingsError for all else.
    """
    return settle(rooms, tried(rooms, folder, source), actor=actor)


def tried(rooms: Rooms, folder: Path, source: SourceField) -> Tried:
    """Try a draft, and change nothing. Raises MappingError where the folder cannot be read."""
    with rooms.store.read() as tx:
        replaces = live.live_digest(tx)
    files = mapping_set.read(folder)
    overlays: frozenset[str] = frozenset()
    ran: tuple[CaseResult, ...] = ()
    mistakes: tuple[str, ...]
    try:
        overlays = frozenset(mapping_set.compile_all(files, source))
        ran = cases.run(files, folder, source)
        mistakes = _failing(ran) if ran else (UNTESTED,)
    except MappingError as error:
        mistakes = tuple(map(str, error.faults))
    return Tried(
        files=files, replaces=replaces, overlays=overlays, cases=len(ran), mistakes=mistakes
    )


def settle(rooms: Rooms, draft: Tried, *, actor: str) -> Reloaded:
    """Make live what was tried, or note why not. Raises RefusedMappingsError.

    A draft that was tried while another one went live is refused: it may be the older of the two.
    """
    files = draft.files
    with rooms.store.begin() as tx:
        found = draft.mistakes or (*_missing(tx, draft.overlays), *_overtaken(tx, draft))
        mistakes = _first(found)
        if mistakes:
            _note_refused(tx, rooms, files, mistakes, actor)
        changed = not mistakes and start(tx, rooms, files, actor=actor)
    if mistakes:
        raise RefusedMappingsError(mistakes)
    return Reloaded(digest=files.digest, changed=changed, cases=draft.cases)


def start(tx: Connection, rooms: Rooms, files: Files, *, actor: str) -> bool:
    """Make live what was found good; what it could not translate is tried at the next sync."""
    before = live.live_digest(tx)
    at = moment.to_text(rooms.clock.now())
    changed = live.make_live(tx, files, at=at, actor=actor)
    if changed:
        detail = {"set_digest": files.digest, "before": before}
        rooms.audit.append(tx, Entry(actor=actor, action=Action.MAPPINGS_LIVE, detail=detail))
    return changed


def _failing(ran: Sequence[CaseResult]) -> tuple[str, ...]:
    """Name what differs by its place: this is stored in the clear, and a value may be real."""
    return tuple(f"case {one.name}: {line}" for one in ran for line in one.places)


def _first(mistakes: Sequence[str]) -> tuple[str, ...]:
    more = len(mistakes) - MOST_MISTAKES
    said = (f"and {more} more: fhirbridge map check, fhirbridge map test",) if more > 0 else ()
    return (*mistakes[:MOST_MISTAKES], *said)


def _overtaken(tx: Connection, draft: Tried) -> tuple[str, ...]:
    now = live.live_digest(tx)
    if now in (draft.replaces, draft.files.digest):
        return ()
    return ("other mappings were made live meanwhile; look at them, then reload once more",)


def _missing(tx: Connection, overlays: frozenset[str]) -> tuple[str, ...]:
    """Name the destinations whose overlay the draft does not have."""
    return tuple(
        f"destination {one.name} uses the overlay {one.overlay}, which is not there"
        for one in registry.every(tx)
        if one.overlay and one.overlay not in overlays
    )


def _note_refused(
    tx: Connection, rooms: Rooms, files: Files, mistakes: tuple[str, ...], actor: str
) -> None:
    at = moment.to_text(rooms.clock.now())
    live.note_refused(tx, files, at=at, actor=actor, mistakes=mistakes)
    detail = {"set_digest": files.digest, "mistakes": len(mistakes)}
    entry = Entry(actor=actor, action=Action.MAPPINGS_REFUSED, outcome="refused", detail=detail)
    rooms.audit.append(tx, entry)
