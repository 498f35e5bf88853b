"""Walk what a facade shows, in one order and in constant memory; nothing that may not be read.

The one way to what stands on a shelf. Consent and an operator's pauses are asked here, at the time
of reading: what was rightly put there is served to nobody once that is over.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from fhirbridge.consent import state as consent
from fhirbridge.destinations.registry import Destination
from fhirbridge.facade import words
from fhirbridge.facade.shelf import place
from fhirbridge.outbox import pauses
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.store import moment
from fhirbridge.store.facade_tables import facade_clock, facade_version, facade_word
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import payload_key

AT_ONCE = 100  # rows in memory
_SHOWN = [one for one in facade_version.c if one.name not in ("destination", "resource")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which versions are walked. Each field narrows; left out, it lets all pass."""

    kinds: Collection[str] | None = None
    own: Collection[str] | None = None  # ids of resources
    lanes: Collection[str] | None = None
    word: tuple[str, Collection[str]] | None = None  # with kinds: parameter, one of these hashes
    # When it was put there: from a stored moment on, before a stored moment; "" is no bound.
    at: tuple[tuple[str, str], ...] = ()
    history: bool = False  # also what was replaced
    number: int | None = None  # this version alone
    newest_first: bool = False
    not_shared: bool = False  # only what stands in a patient's chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a resource, as a reader may see it."""

    identity: Identity
    number: int  # its versionId; later ones are higher, over the whole facade
    at: datetime  # its lastUpdated
    lane: str  # whose chart it stands in
    is_first: bool  # there was none before it
    body: bytes  # JSON without versionId and lastUpdated


@dataclass(slots=True)
class Gate:
    """Says what of a facade may be read now."""

    tx: Connection
    destination: Destination
    _known: dict[tuple[str, bool], bool] = field(default_factory=dict)

    def lets(self, lane: str, *, part_2: bool) -> bool:
        """Say whether what stands in this chart, with or without that label, may be read."""
        if (lane, part_2) not in self._known:
            self._known[lane, part_2] = self._lets(lane, part_2=part_2)
        return self._known[lane, part_2]

    def _lets(self, lane: str, *, part_2: bool) -> bool:
        name = self.destination.name
        if pauses.is_put(self.tx, name, lane):
            return False
        if lane == SHARED_LANE:
            return True
        need = consent.Need(
            destination=name,
            sharing_required=self.destination.requires_consent,
            part_2=part_2,
        )
        return consent.refusal(self.tx, lane, need) == ""


