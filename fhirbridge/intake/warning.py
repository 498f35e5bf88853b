"""Tell others, by an event, that a record came in with warnings or with elements that are held."""

from sqlalchemy import Connection

from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Kind
from fhirbridge.records.history import Appended, NewVersion
from fhirbridge.store import moment


def tell(tx: Connection, new: NewVersion, appended: Appended) -> None:
    """Tell how many there are, where this version counts now: what is wrong, its receipt says."""
    if appended.state == "current" and (new.warnings or new.held):
        warned = Event(
            kind=Kind.RECORD_WARNING,
            destination="",
            patient=new.patient_key,
            detail={
                "record": new.id,
                "version": new.version,
                "warnings": new.warnings,
                "held": new.held,
            },
        )
        events.wait(tx, warned, at=moment.from_text(new.received_at))
