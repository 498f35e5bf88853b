"""What we know of one resource at one destination: the ledger's line, and what was ever pinned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from fhirbridge.deliver import ledger as ledger_of
from fhirbridge.deliver.as_sent import as_sent
from fhirbridge.deliver.bundle import NOT_THERE
from fhirbridge.destinations.registry import Destination
from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.fhir import retract
from fhirbridge.fhir.names import key_of
from fhirbridge.fhir.references import literal_references
from fhirbridge.matching import kept
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox.contents import CONTRIBUTIONS, Contents, Identity, winner
from fhirbridge.outbox.states import EDITED, GONE, OPEN, STUCK, UNCERTAIN, State
from fhirbridge.reconcile import compare
from fhirbridge.reconcile.asking import Wanted
from fhirbridge.reconcile.compare import Kind, Ours, Theirs, Verdict
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, ledger, record, resource
from fhirbridge.translate.values import Scope

NEWEST = 20
MARGIN = timedelta(minutes=2)
PATIENT = "Patient"
UNSETTLED = (Kind.EDITED, Kind.ALTERED, Kind.MERGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One resource as the ledger has it, or, not `in_ledger`, as a held delivery would bring it."""

    identity: Identity
    lane: str
    record_id: str
    set_digest: str
    purpose: str
    resource: str
    version: str
    digest: str
    sequence: int
    delivered_at: str
    ehr_id: str  # "" where the EHR gave it one that nobody heard of
    decided: int = 0  # up to which decision about the EHR's own it was written
    in_ledger: bool = True

    @property
    def given_up(self) -> bool:
        """Say whether ours was chosen over what is there, and is on its way."""
        return self.in_ledger and not self.digest

    def written_by(self, ahead: timedelta) -> datetime:
        """Return when it was surely written, by an EHR's clock that is so far `ahead` of ours."""
        return moment.from_text(self.delivered_at) + ahead + MARGIN

    @property
    def there(self) -> Identity:
        """Return its type and its id in the EHR."""
        return Identity(self.identity.type, self.ehr_id)


def every(tx: Connection, destination: str, *, lane: str = "") -> list[Line]:
    """Return all lines of one destination, or those of one lane there."""
    chosen = _chosen(destination).order_by(ledger.c.type, ledger.c.resource_id)
    if lane:
        chosen = chosen.where(resource.c.lane == lane)
    return [_line(row) for row in tx.execute(chosen)]


def newest(tx: Connection, destination: str) -> list[Line]:
    """Return the lines written last: an EHR that went back to a backup lost these first."""
    rows = tx.execute(_chosen(destination).order_by(ledger.c.delivered_at.desc()).limit(NEWEST))
    return [_line(row) for row in rows]


def find(tx: Connection, destination: str, identity: Identity) -> Line | None:
    """Return one line, or None where the ledger has none."""
    chosen = _chosen(destination).where(
        ledger.c.type == identity.type, ledger.c.resource_id == identity.id
    )
    row = tx.execute(chosen).one_or_none()
    return None if row is None else _line(row)


def found_there(tx: Connection, destination: str, there: Identity) -> list[Line]:
    """Return the lines of what the EHR has under an id; after a restore it may give one twice."""
    chosen = _chosen(destination).where(ledger.c.type == there.type, ledger.c.ehr_id == there.id)
    return [_line(row) for row in tx.execute(chosen)]


def of(tx: Connection, destination: str, identities: Iterable[Identity]) -> list[Line]:
    """Return the lines of those resources that the ledger has."""
    found = (find(tx, destination, one) for one in identities)
    return [line for line in found if line is not None]


