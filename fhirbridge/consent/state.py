"""Keep the newest consent of each kind, and decide from it. Checked when a request is about to go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from fhirbridge.store import moment
from fhirbridge.store.tables import consent

EVERY_DESTINATION = "*"
PART_2 = "part-2"
SHARING = "sharing"


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
    as_of: str,
) -> None:
    """Take in a record's consents; an older statement never replaces a newer one."""
    for row in rows:
        said_at = row.get("withdrawn_at") or row.get("signed_at") or as_of
        values = {
            "patient_key": patient_key,
            "kind": row["kind"],
            "recipient": row.get("recipient", EVERY_DESTINATION),
            "status": row["status"],
            "as_of": moment.from_record(said_at),
            "record_id": record_id,
        }
        newer = insert(consent).values(**values)
        tx.execute(
            newer.on_conflict_do_update(
                index_elements=["patient_key", "kind", "recipient"],
                set_={name: newer.excluded[name] for name in ("status", "as_of", "record_id")},
                where=consent.c.as_of <= newer.excluded.as_of,
            )
        )


def refusal(tx: Connection, patient_key: str, need: Need) -> str:
    """Say why nothing may go to this destination now, or return "" where it may."""
    sharing = _status(tx, patient_key, SHARING, need.destination)
    if sharing not in ("active", ""):
        return f"consent to sharing is {sharing}"
    if need.sharing_required and sharing == "":
        return "no consent to sharing is on file"
    if need.part_2 and _status(tx, patient_key, PART_2, need.destination) != "active":
        return "labelled 42 CFR Part 2 without an active consent for it"
    return ""


def _status(tx: Connection, patient_key: str, kind: str, destination: str) -> str:
    """Return the newest status said of this recipient or of all; of two said at once, the stricter."""
    chosen = select(consent.c.status, consent.c.as_of).where(
        consent.c.patient_key == patient_key,
        consent.c.kind == kind,
        consent.c.recipient.in_([destination, EVERY_DESTINATION]),
    )
    rows = sorted(tx.execute(chosen), key=lambda row: (row.as_of, row.status != "active"))
    return rows[-1].status if rows else ""
