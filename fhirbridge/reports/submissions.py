"""Which monitoring forms a person said were submitted: kept as evidence, the last word counts."""

from datetime import date
from http import HTTPStatus

from sqlalchemy import Connection, select

from fhirbridge.audit.log import Action, Entry
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records import history
from fhirbridge.store.tables import evidence, record

SUBMITTED, UNDONE = "submitted", "undone"


class UnknownRecordError(BridgeError):
    """No record has the id that an operator named."""

    code = "E862"
    http_status = HTTPStatus.NOT_FOUND


def entry(tx: Connection, record_id: str, on: date | None, *, actor: str) -> Entry:
    """Return the row that says it; `on` None takes it back. Raises UnknownRecordError."""
    if history.find(tx, record_id) is None:
        raise UnknownRecordError(
            "no record has this id", hint="the report rems names the record of each treatment"
        )
    return Entry(
        actor=actor,
        action=Action.REMS_SUBMITTED,
        outcome=UNDONE if on is None else SUBMITTED,
        record_id=record_id,
        detail={} if on is None else {"on": on.isoformat()},
    )


def every(tx: Connection) -> dict[str, str]:
    """Return the day on which each session's form was submitted, by our name of the session."""
    chosen = (
        select(evidence.c.outcome, evidence.c.detail, record.c.session_key)
        .join(record, record.c.id == evidence.c.record_id)
        .where(evidence.c.action == Action.REMS_SUBMITTED)
        .order_by(evidence.c.at, evidence.c.id)
    )
    found: dict[str, str] = {}
    for row in tx.execute(chosen):
        found[row.session_key] = ""
        if row.outcome == SUBMITTED:
            found[row.session_key] = str(codec.decode(row.detail.encode())["on"])
    return found
