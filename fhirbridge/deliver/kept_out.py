"""What of a delivery does not go as itself: its type is left out, or the EHR changes nothing.

What a note is to say is settled once the EHR has that note, and never before.
"""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, Row, select

from fhirbridge.deliver import ledger, order
from fhirbridge.destinations.registry import Destination
from fhirbridge.destinations.taken import (
    DOSE_TYPE,
    EVENT_TYPES,
    NOTE_TYPE,
    URGENT_TYPES,
    Taken,
)
from fhirbridge.matching import kept
from fhirbridge.outbox import addenda, beside
from fhirbridge.outbox.claim import Item
from fhirbridge.outbox.contents import ADDENDA, RETRACTION, SHARED_LANE, Identity
from fhirbridge.outbox.states import LANDED, Became
from fhirbridge.store.tables import resource

Body = Callable[[Connection, str], dict[str, Any]]  # opens one resource version
NO_CHANGE = "the EHR lets nobody change it"


class Line(Protocol):
    """What is asked of the ledger's line for one resource."""

    @property
    def resource(self) -> Any: ...
    @property
    def digest(self) -> Any: ...


@dataclass(slots=True, kw_only=True)
class Aside:
    """What of one delivery is set aside, by position."""

    settled: dict[int, str] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)
    withheld: set[int] = field(default_factory=set)  # until the EHR has the note that says it
    to_come: set[int] = field(default_factory=set)  # of these, notes: an addendum is to be made
    lacking: Identity | None = None  # that note, where this delivery does not bring it
    elsewhere: Identity | None = None  # it stands in another patient's chart, for good