def suspects(tx: Connection, where: Destination) -> list[Line]:
    """Return what deliveries carry that are held because of something in the EHR."""
    chosen = (
        select(delivery_item, resource.c.record_id, resource.c.lane, resource.c.purpose)
        .add_columns(resource.c.set_digest, delivery.c.created_at)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .join(resource, resource.c.id == delivery_item.c.resource)
        .where(delivery.c.destination == where.name, delivery.c.state == State.HELD, _by_ehr())
        .order_by(delivery.c.sequence)
    )
    found: dict[Identity, Line] = {}
    for row in tx.execute(chosen):
        identity = Identity(row.type, row.resource_id)
        known = find(tx, where.name, identity)
        named = "" if where.gives_ids else identity.id
        found.setdefault(identity, known or _never_there(row, identity, named))
    return list(found.values())


def left_over(tx: Connection, destination: Destination) -> list[Line]:
    """Return what no record says any more, of types that cannot say so: a person removes it."""
    chosen = _chosen(destination.name).where(
        resource.c.scope == Scope.VISIT, resource.c.purpose.in_(CONTRIBUTIONS)
    )
    able = ledger.c.type.in_([*retract.STATUS_TYPES, *retract.OTHER_TYPES])
    found = [_line(row) for row in tx.execute(chosen.where(~able).order_by(ledger.c.resource_id))]
    overlay = destination.overlay
    return [line for line in found if winner(tx, line.identity, overlay, line.lane) is None]


def wanted(
    tx: Connection, contents: Contents, where: Destination, chosen: Sequence[Line]
) -> list[Wanted]:
    """Say by what each is read; where the EHR gives ids, it must bear our key as well."""
    if not where.gives_ids:
        return [Wanted(identity=one.identity, ehr_id=one.ehr_id) for one in chosen]
    keys = [key_of(contents.body(tx, one.resource)) for one in chosen]
    return [
        Wanted(identity=one.identity, ehr_id=one.ehr_id, key=key)
        for one, key in zip(chosen, keys, strict=True)
    ]


def is_same(tx: Connection, destination: str, line: Line) -> bool:
    """Say whether the ledger still says what it said before the EHR was asked."""
    now = find(tx, destination, line.identity)
    if now is None or not line.in_ledger:
        return now is None and not line.in_ledger
    return (now.version, now.digest, now.sequence) == (line.version, line.digest, line.sequence)


def is_owed(tx: Connection, destination: str, line: Line) -> bool:
    """Say whether a delivery that is not through carries this resource, newer than the ledger's."""
    chosen = _carrying(destination, line.identity).where(
        delivery.c.state.in_([*OPEN, *STUCK]), delivery.c.sequence > line.sequence
    )
    return tx.execute(chosen.limit(1)).first() is not None


def under_way(tx: Connection, destination: str, identity: Identity) -> bool:
    """Say whether a request may be under way that carries this resource."""
    chosen = _carrying(destination, identity).where(delivery.c.state.in_(UNCERTAIN))
    return tx.execute(chosen.limit(1)).first() is not None


def verdict(
    tx: Connection,
    contents: Contents,
    where: Destination,
    theirs_of: TheirLinks,
    *,
    line: Line,
    theirs: Theirs,
    by: datetime,
) -> Verdict:
    """Compare; `by`: when the ledger's version was written at the latest, by the EHR's clock."""

    def there(resource_row: str, *, now: bool = False) -> dict[str, Any]:
        body, own = contents.body(tx, resource_row), theirs.ehr_id or line.ehr_id
        named = replace(line, ehr_id=own)
        return as_there(tx, contents, where, theirs_of, line=named, ours=body, now=now)

    if theirs.body is not None:
        theirs = replace(theirs, body=as_compared(tx, where, line, theirs.body))
    base, version = there(line.resource), line.version
    ours = Ours(
        base=base,
        version=version,
        given_up=line.given_up,
        named_there=where.gives_ids,
        written_by=by,
    )
    first = compare.verdict(ours, theirs)
    if first.kind not in UNSETTLED:
        return first
    earlier: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    for row in tx.execute(_carrying(where.name, line.identity)):
        if row.resource == line.resource:
            continue
        is_later = row.sequence > line.sequence or row.state != State.DELIVERED
        (later if is_later else earlier).append(there(row.resource, now=is_later))
    whole = replace(ours, earlier=tuple(earlier), later=tuple(later))
    return compare.verdict(whole, theirs)


