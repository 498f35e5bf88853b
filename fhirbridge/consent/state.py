"""Keep the newest consent of each kind; decide from it when a request is about to go."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, or_, select

from fhirbridge.store import moment
from fhirbridge.store.hook_tables import consent_withdrawal
from fhirbridge.store.tables import consent
from fhirbridge.store.upsert import insert

EVERY_DESTINATION = "*"
RECIPIENT = re.compile(r"\*|[a-z][a-z0-9-]{0,39}")  # all, or a destination's name
ACTIVE = "active"
PART_2 = "part-2"
SHARING = "sharing"
# Built once: it is asked before each request.
_SAID = select(consent.c.status, consent.c.as_of).where(
    consent.c.patient_key == bindparam("of_patient"),
    consent.c.kind == bindparam("of_kind"),
    consent.c.recipient.in_((bindparam("of_ehr"), EVERY_DESTINATION)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a delivery must have before it goes."""

    destination: str
    sharing_required: bool
    part_2: bool


def remember(
    tx: Connection,
    *,
    patient_key: str,
    record_id: str,
    rows: Iterable[Mapping[str, Any]],
    recorded_at: str,
) -> None:
    """Take in a record's consents.

    An older statement never replaces a newer one; of two of the same time the refusal stays. A
    recipient that cannot name a destination is not kept, it may be a person's name: a consent for
    it allows nothing, a refusal counts for every destination.
    """
    for row in rows:
        recipient = row.get("recipient", EVERY_DESTINATION)
        if not RECIPIENT.fullmatch(recipient):
            if row["status"] == ACTIVE:
                continue
            recipient = EVERY_DESTINATION
        values = {
            "patient_key": patient_key,
            "kind": row["kind"],
            "recipient": recipient,
            "status": row["status"],
            "as_of": moment.from_record(_said_at(row, recorded_at)),
            "record_id": record_id,
        }
        newer = insert(consent).values(**values)
        tx.execute(
            newer.on_conflict_do_update(
                index_elements=["patient_key", "kind", "recipient"],
                set_={name: newer.excluded[name] for name in ("status", "as_of", "record_id")},
                where=or_(
                    consent.c.as_of < newer.excluded.as_of,
                    and_(
                        consent.c.as_of == newer.excluded.as_of,
                        newer.excluded.status != ACTIVE,
                    ),
                ),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A consent that was withdrawn by a message. `record_id`: any record of the patient."""

    id: str
    patient_key: str
    kind: str
    recipient: str  # EVERY_DESTINATION for all
    withdrawn_at: str
    record_id: str


def withdraw(tx: Connection, said: Withdrawal) -> None:
    """Take in a withdrawal that no record tells of; it outlasts what records are read for."""
    row = {name: getattr(said, name) for name in Withdrawal.__dataclass_fields__}
    tx.execute(insert(consent_withdrawal).values(row))
    _apply(tx, said)


def forget(tx: Connection, patient_key: str, *, but: Collection[str] = ()) -> None:
    """Forget what a patient's records are known to say; the caller has them remembered anew.

    What was withdrawn by a message stays withdrawn; what the records `but` said stays, too: nobody
    can read them any more.
    """
    tx.execute(
        delete(consent).where(consent.c.patient_key == patient_key, consent.c.record_id.not_in(but))
    )
    told = select(consent_withdrawal).where(consent_withdrawal.c.patient_key == patient_key)
    for row in tx.execute(told.order_by(consent_withdrawal.c.withdrawn_at)):
        _apply(tx, Withdrawal(**row._asdict()))


def _apply(tx: Connection, said: Withdrawal) -> None:
    row = {
        "kind": said.kind,
        "status": "withdrawn",
        "recipient": said.recipient,
        "withdrawn_at": said.withdrawn_at,
    }
    remember(
        tx,
        patient_key=said.patient_key,
        record_id=said.record_id,
        rows=[row],
        recorded_at=said.withdrawn_at,
    )


def _said_at(row: Mapping[str, Any], recorded_at: str) -> str:
    """Return when a statement was made: a refusal is never as old as the signature it ends."""
    if row["status"] == ACTIVE:
        return str(row.get("signed_at") or recorded_at)
    return str(row.get("withdrawn_at") or recorded_at)


def refusal(tx: Connection, patient_key: str, need: Need) -> str:
    """Say why nothing may go to this destination now, or return "" where it may."""
    sharing = _status(tx, patient_key, SHARING, need.destination)
    if sharing not in (ACTIVE, ""):
        return f"consent to sharing is {sharing}"
    if need.sharing_required and sharing == "":
        return "no consent to sharing is on file"
    if need.part_2 and _status(tx, patient_key, PART_2, need.destination) != ACTIVE:
        return "labelled 42 CFR Part 2 without an active consent for it"
    return ""


def _status(tx: Connection, patient_key: str, kind: str, destination: str) -> str:
    """Return the newest status said of this recipient or of all; of two at once the stricter."""
    asked = {"of_patient": patient_key, "of_kind": kind, "of_ehr": destination}
    rows = sorted(tx.execute(_SAID, asked), key=lambda row: (row.as_of, row.status != ACTIVE))
    return rows[-1].status if rows else ""
