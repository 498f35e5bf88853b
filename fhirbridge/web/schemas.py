"""The shapes of the answers, for the document; tests hold what is really answered against them."""

from marshmallow import RAISE, Schema, fields, validate

from fhirbridge.records.findings import Level


class Closed(Schema):
    """Nothing is answered that is not named."""

    class Meta:
        unknown = RAISE


def _text(description: str = "", *words: str) -> fields.String:
    checks = [validate.OneOf(words)] if words else []
    about = {"description": description} if description else {}
    return fields.String(required=True, validate=checks, metadata=about)


def _count(description: str = "") -> fields.Integer:
    about = {"description": description} if description else {}
    return fields.Integer(required=True, metadata=about)


def _texts(description: str) -> fields.List[str]:
    return fields.List(fields.String(), required=True, metadata={"description": description})


class Finding(Closed):
    level = _text("refused · this element held · sent and shown", *Level)
    code = _text("stable, for programs")
    pointer = _text("JSON Pointer into the record as sent")
    message = _text("for people; never a patient's value")


class Problem(Closed):
    """RFC 9457."""

    type = _text()
    title = _text()
    status = _count()
    detail = _text()
    instance = _text("the request, as the service's log names it")
    code = fields.String(metadata={"description": "stable, for programs"})
    hint = fields.String(metadata={"description": "what to do next"})
    findings = fields.List(
        fields.Nested(Finding), metadata={"description": "all that was found, errors first"}
    )


class Sending(Closed):
    count = _count()
    resources = _texts("Type/id of each resource to send")


class Plan(Closed):
    destination = _text()
    delivery = _text("id of the delivery, as status and record show it")
    state = _text("pending, or held with a record that cannot be translated")
    send = fields.Nested(Sending, required=True)
    kept = _texts("Type/id left as the destination has it: the record has a held element there")
    cannot_retract = _texts("Type/id no longer in the record, of a type without such a status")


class Receipt(Closed):
    id = _text("opaque; Location leads to what becomes of it")
    version = _count()
    state = _text(
        "current: it counts now · older: kept, since a newer version is there · "
        "repeated: the same version with the same content was here before",
        "current",
        "older",
        "repeated",
    )
    translation = _text("held: nothing is sent until the mappings know all of it", "done", "held")
    problems = _count("how many rows could not be translated")
    destinations = fields.List(
        fields.Nested(Plan),
        required=True,
        metadata={"description": "what this request newly planned; empty for a repeat"},
    )
    findings = fields.List(fields.Nested(Finding), required=True)


class ReceivedItem(Closed):
    """What became of one record, stock document or event."""

    status = _count("as if it had been sent alone: 202, or why it was refused")
    form = _text("session, stock, or the type of the event; empty: refused")
    id = _text("of the record; empty: refused, or an event without a record")
    location = _text("where it is shown, or empty")
    version = _count()
    state = _text("of a record as its receipt says, of an event what it left; or refused")
    translation = _text("of a session", "", "done", "held")
    code = _text("of a refusal: stable, for programs")
    detail = _text("of a refusal")
    hint = _text("of a refusal: what to do next")
    findings = fields.List(fields.Nested(Finding), required=True)


class Received(Closed):
    items = fields.List(
        fields.Nested(ReceivedItem), required=True, metadata={"description": "in order"}
    )
    accepted = _count()
    refused = _count("of many: each is taken in for itself")


class BulkLine(Closed):
    """The answer to one line, and at the end one for the whole."""

    line = _count("counted from 1; of the last: how many lines were read")
    status = _count("202, or why it was refused; of the last: 200, or 503 where it broke off")
    state = _text("of the record, refused, not stored; of the last: complete or broken off")
    id = _text("of the record, or empty")
    code = _text("of a refusal")
    detail = _text("of a refusal")
    findings = fields.List(fields.Nested(Finding), required=True)


class StoredFinding(Finding):
    row = _text("the row, by the ids of the record")


