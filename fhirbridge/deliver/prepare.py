"""What of a delivery really has to go now, and whether it may.

Consent, the wrong-patient guard, what is blocked or unchanged: all against the ledger as it is.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge.consent import state as consent
from fhirbridge.deliver import bundle, ledger
from fhirbridge.deliver.bundle import NOT_THERE, Known, Send
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import profiles
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import Item
from fhirbridge.outbox.contents import PROVENANCE, RETRACTION, SHARED_LANE, Contents, Identity
from fhirbridge.store.tables import delivery, delivery_item, record, resource

PART_2_LABEL = "part-2"
UNCHANGED = "unchanged"
SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The sends that remain, the items settled without a request, and a refusal if nothing may go.

    `read_first`: what is there now is read before anything is sent.
    """

    sends: tuple[Send, ...] = ()
    read_first: bool = False
    settled: dict[int, str] = field(default_factory=dict)  # position: unchanged | superseded
    refusal: str = ""
    blocked_by: str = ""


def prepare(
    tx: Connection,
    *,
    contents: Contents,
    row: Row[Any],
    destination: Destination,
    uncertain: bool,
) -> Prepared:
    """Work out one delivery. An uncertain one is read back: nothing goes, nothing refuses it."""
    work = _Work(tx, contents, row, destination.traits.get("profiles", ()))
    read_first = uncertain or work.has_doubtful_retraction()
    sends = work.sends(read_first=read_first)
    made = Prepared(sends=tuple(sends), settled=work.settled, read_first=read_first)
    if read_first or not sends:
        return made
    refusal = _refusal(tx, row, sends, destination)
    if refusal:
        return Prepared(refusal=refusal)
    blocked_by = _blocked(tx, row, sends)
    return Prepared(blocked_by=blocked_by) if blocked_by else made


def _refusal(tx: Connection, row: Row[Any], sends: Sequence[Send], destination: Destination) -> str:
    source = tx.execute(select(record).where(record.c.id == row.record_id)).one()
    shared = row.lane == SHARED_LANE
    if bundle.foreign_patients(sends, "" if shared else source.subject):
        return "wrong-patient: a resource names another patient than its record"
    if shared:
        return ""
    need = consent.Need(
        destination=destination.name,
        sharing_required=destination.requires_consent,
        part_2=_is_part_2(tx, source, sends),
    )
    refusal = consent.refusal(tx, source.patient_key, need)
    return f"consent: {refusal}" if refusal else ""


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
        self, tx: Connection, contents: Contents, row: Row[Any], known_profiles: Collection[str]
    ) -> None:
        self._tx = tx
        self._known_profiles = known_profiles
        self._contents = contents
        self._row = row
        self._items = claim.items(tx, row.id)
        self._lines = ledger.of_identities(
            tx, row.destination, [item.identity for item in self._items]
        )
        self._purposes = _purposes(tx, self._items)
        self._doubtful = claim.left_in_doubt(tx, row)
        self._newer = claim.delivered_later(tx, row)
        self.settled: dict[int, str] = {}

    def has_doubtful_retraction(self) -> bool:
        """Say whether something is to be retracted of which nobody knows whether it is there."""
        return any(self._is_doubtful(item) for item in self._items)

    def sends(self, *, read_first: bool) -> list[Send]:
        """Return what has to go; `settled` then names the rest."""
        outcomes = {item.position: self._outcome(item) for item in self._items}
        self.settled = {position: outcome for position, outcome in outcomes.items() if outcome}
        left = [item for item in self._items if item.position not in self.settled]
        if not read_first and (self._names_what_never_came() or self._says_nothing(left)):
            silent = [item for item in left if self._purposes[item.resource] == PROVENANCE]
            self.settled |= {item.position: SUPERSEDED for item in silent}
            left = [item for item in left if item.position not in self.settled]
        return [self._send(item, read_first=read_first) for item in left]

    def _outcome(self, item: Item) -> str:
        line = self._lines.get(item.identity)
        if item.identity in self._newer:
            return SUPERSEDED
        if line is not None and line.digest == item.digest:
            return UNCHANGED
        never_there = line is None and not self._is_doubtful(item)
        return UNCHANGED if never_there and self._retracts(item) else ""

    def _retracts(self, item: Item) -> bool:
        return self._purposes[item.resource] == RETRACTION

    def _is_doubtful(self, item: Item) -> bool:
        """Say whether it retracts what may be there unheard; once read and absent, it is not."""
        return (
            self._retracts(item)
            and item.identity not in self._lines
            and item.identity in self._doubtful
            and item.outcome != UNCHANGED
        )

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
        known = []
        if line is not None:
            known.append(self._known(line.resource, line.digest, line.sequence))
        if read_first:
            known += self._sent_since(item, 0 if line is None else line.sequence)
        return Send(
            position=item.position,
            identity=item.identity,
            resource=item.resource,
            digest=item.digest,
            body=profiles.claimed(
                self._contents.body(self._tx, item.resource), self._known_profiles
            ),
            base=NOT_THERE if line is None else line.ehr_version,
            retracts=self._retracts(item),
            known=tuple(known),
        )

    def _known(self, resource_row: str, digest: str, sequence: int) -> Known:
        body = self._contents.body(self._tx, resource_row)
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


def _blocked(tx: Connection, row: Row[Any], sends: Sequence[Send]) -> str:
    """Name the delivery that owes what one of these resources points to, or return ""."""
    owed = claim.undelivered_before(tx, row)
    own = {send.identity for send in sends}
    for send in sends:
        for kind, identity in literal_references(send.body):
            target = Identity(kind, identity)
            if target in owed and target not in own:
                return owed[target]
    return ""


def _purposes(tx: Connection, items: Sequence[Item]) -> dict[str, str]:
    chosen = select(resource.c.id, resource.c.purpose).where(
        resource.c.id.in_([item.resource for item in items])
    )
    return {row.id: row.purpose for row in tx.execute(chosen)}