class KeptOut:
    """Sorts out one delivery."""

    def __init__(
        self,
        tx: Connection,
        body: Body,
        row: Row[Any],
        destination: Destination,
        *,
        lines: Mapping[Identity, Line],
        purposes: Mapping[str, str],
    ) -> None:
        self._tx = tx
        self._body = body
        self._row = row
        self._destination = destination
        self._lines = lines
        self._purposes = purposes
        self._aside = Aside()
        self._notes: list[Item] = []

    def sort(self, items: Sequence[Item], settled: Mapping[int, str]) -> Aside:
        """Set aside what of `items` is not `settled` and does not go."""
        found = self._aside
        self._notes = [one for one in items if self._is_note(one)]
        left = [one for one in items if one.position not in settled and one.outcome != Became.SENT]
        if self._destination.only_creates:
            for note in left:
                if self._is_note(note) and note.identity in self._lines:
                    self._sort_note(note, items)
        found.settled |= self._overtaken(left, settled)
        known = ChainMap(found.settled, dict(settled))
        for item in sorted(left, key=lambda one: not self._is_note(one)):  # what others wait for
            if item.position not in known and item.position not in found.withheld:
                self._sort_one(item, known)
        held = frozenset(self._doses_of_unsaid_events(items))
        found.withheld |= {one.position for one in left if one.identity in held}
        return found

    def _is_note(self, item: Item) -> bool:
        return item.identity.type == NOTE_TYPE and self._purposes[item.resource] not in ADDENDA

    def _sort_note(self, note: Item, items: Sequence[Item]) -> None:
        """Settle a note that the EHR has: it says this, an addendum does, or one is to come."""
        if self._is_in_another_chart(note.identity, self._lines[note.identity]):
            self._aside.elsewhere = note.identity
            return
        made = [one for one in items if addenda.is_of(one.identity, note.identity)]
        arrived = [one for one in made if one.identity in self._lines]
        last = addenda.said_last(self._tx, self._row.destination, note.identity)
        said = last[1] if last else self._lines[note.identity].digest
        if arrived:
            self._settle(note, Became.CARRIED, f"by {self._there(arrived[-1].identity)}")
        elif said == note.digest:
            stays = note.outcome if note.outcome in LANDED else Became.UNCHANGED
            self._aside.settled[note.position] = stays
        else:
            self._aside.withheld.add(note.position)
            self._aside.to_come |= set() if made else {note.position}

    def _overtaken(self, left: Sequence[Item], settled: Mapping[int, str]) -> dict[int, str]:
        """Return the addenda to notes that are not to go: nor are these."""
        over = [one.identity for one in self._notes if one.position in settled]
        return {
            item.position: Became.SUPERSEDED
            for item in left
            if any(addenda.is_of(item.identity, note) for note in over)
        }

    def _sort_one(self, item: Item, known: Mapping[int, str]) -> None:
        line = self._lines.get(item.identity)
        retracts = self._purposes[item.resource] == RETRACTION
        if line is not None:
            if self._destination.only_creates:
                self._sort_change(item, line, known, retracts=retracts)
            return
        taken = self._destination.takes(item.identity.type)
        keeps_in_step = retracts or self._purposes[item.resource] in ADDENDA
        if keeps_in_step or taken is Taken.SEND:
            return
        # A dose must not go while nothing says what went wrong with it, and what a person must hear
        # of must be said: neither is ever skipped.
        if taken is Taken.SKIP and not (self._is_urgent(item) or self._doses_of(item)):
            self._settle(item, Became.SKIPPED, "")
        elif self._row.lane == SHARED_LANE:
            self._settle(item, Became.SKIPPED, "it belongs to no patient's note")
        else:
            self._by_note(item, Became.CARRIED, "by", known)

    def _sort_change(
        self, item: Item, line: Line, known: Mapping[int, str], *, retracts: bool
    ) -> None:
        """Set aside a change, or a retraction, of what is there and cannot be changed."""
        if self._is_in_another_chart(item.identity, line):
            self._aside.elsewhere = item.identity
            return
        became = Became.CANNOT_RETRACT if retracts else Became.CANNOT_UPDATE
        notes = self._changed_notes(known)
        if not notes:
            self._settle(item, became, f"{NO_CHANGE}; no note says it")
            return
        if not any(one.identity in self._lines for one in notes):
            self._aside.withheld.add(item.position)  # the first note is still to come
            return
        # A dose that stands there as it was not given, or an answer that must be heard, is a
        # person's to put right, whatever is said.
        grave = item.identity.type == DOSE_TYPE or self._is_urgent(item)
        if became is Became.CANNOT_UPDATE and not grave:
            became = Became.CARRIED
        self._by_note(item, became, f"{NO_CHANGE}; said by", known)

    def _changed_notes(self, known: Mapping[int, str]) -> list[Item]:
        """Return the notes of this delivery that say something new, or will."""
        same = (Became.UNCHANGED, Became.SUPERSEDED, Became.THEIRS, Became.SKIPPED)
        return [one for one in self._notes if known.get(one.position) not in same]

    def _by_note(self, item: Item, became: Became, words: str, known: Mapping[int, str]) -> None:
        """Settle what the note says once the EHR has it; withhold it until then."""
        if self._notes:
            if any(one.position not in known for one in self._notes):
                self._aside.withheld.add(item.position)
                return
            shown = [one for one in map(self._shown, self._notes) if one]
        else:
            note = addenda.note_of(self._tx, self._row.record_id, self._destination.overlay)
            shown = [one] if note is not None and (one := self._newest(note)) else []
            self._aside.lacking = None if shown else note
        if shown:
            self._settle(item, became, f"{words} {', '.join(shown)}")
        else:
            self._aside.withheld.add(item.position)

    def _shown(self, note: Item) -> str:
        return self._newest(note.identity)

    def _newest(self, note: Identity) -> str:
        """Return the newest document of a note as the EHR calls it, or "" where there is none."""
        last = addenda.said_last(self._tx, self._row.destination, note)
        return self._there(last[0] if last else note)

    def _there(self, document: Identity) -> str:
        line = ledger.find(self._tx, self._row.destination, document)
        if line is not None:
            return f"{document.type}/{line.ehr_id}"
        return f"{document.type}/{document.id}" if document in self._lines else ""

    def _settle(self, item: Item, became: Became, why: str) -> None:
        self._aside.settled[item.position] = became
        if why:
            self._aside.why[item.position] = why

    def _is_in_another_chart(self, there: Identity, line: Line) -> bool:
        lane = self._tx.scalar(select(resource.c.lane).where(resource.c.id == line.resource))
        if lane not in (self._row.lane, SHARED_LANE):
            return True
        return lane != SHARED_LANE and self._is_of_another_of_theirs(there)

    def _is_of_another_of_theirs(self, there: Identity) -> bool:
        """Say whether it went to one of the EHR's own patients who is not this one, nor was."""
        now = kept.current(self._tx, self._row.destination, self._row.lane)
        if now is None or now.state != kept.State.LINKED:
            return False
        went = beside.went_by(self._tx, self._row, there)
        if not went or went == now.id:
            return False
        before = kept.reference(kept.of_id(self._tx, went).ehr_id)
        return before not in (kept.reference(now.ehr_id), *kept.before(self._tx, now))

    def _is_urgent(self, item: Item) -> bool:
        """Say whether it may be what of an urgent delivery a person must hear of."""
        return bool(self._row.urgent) and item.identity.type in URGENT_TYPES

    def _doses_of(self, item: Item) -> frozenset[Identity]:
        """Return the doses of which this says that something went wrong."""
        if item.identity.type not in EVENT_TYPES:
            return frozenset()
        return order.suspected(self._body(self._tx, item.resource))

    def _doses_of_unsaid_events(self, items: Sequence[Item]) -> Iterator[Identity]:
        """Yield the doses that wait: a note is to say what went wrong with them, and does not."""
        for item in items:
            if item.position in self._aside.withheld and item.identity not in self._lines:
                yield from self._doses_of(item)