class TranslationProblem(Closed):
    code = _text()
    mapping = _text()
    line = _text("file and line of the mapping")
    source = _text("where in the record")
    message = _text()


class Item(Closed):
    resource = _text("Type/id")
    outcome = _text("what the destination made of it, or waiting")
    reason = _text("why it was refused, or what it waits for; else empty")


class Delivery(Closed):
    id = _text()
    destination = _text()
    state = _text()
    reason = _text("why it is held or parked")
    problems = fields.List(
        fields.Nested(TranslationProblem),
        required=True,
        metadata={"description": "of one that waits for other mappings: what these cannot make"},
    )
    attempts = _count()
    due_at = _text()
    lane = _text("", "patient", "shared")
    sequence = _count("its place in the lane")
    items = fields.List(fields.Nested(Item), required=True)


class Copy(Closed):
    destination = _text()
    ehr_id = _text("its id there")
    version = _text("the version that the destination gave it")
    same = fields.Boolean(
        required=True, metadata={"description": "it was sent as this record has it"}
    )
    delivered_at = _text()


class Resource(Closed):
    resource = _text("Type/id")
    mapping = _text()
    overlay = _text("made for destinations with this overlay of the mappings; empty: without one")
    scope = _text()
    counts = fields.Boolean(
        required=True, metadata={"description": "false: a newer record decides what is sent"}
    )
    at = fields.List(fields.Nested(Copy), required=True)
    body = fields.Dict(required=True, metadata={"description": "the FHIR R4 resource; holds PHI"})


class Reached(Closed):
    destination = _text()
    removed_at = _text("since when it gets nothing any more, or empty")
    deliveries = fields.Dict(required=True, metadata={"description": "how many, by state"})
    waits_for = _texts("why what is not through is not")
    there = _count("how many resources of this record it has, in any version")
    as_made = _count("how many of these just as this version made them")


class Record(Closed):
    id = _text()
    version = _count()
    state = _text("", "current", "older", "superseded")
    received_at = _text()
    translation = _text("", "done", "held")
    mapping_set = _text("digest of the mappings that translated it")
    findings = fields.List(fields.Nested(StoredFinding), required=True)
    problems = fields.List(fields.Nested(TranslationProblem), required=True)
    zone_applied = _texts("pointers at times that were read in the clinic's zone")
    destinations = fields.List(
        fields.Nested(Reached),
        required=True,
        metadata={"description": "how far it got, by destination"},
    )
    deliveries = fields.List(fields.Nested(Delivery), required=True)
    resources = fields.List(fields.Nested(Resource), required=True)


class StockReceipt(Closed):
    id = _text("opaque; Location leads to the document")
    version = _count()
    state = _text("as of a record", "current", "older", "repeated")
    findings = fields.List(fields.Nested(Finding), required=True)


class StockDocument(Closed):
    id = _text()
    version = _count()
    state = _text("", "current", "older", "superseded")
    in_error = fields.Boolean(required=True, metadata={"description": "it was taken back"})
    received_at = _text()
    warnings = _count()
    held = _count("elements that are held")
    findings = fields.List(fields.Nested(StoredFinding), required=True)
    zone_applied = _texts("pointers at times that were read in the clinic's zone")
    document = fields.Dict(required=True, metadata={"description": "without what is held"})


class Limits(Closed):
    rps = fields.Float(required=True, metadata={"description": "requests a second; 0: no limit"})
    concurrent = _count("patients at the same time")
    per_day = _count("requests a day in UTC; 0: no limit")


class Lag(Closed):
    """Seconds from our commit to the EHR's answer; backfills are left out."""

    waiting = fields.Float(
        required=True, metadata={"description": "since the oldest open delivery was owed"}
    )
    p50 = fields.Float(required=True)
    p95 = fields.Float(required=True)
    p99 = fields.Float(required=True)
    counted = _count("deliveries of the last hour")


