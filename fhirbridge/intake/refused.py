"""Refused bytes: kept sealed for a while, so that nothing a clinic sent is lost."""

from datetime import timedelta

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry
from fhirbridge.errors import BridgeError
from fhirbridge.intake.once import Once
from fhirbridge.intake.rooms import Rooms
from fhirbridge.records import history
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.rng import new_id
from fhirbridge.store import moment


def put_aside(
    rooms: Rooms, raw: bytes, error: BridgeError, *, actor: str, once: Once | None = None
) -> None:
    """Put what was refused in quarantine, in a commit of its own, and note it.

    A message that lies there already, or was taken in meanwhile, changes nothing.
    """
    now = rooms.clock.now()
    row_id = new_id(rooms.rng)
    findings = len(error.findings) if isinstance(error, InvalidRecordError) else 1
    with rooms.store.begin() as tx:
        if once is not None:
            if once.is_known(tx):
                return
            once.claim(tx)
        history.put_aside(
            tx,
            rooms.vault,
            row_id=row_id,
            at=moment.to_text(now),
            expires_at=moment.to_text(now + timedelta(days=rooms.quarantine.days)),
            code=error.code,
            findings=findings,
            raw=raw,
        )
        expire(tx, rooms)
        detail = {"code": error.code, "findings": findings, "quarantine": row_id}
        rooms.audit.append(
            tx, Entry(actor=actor, action=Action.RECORD_REFUSED, outcome="refused", detail=detail)
        )


def expire(tx: Connection, rooms: Rooms) -> int:
    """Erase what lay in quarantine for its time; return how many went."""
    now = moment.to_text(rooms.clock.now())
    return history.expire_quarantine(tx, rooms.vault, now=now, keep=rooms.quarantine.most)
