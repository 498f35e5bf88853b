"""The shapes of lists and of what they show; nothing in them says anything of a patient."""

from marshmallow import fields

from fhirbridge.outbox.states import State
from fhirbridge.web.schemas import Closed, Destination, Item, _count, _text

NEXT = "send it as the cursor, with the same filter; empty: this is the last page"


class ListedRecord(Closed):
    id = _text("of the receipt")
    session = _text("our opaque name of the session; all its versions have it")
    version = _count()
    state = _text("", "current", "older", "superseded")
    received_at = _text()
    translation = _text("", "done", "held")
    warnings = _count()
    held = _count("elements that are held")
    deliveries = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "how many, by state"},
    )


class RecordPage(Closed):
    sessions = fields.List(fields.Nested(ListedRecord), required=True)
    next = _text(NEXT)


class ListedDelivery(Closed):
    id = _text()
    destination = _text()
    state = _text("", *State)
    reason = _text("why it waits, is held or parked, or was given up; else empty")
    record_id = _text("of the receipt")
    lane = _text("", "patient", "shared")
    sequence = _count("its place in the lane")
    backfill = fields.Boolean(
        required=True, metadata={"description": "it goes after all that is live"}
    )
    attempts = _count()
    created_at = _text()
    changed_at = _text()
    due_at = _text()


class DeliveryPage(Closed):
    deliveries = fields.List(fields.Nested(ListedDelivery), required=True)
    next = _text(NEXT)


class OneDelivery(ListedDelivery):
    items = fields.List(fields.Nested(Item), required=True)


class DestinationPage(Closed):
    destinations = fields.List(fields.Nested(Destination), required=True)
    next = _text(NEXT)