def as_there(
    tx: Connection,
    contents: Contents,
    where: Destination,
    theirs_of: TheirLinks,
    *,
    line: Line,
    ours: dict[str, Any],
    now: bool = False,
) -> dict[str, Any]:
    """Return a resource of ours as an EHR has it under the line's id, pointing to what is there.

    What is the EHR's own is named as when the ledger's version was written, or as it is `now`.
    """
    ours = as_sent(tx, contents.body, where, ours)
    named = {Identity(*target) for target in literal_references(ours)}
    numbers = theirs_of.numbers(where, line.lane, [ours])
    decided = None if now else line.decided
    names = ledger_of.names(tx, where, named, numbers=numbers, decided=decided)
    return {**names.written(ours), "id": line.ehr_id}


def as_compared(
    tx: Connection, where: Destination, line: Line, there: dict[str, Any]
) -> dict[str, Any]:
    """Return what an EHR shows, pointing to the patient that stands for ours now.

    Where an addendum replaces a note, an EHR may say so of the note itself: that is no edit.
    """
    replaced = line.identity.type == NOTE_TYPE and there.get("status") == "superseded"
    if replaced and where.only_creates:
        there = {**there, "status": "current"}
    if not kept.are_theirs(tx, where, line.lane):
        return there
    source = tx.scalar(select(record.c.subject).where(record.c.id == line.record_id))
    return ledger_of.names(tx, where, {Identity(PATIENT, source or "")}).read(there)


def _chosen(destination: str) -> Select[Any]:
    return (
        select(ledger, resource.c.record_id, resource.c.lane, resource.c.purpose)
        .add_columns(resource.c.set_digest)
        .join(resource, resource.c.id == ledger.c.resource)
        .join(record, record.c.id == resource.c.record_id)
        # What was purged here stays there as it is: nobody can compare it any more.
        .where(ledger.c.destination == destination, record.c.purged_at == "")
        # The EHR's own patients are no copy of ours: patients.py looks at them.
        .where(
            (ledger.c.type != PATIENT) | ledger.c.resource_id.not_in(kept.of_theirs(destination))
        )
    )


def _carrying(destination: str, identity: Identity) -> Select[Any]:
    return (
        select(delivery_item.c.resource, delivery.c.sequence, delivery.c.state)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .join(resource, resource.c.id == delivery_item.c.resource)
        .join(record, record.c.id == resource.c.record_id)
        .where(
            delivery.c.destination == destination,
            record.c.purged_at == "",
            delivery_item.c.type == identity.type,
            delivery_item.c.resource_id == identity.id,
        )
    )


def _by_ehr() -> Any:
    return or_(delivery.c.reason.startswith(EDITED), delivery.c.reason.startswith(GONE))


def _line(row: Row[Any]) -> Line:
    return Line(
        identity=Identity(row.type, row.resource_id),
        lane=row.lane,
        record_id=row.record_id,
        set_digest=row.set_digest,
        purpose=row.purpose,
        resource=row.resource,
        version=row.ehr_version,
        digest=row.digest,
        sequence=row.sequence,
        delivered_at=row.delivered_at,
        ehr_id=row.ehr_id,
        decided=row.decided,
    )


def _never_there(row: Row[Any], identity: Identity, ehr_id: str) -> Line:
    return Line(
        identity=identity,
        lane=row.lane,
        record_id=row.record_id,
        set_digest=row.set_digest,
        purpose=row.purpose,
        resource=row.resource,
        version=NOT_THERE,
        digest=row.digest,
        sequence=0,
        delivered_at=row.created_at,
        ehr_id=ehr_id,
        in_ledger=False,
    )