class Subscription(Closed):
    """How the notifications of an EHR stand. They only make the next look come sooner."""

    state = _text("", "off", "requested", "active", "error")
    said = _text("why it is not active, or empty")
    types = _texts("of which it tells")
    renewed_at = _text("or empty, as the other times")
    ends_at = _text("unless it is renewed")
    notified_at = _text("the last notification, to a minute")
    heartbeat_at = _text("the last heartbeat or handshake, to a minute")
    gaps = _count("how often an event number was missed")


class Destination(Closed):
    name = _text()
    base_url = _text()
    mode = _text()
    guard = _text("weak: its server guards no update, and a person allowed that; else empty")
    weak = _text("why that was allowed, or empty")
    paused = _text("why nothing is sent, or empty")
    waits_until = _text("nothing goes before, or empty")
    waits_for = _text("why, or empty")
    limits = fields.Nested(Limits, required=True)
    deliveries = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "how many by state"},
    )
    resources = _count("how many of ours it holds")
    not_as_itself = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "how many it has not, or not as they are now, by what became"},
    )
    lag = fields.Nested(Lag, required=True)
    subscription = fields.Nested(Subscription, required=True)


class Waiting(Closed):
    id = _text()
    destination = _text()
    lane = _text("opaque; one per patient, and one that all share")
    sequence = _count()
    record_id = _text()
    state = _text()
    reason = _text()
    problems = _texts("of one that waits for other mappings: code, file:line and field, the first")
    attempts = _count()
    due_at = _text()


class Task(Closed):
    """What a person must do in an EHR that lets us change nothing."""

    task = _text("name it to `sync close`")
    destination = _text()
    patient = _text("opaque")
    record = _text()
    what = _text("cannot-update or cannot-retract")
    resource = _text("ours, as Type/id")
    in_the_ehr = _text("as the EHR calls it")
    reason = _text()
    since = _text()


class Mappings(Closed):
    """What translates; the refused one is a later draft that was not made live."""

    digest = _text("of the set that is live")
    since = _text()
    refused = _text("digest of the draft, or empty")
    refused_at = _text()
    mistakes = _texts("code, file:line and what is wrong")


class Alert(Closed):
    id = _text()
    kind = _text()
    destination = _text("or empty")
    cause = _text("a code, or the id of a delivery or a record")
    count = _count("deliveries when it began")
    started_at = _text()
    words = _text("what it means")


class Disk(Closed):
    free_mb = fields.Integer(
        required=True, allow_none=True, metadata={"description": "where the database lies"}
    )
    least_mb = fields.Integer(
        required=True, metadata={"description": "with less, an alert; with a tenth, 503"}
    )
    lasts_days = fields.Integer(
        required=True, allow_none=True, metadata={"description": "were all days like the last one"}
    )


class WebhookEndpoint(Closed):
    name = _text()
    disabled = _text("why nothing is sent, or empty")
    failing_since = _text("since when nothing was taken, or empty")
    messages = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "how many by state, of the last thirty days"},
    )


class Status(Closed):
    records = _count()
    held_elements = _count()
    quarantined = _count("refused records that are kept for a while")
    mappings = fields.Nested(Mappings, required=True)
    destinations = fields.List(fields.Nested(Destination), required=True)
    waiting = fields.List(
        fields.Nested(Waiting), required=True, metadata={"description": "the oldest first"}
    )
    tasks = fields.List(
        fields.Nested(Task), required=True, metadata={"description": "for a person, in an EHR"}
    )
    alerts = fields.List(
        fields.Nested(Alert), required=True, metadata={"description": "what is wrong now"}
    )
    webhooks = fields.List(
        fields.Nested(WebhookEndpoint), required=True, metadata={"description": "who is told"}
    )
    disk = fields.Nested(Disk, required=True)


class Health(Closed):
    status = _text()


class KeySet(Closed):
    keys = fields.List(
        fields.Dict(), required=True, metadata={"description": "public keys (RFC 7517)"}
    )
