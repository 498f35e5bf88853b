"""What of a delivery really has to go now, and whether it may: consent, wrong-patient guard, blocked, unchanged."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge.consent import state as consent
from fhirbridge.deliver import bundle, ledger
from fhirbridge.deliver.bundle import NOT_THERE, Send
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox import claim
from fhirbridge.outbox.contents import RETRACTION, SHARED_LANE, Contents, Identity
from fhirbridge.store.tables import record, resource

PART_2_LABEL = "part-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The sends that remain, the items settled without a request, and a refusal where nothing may go."""

    sends: tuple[Send, ...] = ()
    settled: dict[int, str] = field(default_factory=dict)  # position: unchanged | superseded
    refusal: str = ""
    blocked_by: str = ""


def prepare(
    tx: Connection, *, contents: Contents, row: Row[Any], destination: Destination
) -> Prepared:
    """Work out one delivery against the ledger as it is now."""
    source = tx.execute(select(record).where(record.c.id == row.record_id)).one()
    refusal = "" if row.lane == SHARED_LANE else _consent(tx, source, destination)
    if refusal:
        return Prepared(refusal=f"consent: {refusal}")
    sends, settled = _sends(tx, contents, row)
    if row.lane != SHARED_LANE and bundle.foreign_patients(sends, source.subject):
        return Prepared(refusal="wrong-patient: a resource names another patient than its record")
    return Prepared(sends=tuple(sends), settled=settled, blocked_by=_blocked(tx, row, sends))


def _consent(tx: Connection, source: Row[Any], destination: Destination) -> str:
    need = consent.Need(
        destination=destination.name,
        sharing_required=destination.requires_consent,
        part_2=PART_2_LABEL in source.labels.split(),
    )
    return consent.refusal(tx, source.patient_key, need)


def _sends(tx: Connection, contents: Contents, row: Row[Any]) -> tuple[list[Send], dict[int, str]]:
    items = claim.items(tx, row.id)
    lines = ledger.of_identities(tx, row.destination, [item.identity for item in items])
    newer = claim.delivered_later(tx, row)
    sends, settled = [], {}
    for item in items:
        line = lines.get(item.identity)
        if item.identity in newer:
            settled[item.position] = "superseded"
        elif line is not None and line.digest == item.digest:
            settled[item.position] = "unchanged"
        elif line is None and _purpose(tx, item.resource) == RETRACTION:
            settled[item.position] = "unchanged"  # the EHR never had it: nothing to retract
        else:
            sends.append(
                Send(
                    position=item.position,
                    identity=item.identity,
                    resource=item.resource,
                    digest=item.digest,
                    body=contents.body(tx, item.resource),
                    base=NOT_THERE if line is None else line.ehr_version,
                    base_body=None if line is None else contents.body(tx, line.resource),
                )
            )
    return sends, settled


def _blocked(tx: Connection, row: Row[Any], sends: list[Send]) -> str:
    """Name the stuck delivery that owes what one of these resources points to, or return ""."""
    owed = claim.undelivered_before(tx, row)
    own = {send.identity for send in sends}
    for send in sends:
        for kind, identity in literal_references(send.body):
            target = Identity(kind, identity)
            if target in owed and target not in own:
                return owed[target]
    return ""


def _purpose(tx: Connection, resource_row: str) -> str:
    purpose = select(resource.c.purpose).where(resource.c.id == resource_row)
    return str(tx.execute(purpose).scalar_one())