class Held:
    """One facade's shelf, read in one transaction."""

    def __init__(self, tx: Connection, vault: Vault, destination: Destination) -> None:
        self._tx = tx
        self._vault = vault
        self._name = destination.name
        self._gate = Gate(tx, destination)

    def last(self) -> tuple[int, datetime]:
        """Return the last number that was given out, and when."""
        chosen = select(facade_clock.c.sequence, facade_clock.c.at)
        row = self._tx.execute(chosen.where(facade_clock.c.destination == self._name)).one()
        return row.sequence, moment.from_text(row.at)

    def walk(self, chosen: Chosen, *, upto: int, after: int = 0) -> Iterator[Version]:
        """Yield what may be read and is chosen, as all stood when `upto` was the last number.

        By number, so that whoever stops goes on `after` the last one that it saw. Later versions
        change nothing of it. What was erased with its record is left out.
        """
        for row in self._rows(chosen, upto, after):
            if row.wrapped is None:
                continue
            key = self._vault.unwrap(row.wrapped, row.owner)
            body = self._vault.unseal(key, row.sealed, place(self._name, row.sequence))
            yield Version(
                identity=Identity(row.type, row.resource_id),
                number=row.sequence,
                at=moment.from_text(row.at),
                lane=row.lane,
                is_first=row.first,
                body=body,
            )

    def count(self, chosen: Chosen, *, upto: int) -> int:
        """Count what `walk` would yield, without opening any."""
        counted = (
            select(facade_version.c.lane, facade_version.c.part_2, func.count().label("many"))
            .join(payload_key, payload_key.c.owner == facade_version.c.owner)
            .where(*self._conditions(chosen, upto), payload_key.c.wrapped.is_not(None))
            .group_by(facade_version.c.lane, facade_version.c.part_2)
        )
        rows = self._tx.execute(counted).all()
        return sum(row.many for row in rows if self._gate.lets(row.lane, part_2=row.part_2))

    def sizes(self, chosen: Chosen, *, upto: int, after: int = 0) -> Iterator[tuple[str, int, int]]:
        """Yield type, number and size in bytes of what `walk` would yield, by type and number."""
        at = facade_version.c
        asked = (
            select(at.type, at.sequence, at.lane, at.part_2, func.length(at.sealed).label("size"))
            .join(payload_key, payload_key.c.owner == at.owner)
            .where(*self._conditions(chosen, upto), at.sequence > after)
            .where(payload_key.c.wrapped.is_not(None))
            .order_by(at.type, at.sequence)
            .execution_options(yield_per=AT_ONCE)
        )
        for row in self._tx.execute(asked):
            if self._gate.lets(row.lane, part_2=row.part_2):
                yield row.type, row.sequence, row.size

    def lane_of(self, patient: str) -> str | None:
        """Return whose chart a Patient's id names, where it may be read; None else."""
        chosen = Chosen(kinds=("Patient",), own=(patient,))
        upto, _ = self.last()
        return next((row.lane for row in self._rows(chosen, upto, 0)), None)

    def hashed(self, parameter: str, word: str) -> str:
        """Return the keyed hash under which a word is found."""
        return self._vault.digest(words.named(parameter, word))

    def _rows(self, chosen: Chosen, upto: int, after: int) -> Iterator[Row[Any]]:
        number = facade_version.c.sequence
        while True:
            beyond = number < after if chosen.newest_first and after else number > after
            asked: Select[Any] = (
                select(*_SHOWN, payload_key.c.wrapped)
                .outerjoin(payload_key, payload_key.c.owner == facade_version.c.owner)
                .where(*self._conditions(chosen, upto), beyond)
                .order_by(number.desc() if chosen.newest_first else number)
                .limit(AT_ONCE)
            )
            rows = self._tx.execute(asked).all()
            for row in rows:
                if self._gate.lets(row.lane, part_2=row.part_2):
                    yield row
            if len(rows) < AT_ONCE:
                return
            after = rows[-1].sequence

    def _conditions(self, chosen: Chosen, upto: int) -> list[ColumnElement[bool]]:
        at = facade_version.c
        found: list[ColumnElement[bool]] = [at.destination == self._name, at.sequence <= upto]
        if not chosen.history:
            found.append(or_(at.until == 0, at.until > upto))
        if chosen.kinds is not None:
            found.append(at.type.in_(list(chosen.kinds)))
        if chosen.own is not None:
            found.append(at.resource_id.in_(list(chosen.own)))
        if chosen.lanes is not None:
            found.append(at.lane.in_(list(chosen.lanes)))
        if chosen.not_shared:
            found.append(at.lane != SHARED_LANE)
        if chosen.number is not None:
            found.append(at.sequence == chosen.number)
        if chosen.word is not None:
            found.append(at.sequence.in_(self._with_word(chosen.kinds or (), *chosen.word)))
        found += [at.at >= since for since, _ in chosen.at if since]
        return [*found, *(at.at < before for _, before in chosen.at if before)]

    def _with_word(
        self, kinds: Collection[str], parameter: str, hashes: Collection[str]
    ) -> Select[Any]:
        return select(facade_word.c.sequence).where(
            facade_word.c.destination == self._name,
            facade_word.c.type.in_(list(kinds)),
            facade_word.c.parameter == parameter,
            facade_word.c.word.in_(list(hashes)),
        )
