"""One delivery's items, sorted: what was settled before, what is in doubt, what goes now."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from fhirbridge.deliver import ledger
from fhirbridge.deliver.as_sent import Told, as_sent
from fhirbridge.deliver.bundle import NOT_THERE, Known, Send
from fhirbridge.deliver.kept_out import Aside, KeptOut
from fhirbridge.deliver.line import Line
from fhirbridge.destinations import modes
from fhirbridge.destinations.registry import Destination
from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.fhir import profiles
from fhirbridge.fhir.names import Names
from fhirbridge.fhir.references import literal_references
from fhirbridge.matching import kept
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox import beside, claim, contents
from fhirbridge.outbox.claim import Item
from fhirbridge.outbox.contents import (
    ADDENDA,
    PROVENANCE,
    PROVENANCE_TYPE,
    RETRACTION,
    SHARED_LANE,
    TAKING_BACK,
    Identity,
)
from fhirbridge.outbox.states import GONE, LANDED, NOT_AS_ITSELF, Became, State
from fhirbridge.store.sealed import ShreddedError
from fhirbridge.store.tables import delivery, delivery_item, record, resource

# Built once: what each resource version is, and of which record.
_ABOUT = (
    select(resource.c.id, resource.c.purpose, resource.c.lane, record.c.retracted)
    .add_columns(resource.c.type, resource.c.resource_id, resource.c.overlay, resource.c.digest)
    .join(record, record.c.id == resource.c.record_id)
    .where(resource.c.id.in_(bindparam("of_rows", expanding=True)))
)
Body = Callable[[Connection, str], dict[str, Any]]  # opens one resource version


class Work:
    """One delivery's items, sorted into those that go and those that are settled without going."""

    def __init__(
        self,
        tx: Connection,
        body: Body,
        row: Row[Any],
        destination: Destination,
        *,
        ahead: Mapping[Identity, Line] | None,
        theirs: TheirLinks | None,
    ) -> None:
        self._tx = tx
        self._theirs = theirs
        self._destination = destination
        self._known_profiles: Collection[str] = destination.traits.get("profiles", ())
        self._new_by_none = modes.creates_by_none(destination.traits)
        self._patient_is_theirs = kept.are_theirs(tx, destination, row.lane)
        self._body = body
        self._row = row
        self._items = claim.items(tx, row.id)
        identities = [item.identity for item in self._items]
        self._lines: dict[Identity, Row[Any] | Line] = {
            **ledger.of_delivery(tx, row),
            **{one: ahead[one] for one in identities if ahead and one in ahead},
        }
        self._looks_ahead = ahead is not None
        self._ahead = frozenset(ahead or ())
        rows = {"of_rows": [item.resource for item in self._items]}
        about = {one.id: one for one in tx.execute(_ABOUT, rows)}
        self._purposes: dict[str, str] = {one: row.purpose for one, row in about.items()}
        self._taken_back = {one for one, row in about.items() if _is_taken_back(row)}
        if row.repairs:  # of several sessions: what another one says too comes back
            self._taken_back -= {one for one in self._taken_back if self._still_said(about[one])}
        self._doubtful = beside.left_in_doubt(tx, row)
        self._newer = beside.delivered_later(tx, row)
        self.settled = {
            item.position: outcome for item in self._items if (outcome := self._outcome(item))
        }
        self.aside = Aside()
        if destination.leaves_out:
            out = KeptOut(tx, body, row, destination, lines=self._lines, purposes=self._purposes)
            self.aside = out.sort(self._items, self.settled)
            self.settled |= self.aside.settled
        self.refused = {
            item.position: item.reason
            for item in self._items
            if item.outcome == Became.REFUSED and item.position not in self.settled
        }

    @property
    def news(self) -> dict[int, str]:
        """Return what is settled and not noted yet."""
        noted = {item.position: item.outcome for item in self._items}
        return {p: outcome for p, outcome in self.settled.items() if outcome != noted[p]}

    @property
    def left(self) -> int:
        """Return how many are not settled."""
        return len(self._items) - len(self.settled)

    def in_doubt(self) -> list[Send]:
        """Return what went out unheard of, or is to be taken back and may be there unheard of."""
        found: list[Send] = []
        doubtful = [one for one in self._unsettled() if self._is_in_doubt(one)]
        for decided, items in groupby(doubtful, self._decided):
            found += self._named((self._send(one, read_first=True) for one in items), decided)
        return found

    def _is_in_doubt(self, item: Item) -> bool:
        return item.outcome == Became.SENT or self._is_doubtful(item)

    def _decided(self, item: Item) -> int | None:
        """Return up to which decision about the EHR's own it went; None for the last one."""
        return item.decided if self._destination.theirs and item.outcome == Became.SENT else None

    def sends(self) -> list[Send]:
        """Return what has to go; `settled` then names the rest."""
        left = self._to_go()
        if self._tells_of_nothing(left):
            silent = [item for item in left if self._purposes[item.resource] == PROVENANCE]
            self.settled |= {item.position: Became.SUPERSEDED for item in silent}
            left = self._to_go()
        sends = [self._send(item, read_first=False) for item in left]
        blank = {one.position for one in sends if _names_nothing(one)}
        self.settled |= dict.fromkeys(blank, Became.SUPERSEDED)
        return self._named(one for one in sends if one.position not in blank)

    def _to_go(self) -> list[Item]:
        return [one for one in self._unsettled() if one.position not in self.aside.withheld]

    def _named(self, sends: Iterable[Send], decided: int | None = None) -> list[Send]:
        """Say under which ids the EHR has these, and all that they point to.

        `decided`: they went as was decided up to then of what is the EHR's own.
        """
        found = list(sends)
        where = self._destination
        if not (where.gives_ids or where.types or where.theirs or self._patient_is_theirs):
            return found
        bodies = [send.body for send in found]
        bodies += [known.body for send in found for known in send.known]
        named = {Identity(*target) for body in bodies for target in literal_references(body)}
        named |= {send.identity for send in found}
        there = self._names(named, bodies, decided)
        return [
            replace(send, there=there, known=tuple(map(self._known_there, send.known)))
            for send in found
        ]

    def _names(
        self,
        named: Collection[Identity],
        bodies: Collection[dict[str, Any]],
        decided: int | None,
    ) -> Names:
        where, numbers = self._destination, ledger.NO_NUMBERS
        if self._theirs is not None and where.theirs:
            numbers = self._theirs.numbers(where, self._row.lane, bodies)
        return ledger.names(self._tx, where, named, numbers=numbers, decided=decided)

    def _known_there(self, known: Known) -> Known:
        """Say how the EHR named things when it got the version that the ledger has."""
        if not self._destination.theirs or known.decided is None:
            return known
        named = {Identity(*target) for target in literal_references(known.body)}
        return replace(known, there=self._names(named, [known.body], known.decided))

    def removed_unheard(self, sends: Iterable[Send]) -> str:
        """Name the delivery that waits for a person since the EHR removed one of these, or "".

        The EHR had named it and nobody heard: no guard of it knows, and it would be made again.
        """
        if not self._destination.gives_ids:
            return ""
        chosen = (
            select(delivery_item.c.type, delivery_item.c.resource_id, delivery.c.id)
            .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
            .where(
                delivery.c.destination == self._row.destination,
                delivery.c.lane == self._row.lane,
                delivery.c.sequence < self._row.sequence,
                delivery.c.state == State.HELD,
                delivery.c.reason.startswith(GONE),
            )
        )
        waiting = {Identity(one.type, one.resource_id): one.id for one in self._tx.execute(chosen)}
        new = (send.identity for send in sends if send.base == NOT_THERE)
        return next((waiting[one] for one in new if one in waiting), "")

    def _unsettled(self) -> list[Item]:
        return [item for item in self._items if item.position not in self.settled]

    def _outcome(self, item: Item) -> str:
        line = self._lines.get(item.identity)
        if item.outcome == Became.BY_HAND:
            return Became.BY_HAND
        if item.outcome == Became.THEIRS or self._is_theirs(item):
            return Became.THEIRS
        if item.identity in self._newer:
            return Became.SUPERSEDED
        if line is not None and line.digest == item.digest and not self._is_note_for_good(item):
            return item.outcome if item.outcome in LANDED else Became.UNCHANGED
        if self._is_overtaken(item, line):
            return Became.SUPERSEDED
        never_there = line is None and not self._is_doubtful(item)
        return Became.UNCHANGED if never_there and self._retracts(item) else ""

    def _is_note_for_good(self, item: Item) -> bool:
        """Say whether it is a note that cannot be changed: what is newest of it is an addendum."""
        is_note = item.identity.type == NOTE_TYPE and self._purposes[item.resource] not in ADDENDA
        return is_note and self._destination.only_creates

    def _is_overtaken(self, item: Item, line: Row[Any] | Line | None) -> bool:
        """Say whether it must not go any more, though nothing newer of this chart is there."""
        if self._row.repairs and self._is_outdated(item, line):
            return True
        if item.resource in self._taken_back:
            return item.outcome != Became.SENT  # what may be there is read first
        return self._retracts(item) and line is not None and self._is_in_another_chart(line)

    def _still_said(self, made: Any) -> bool:
        """Say whether a session that stands says the same of what was taken back."""
        identity = Identity(made.type, made.resource_id)
        best = contents.winner(self._tx, identity, made.overlay, made.lane)
        return best is not None and best.digest == made.digest

    def _is_theirs(self, item: Item) -> bool:
        """Say whether it is something that the EHR has itself: that is never written."""
        if item.identity.type == "Patient":
            return self._patient_is_theirs
        return item.identity.type in self._destination.theirs

    def _is_outdated(self, item: Item, line: Row[Any] | Line | None) -> bool:
        """Say of what a repair brings back whether it is older than what came, or left, since.

        A Provenance goes with what it names, be that left out of this repair.
        """
        if line is not None and line.digest:
            return True
        name, named = self._row.destination, [item.identity]
        if self._purposes[item.resource] == PROVENANCE:
            body = self._body(self._tx, item.resource)
            named = [Identity(*found) for found in literal_references(body)]
            left_out = {one.identity for one in self._items if one.resource in self._taken_back}
            if any(one in left_out and one not in self._lines for one in named):
                return True
        since = contents.brought(self._tx, name, item.resource)
        return any(
            contents.taken_back(self._tx, name, one, since)
            and not contents.is_held(self._tx, name, one)
            for one in named
        )

    @property
    def was_stopped(self) -> bool:
        """Say whether something of it did not go because it was taken back from this chart."""
        return any(
            item.resource in self._taken_back
            and self.settled.get(item.position) == Became.SUPERSEDED
            for item in self._items
        )

    def _is_in_another_chart(self, line: Row[Any] | Line) -> bool:
        """Say whether the EHR has it in another patient's chart by now, to which it belongs."""
        found = select(resource.c.lane).where(resource.c.id == line.resource)
        return self._tx.execute(found).scalar_one() not in (self._row.lane, SHARED_LANE)

    def _retracts(self, item: Item) -> bool:
        return self._purposes[item.resource] == RETRACTION

    def _is_doubtful(self, item: Item) -> bool:
        """Say whether it retracts what may be there unheard; once read and absent, it is not."""
        return (
            self._retracts(item)
            and item.identity not in self._lines
            and item.identity in self._doubtful
            and item.outcome != Became.UNCHANGED
        )

    def _tells_of_nothing(self, left: Sequence[Item]) -> bool:
        """Say whether its Provenance has no ground; one that a repair brings back had it."""
        if self._row.repairs:
            return False
        return self._names_what_never_came() or self._says_nothing(left)

    def _names_what_never_came(self) -> bool:
        """Say whether something of this delivery is settled and not there: its Provenance names it.

        The EHR would refuse a reference to nothing, and with it all that does go.
        """
        return any(
            item.position in self.settled
            and item.identity not in self._lines
            and self.settled[item.position] not in NOT_AS_ITSELF  # it names none of these
            and not self._is_theirs(item)
            for item in self._items
        )

    def _says_nothing(self, left: Sequence[Item]) -> bool:
        """Say whether only a Provenance is left, of a delivery of which nothing ever arrived."""
        arrived = any(
            item.identity in self._lines and self._lines[item.identity].resource == item.resource
            for item in self._items
        )
        return not arrived and all(self._purposes[item.resource] == PROVENANCE for item in left)

    def _send(self, item: Item, *, read_first: bool) -> Send:
        line = self._lines.get(item.identity)
        known: list[Known] = []
        if line is not None and (read_first or self._looks_ahead):
            held = self._known(line.resource, line.digest, line.sequence)
            known += [replace(one, decided=line.decided) for one in held]
        if read_first:
            known += self._sent_since(item, 0 if line is None else line.sequence)
        return Send(
            position=item.position,
            identity=item.identity,
            resource=item.resource,
            digest=item.digest,
            body=profiles.claimed(self._as_sent(item.resource), self._known_profiles),
            base=NOT_THERE if line is None else line.ehr_version,
            retracts=self._retracts(item),
            takes_back=self._purposes[item.resource] == TAKING_BACK,
            known=tuple(known),
            new_by_none=self._new_by_none,
        )

    def _as_sent(self, resource_row: str) -> dict[str, Any]:
        if not (self._destination.leaves_out or self._destination.types):
            return self._body(self._tx, resource_row)
        aside = (*NOT_AS_ITSELF, Became.BY_HAND)
        items = {
            one.identity: one.position in self.aside.withheld
            or self.settled.get(one.position) in aside
            for one in self._items
        }
        return as_sent(
            self._tx,
            self._body,
            self._destination,
            self._body(self._tx, resource_row),
            there=self._ahead,
            maybe=self._destination.types.keys() if self._row.repairs else (),  # it waits for none
            told=Told.of(items),
        )

    def _known(self, resource_row: str, digest: str, sequence: int) -> list[Known]:
        try:
            body = self._as_sent(resource_row)
        except ShreddedError:  # purged: whether it is there cannot be told from an edit
            return []
        return [Known(resource=resource_row, digest=digest, sequence=sequence, body=body)]

    def _sent_since(self, item: Item, since: int) -> list[Known]:
        """Return versions between the ledger's and this one: one of them may have landed unheard.

        What is older than the ledger's is none of them: somebody may have gone back to it.
        """
        chosen = (
            select(delivery_item.c.resource, delivery_item.c.digest, delivery.c.sequence)
            .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
            .where(
                delivery.c.destination == self._row.destination,
                delivery.c.lane == self._row.lane,
                delivery.c.sequence > since,
                delivery.c.sequence < self._row.sequence,
                delivery_item.c.type == item.identity.type,
                delivery_item.c.resource_id == item.identity.id,
            )
            .order_by(delivery.c.sequence.desc())
        )
        rows = self._tx.execute(chosen).all()
        return [one for r in rows for one in self._known(r.resource, r.digest, r.sequence)]


def _names_nothing(send: Send) -> bool:
    """Say whether a Provenance has nothing left of which it could tell."""
    return send.identity.type == PROVENANCE_TYPE and not send.body.get("target")


def _is_taken_back(row: Any) -> bool:
    """Say whether this is content of a record that a person took back from its patient's chart."""
    says = row.purpose not in (RETRACTION, PROVENANCE, TAKING_BACK)
    return bool(row.retracted) and says and row.lane != SHARED_LANE
