"""What of a delivery really has to go now, and whether it may.

Consent, the wrong-patient guard, what is blocked or unchanged: all against the ledger as it is.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import Connection, Row, select

from fhirbridge.consent import state as consent
from fhirbridge.deliver import bundle, ledger, order
from fhirbridge.deliver.bundle import NOT_THERE, Known, Send
from fhirbridge.destinations import modes
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import profiles
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox import claim, contents
from fhirbridge.outbox.claim import Item
from fhirbridge.outbox.contents import PROVENANCE, RETRACTION, SHARED_LANE, Identity
from fhirbridge.outbox.states import LANDED, MERGED, Became, Way
from fhirbridge.store.tables import delivery, delivery_item, drift, record, resource

Body = Callable[[Connection, str], dict[str, Any]]  # opens one resource version

MOST_SINGLE_READS = 10
PART_2_LABEL = "part-2"


class Step(StrEnum):
    """What the next request of a delivery is."""

    READ = "read-back"  # a batch of GETs of what may have landed
    BUNDLE = "send"  # a transaction
    BATCH = "send each"  # a batch, of which each entry has an answer of its own
    SINGLE = "send alone"  # one PUT


class Line(Protocol):
    """What is asked of the ledger's line for one resource."""

    @property
    def resource(self) -> Any: ...
    @property
    def digest(self) -> Any: ...
    @property
    def sequence(self) -> Any: ...
    @property
    def ehr_version(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The next request, or why there is none.

    `sends` go now, as `step` says; `more`: something is left after them.
    """

    step: Step = Step.BUNDLE
    sends: tuple[Send, ...] = ()
    together: bool = False  # the sends are one unit, of which nothing may go without the rest
    alone: bool = False  # what is refused now is refused for itself
    more: bool = False
    settled: dict[int, str] = field(default_factory=dict)  # what became of it unsent; news only
    blocked: dict[int, Identity] = field(default_factory=dict)  # by what the EHR refused
    refused: tuple[str, ...] = ()  # sentences
    refusal: str = ""
    blocked_by: str = ""


def prepare(
    tx: Connection,
    *,
    body: Body,
    row: Row[Any],
    destination: Destination,
    ahead: Mapping[Identity, Line] | None = None,
) -> Prepared:
    """Work out the next request. What is in doubt is read back: nothing goes, nothing refuses.

    `ahead`: the lines that the ledger will have by then, for who looks ahead: that one is told all
    that goes, however many requests it takes, and of each resource what it replaces.
    """
    work = _Work(tx, body, row, destination.traits, ahead)
    alone = row.way == Way.SINGLE or destination.mode in modes.APART
    if doubtful := work.in_doubt():
        now = doubtful if ahead is not None else doubtful[: _most_reads(destination)]
        more = work.left > len(now)
        return Prepared(step=Step.READ, sends=tuple(now), more=more, alone=alone, settled=work.news)
    sends = work.sends()
    if not sends:
        return Prepared(settled=work.news)
    refusal = _refusal(tx, row, sends, destination)
    if refusal:
        return Prepared(refusal=refusal)
    there = {send.identity for send in sends} | (ahead or {}).keys()
    blocked_by = _blocked(tx, row, sends, there) or _dose_blocked(tx, body, row, sends, there)
    if blocked_by:
        return Prepared(blocked_by=blocked_by)
    return _part(row, sends, work, destination, whole=ahead is not None)


def _part(
    row: Row[Any], sends: Sequence[Send], work: "_Work", destination: Destination, *, whole: bool
) -> Prepared:
    """Choose what of the rest goes now: as much as the EHR takes, or one unit; or the `whole`."""
    found = order.ready(order.units(sends), work.refused)
    apart = destination.mode in modes.APART
    single = row.way == Way.SINGLE or destination.mode is Mode.SINGLE
    part = order.first(
        order.apart(found.units) if apart else found.units,
        most_entries=1 if single else destination.most_entries,
        most_bytes=destination.most_bytes,
    )
    going = tuple(send for unit in (found.units if whole else part) for send in unit)
    together = Step.BATCH if apart else Step.BUNDLE
    return Prepared(
        step=Step.SINGLE if (single or apart) and len(going) == 1 else together,
        sends=going,
        together=len(part) == 1,
        alone=single or apart,
        more=len(going) < len(sends),
        settled=work.news,
        blocked=found.blocked,
        refused=tuple(work.refused.values()),
    )


def _most_reads(destination: Destination) -> int:
    """Return how many are read back at a time: within a lease, also where each is a request."""
    if modes.reads_in_batches(destination.traits):
        return destination.most_entries
    return MOST_SINGLE_READS


def _refusal(tx: Connection, row: Row[Any], sends: Sequence[Send], destination: Destination) -> str:
    source = tx.execute(select(record).where(record.c.id == row.record_id)).one()
    shared = row.lane == SHARED_LANE
    if bundle.foreign_patients(sends, "" if shared else source.subject):
        return "wrong-patient: a resource names another patient than its record"
    if shared:
        return ""
    if merged := _merged(tx, row):
        return f"{MERGED}the EHR merged this patient or put it out of use: drift {merged}"
    need = consent.Need(
        destination=destination.name,
        sharing_required=destination.requires_consent,
        part_2=_is_part_2(tx, source, sends),
    )
    refusal = consent.refusal(tx, source.patient_key, need)
    return f"consent: {refusal}" if refusal else ""


def _merged(tx: Connection, row: Row[Any]) -> str:
    """Return the open finding that says so of this lane's patient, or ""."""
    chosen = select(drift.c.id).where(
        drift.c.destination == row.destination,
        drift.c.lane == row.lane,
        drift.c.kind == "merged",
        drift.c.state == "open",
    )
    return tx.scalar(chosen.limit(1)) or ""


def _is_part_2(tx: Connection, source: Row[Any], sends: Sequence[Send]) -> bool:
    """Say whether anything here comes from a record with that label, which may be another record.

    What visits share may be the newest one's; a retraction repeats what any session said before.
    """
    ids = [send.resource for send in sends]
    owners = (
        select(record.c.labels)
        .join(resource, resource.c.record_id == record.c.id)
        .where(resource.c.id.in_(ids))
    )
    before, back = resource.alias(), resource.alias()
    sessions = (
        select(record.c.session_key)
        .join(before, before.c.record_id == record.c.id)
        .join(back, (back.c.type == before.c.type) & (back.c.resource_id == before.c.resource_id))
        .where(back.c.id.in_(ids), back.c.purpose == RETRACTION)
    )
    earlier = select(record.c.labels).where(record.c.session_key.in_(sessions))
    labels = [source.labels, *tx.scalars(owners), *tx.scalars(earlier)]
    return any(PART_2_LABEL in text.split() for text in labels)


class _Work:
    """One delivery's items, sorted into those that go and those that are settled without going."""

    def __init__(
        self,
        tx: Connection,
        body: Body,
        row: Row[Any],
        traits: Mapping[str, Any],
        ahead: Mapping[Identity, Line] | None,
    ) -> None:
        self._tx = tx
        self._known_profiles: Collection[str] = traits.get("profiles", ())
        self._new_by_none = modes.creates_by_none(traits)
        self._body = body
        self._row = row
        self._items = claim.items(tx, row.id)
        identities = [item.identity for item in self._items]
        self._lines: dict[Identity, Row[Any] | Line] = {
            **ledger.of_identities(tx, row.destination, identities),
            **{one: ahead[one] for one in identities if ahead and one in ahead},
        }
        self._looks_ahead = ahead is not None
        self._purposes = _purposes(tx, self._items)
        self._doubtful = claim.left_in_doubt(tx, row)
        self._newer = claim.delivered_later(tx, row)
        self.settled = {
            item.position: outcome for item in self._items if (outcome := self._outcome(item))
        }
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
        return [
            self._send(item, read_first=True)
            for item in self._unsettled()
            if item.outcome == Became.SENT or self._is_doubtful(item)
        ]

    def sends(self) -> list[Send]:
        """Return what has to go; `settled` then names the rest."""
        left = self._unsettled()
        if self._tells_of_nothing(left):
            silent = [item for item in left if self._purposes[item.resource] == PROVENANCE]
            self.settled |= {item.position: Became.SUPERSEDED for item in silent}
            left = self._unsettled()
        return [self._send(item, read_first=False) for item in left]

    def _unsettled(self) -> list[Item]:
        return [item for item in self._items if item.position not in self.settled]

    def _outcome(self, item: Item) -> str:
        line = self._lines.get(item.identity)
        if item.outcome == Became.THEIRS:
            return Became.THEIRS
        if item.identity in self._newer:
            return Became.SUPERSEDED
        if line is not None and line.digest == item.digest:
            return item.outcome if item.outcome in LANDED else Became.UNCHANGED
        if self._row.repairs and self._is_outdated(item, line):
            return Became.SUPERSEDED
        never_there = line is None and not self._is_doubtful(item)
        return Became.UNCHANGED if never_there and self._retracts(item) else ""

    def _is_outdated(self, item: Item, line: Row[Any] | Line | None) -> bool:
        """Say of what a repair brings back whether it is older than what came, or left, since.

        A Provenance goes with what it names.
        """
        if line is not None and line.digest:
            return True
        name, named = self._row.destination, [item.identity]
        if self._purposes[item.resource] == PROVENANCE:
            body = self._body(self._tx, item.resource)
            named = [Identity(*found) for found in literal_references(body)]
        since = contents.brought(self._tx, name, item.resource)
        return any(
            contents.taken_back(self._tx, name, one, since)
            and not contents.is_held(self._tx, name, one)
            for one in named
        )

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
            item.position in self.settled and item.identity not in self._lines
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
            known.append(self._known(line.resource, line.digest, line.sequence))
        if read_first:
            known += self._sent_since(item, 0 if line is None else line.sequence)
        return Send(
            position=item.position,
            identity=item.identity,
            resource=item.resource,
            digest=item.digest,
            body=profiles.claimed(self._body(self._tx, item.resource), self._known_profiles),
            base=NOT_THERE if line is None else line.ehr_version,
            retracts=self._retracts(item),
            known=tuple(known),
            new_by_none=self._new_by_none,
        )

    def _known(self, resource_row: str, digest: str, sequence: int) -> Known:
        body = self._body(self._tx, resource_row)
        return Known(resource=resource_row, digest=digest, sequence=sequence, body=body)

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
        return [self._known(r.resource, r.digest, r.sequence) for r in rows]


def _blocked(
    tx: Connection, row: Row[Any], sends: Sequence[Send], there: Collection[Identity]
) -> str:
    """Name the delivery that owes what one of these resources points to, or return ""."""
    owed = claim.undelivered_before(tx, row)
    for send in sends:
        for kind, identity in literal_references(send.body):
            target = Identity(kind, identity)
            if target in owed and target not in there:
                return owed[target]
    return ""


def _dose_blocked(
    tx: Connection,
    body: Body,
    row: Row[Any],
    sends: Sequence[Send],
    there: Collection[Identity],
) -> str:
    """Name the delivery that owes an event of which one of these doses is suspected, or return "".

    The dose alone would say that nothing happened.
    """
    doses = {send.identity for send in sends if send.identity.type == order.DOSE}
    if not doses:
        return ""
    for resource_row, owing in claim.waiting_before(tx, row, order.EVENT_TYPES).items():
        event = body(tx, resource_row)
        if Identity(event["resourceType"], event["id"]) in there:
            continue  # it goes together with its doses
        if doses & order.suspected(event):
            return owing
    return ""


def _purposes(tx: Connection, items: Sequence[Item]) -> dict[str, str]:
    chosen = select(resource.c.id, resource.c.purpose).where(
        resource.c.id.in_([item.resource for item in items])
    )
    return {row.id: row.purpose for row in tx.execute(chosen)}
