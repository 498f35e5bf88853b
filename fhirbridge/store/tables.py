"""Every table, each with the one package that may write it. No column holds PHI in the clear.

Ids, lanes and session keys are opaque (keyed hashes or random); payloads sealed; hashes keyed.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
)

from fhirbridge.store import (
    access_tables,
    append_only,
    columns,
    drift_tables,
    evidence_tables,
    export_tables,
    facade_tables,
    hook_tables,
    patient_tables,
    pull_tables,
    retention_tables,
    sign_in_tables,
    subscription_tables,
    theirs_tables,
    webhook_tables,
)
from fhirbridge.store.columns import Integer, Text

FIRST_SCHEMA = 3  # from which a database can be upgraded
SCHEMA_VERSION = 18  # one more with each migration: docs/layout.md
metadata = columns.metadata
# Whose tables are in that list as well.
PARTS = (
    access_tables,
    drift_tables,
    evidence_tables,
    export_tables,
    facade_tables,
    hook_tables,
    patient_tables,
    pull_tables,
    retention_tables,
    sign_in_tables,
    subscription_tables,
    theirs_tables,
    webhook_tables,
)

# store
meta = Table(
    "meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
)
payload_key = Table(
    "payload_key",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("wrapped", LargeBinary),  # null once shredded
    Column("shredded_at", Text),
)

# records
record = Table(
    "record",
    metadata,
    Column("id", Text, primary_key=True),
    Column("session_key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("patient_key", Text, nullable=False),
    Column("subject", Text, nullable=False),  # our Patient id, for the wrong-patient guard
    Column("state", Text, nullable=False),  # current | superseded | older
    Column("in_error", Boolean, nullable=False),
    Column("retracted", Text, nullable=False),  # since when a person took it back, or ""
    Column("received_at", Text, nullable=False),
    Column("recorded_at", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("labels", Text, nullable=False),  # space separated: what a consent check must know
    Column("translation", Text, nullable=False),  # done | held
    Column("set_digest", Text, nullable=False),
    Column("warnings", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("screen_held", Boolean, nullable=False),  # an answer that a person must hear of may be
    Column("sealed", LargeBinary, nullable=False),  # document, findings, problems, withheld
    Column("purged_at", Text, nullable=False, server_default=""),  # since when it is erased, or ""
    UniqueConstraint("session_key", "version"),
)
Index("record_patient", record.c.patient_key, record.c.state)
Index("record_received", record.c.received_at)
Index("record_translation", record.c.translation, record.c.set_digest)
Index(
    "record_screen",
    record.c.state,
    sqlite_where=record.c.screen_held.is_(True),
    postgresql_where=record.c.screen_held.is_(True),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# intake
mapping_set = Table(
    "mapping_set",
    metadata,
    Column("sequence", Integer, primary_key=True),  # the highest live one translates
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),  # live | refused
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("mistakes", Text, nullable=False),  # of a refused one: lines of code, place and what
    Column("files", LargeBinary, nullable=False),  # compressed; empty for a refused one
)

stock = Table(
    "stock",
    metadata,
    Column("id", Text, primary_key=True),
    Column("stock_key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),  # current | superseded | older
    Column("in_error", Boolean, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("recorded_at", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("warnings", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # document, findings
    UniqueConstraint("stock_key", "version"),
)

# consent
consent = Table(
    "consent",
    metadata,
    Column("patient_key", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("recipient", Text, primary_key=True),  # a destination's name, or * for all
    Column("status", Text, nullable=False),
    Column("as_of", Text, nullable=False),
    Column("record_id", Text, ForeignKey("record.id"), nullable=False),
)

# outbox
resource = Table(
    "resource",
    metadata,
    Column("sequence", Integer, primary_key=True),  # given out by the database, in order
    Column("id", Text, nullable=False, unique=True),
    Column("record_id", Text, ForeignKey("record.id"), nullable=False),
    Column("purpose", Text, nullable=False),  # contents.py has the words
    Column("type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("set_digest", Text, nullable=False),
    Column("overlay", Text, nullable=False),  # made for destinations with this overlay; "" for none
    Column("as_of", Text, nullable=False),
    Column("recorded_at", Text, nullable=False),  # of its record: the newest word is found by both
    Column("digest", Text, nullable=False),
    Column("row", Text, nullable=False),  # keyed name of the source row
    Column("sealed", LargeBinary, nullable=False),  # body
    Column("sealed_why", LargeBinary, nullable=False),
)
Index(
    "resource_newest",
    *(resource.c[name] for name in ("type", "resource_id", "overlay", "as_of", "recorded_at")),
)
Index(
    "resource_record",
    *(resource.c[name] for name in ("record_id", "type", "resource_id", "overlay")),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("destination", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("needs_shared", Integer, nullable=False),  # the shared lane must be this far first
    Column("record_id", Text, ForeignKey("record.id"), nullable=False),
    Column("set_digest", Text, nullable=False),  # the mapping set that made it, or could not
    Column("way", Text, nullable=False),  # bundle | single, once the EHR refused it as a whole
    Column("repairs", Boolean, nullable=False),  # brings back what the EHR lost: nothing newer
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column(
        "runs", Integer, nullable=False
    ),  # started and not settled: a record that kills the worker
    Column("attempts", Integer, nullable=False),  # settled, and not yet delivered: sets the wait
    Column(
        "server_errors", Integer, nullable=False
    ),  # 5xx with nothing stored: a bad resource may be why
    Column("low", Boolean, nullable=False),  # a backfill: after all that is live
    Column("urgent", Boolean, nullable=False),  # a person is told if it is stuck
    Column("due_at", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    UniqueConstraint("destination", "lane", "sequence"),
)
Index("delivery_due", delivery.c.state, delivery.c.due_at)
Index(
    "delivery_turn", delivery.c.destination, delivery.c.state, delivery.c.low, delivery.c.created_at
)
Index("delivery_urgent", delivery.c.urgent, delivery.c.state)
Index("delivery_record", delivery.c.record_id)
Index("delivery_created", delivery.c.created_at, delivery.c.id)
Index("delivery_created_there", delivery.c.destination, delivery.c.created_at, delivery.c.id)
Index("delivery_lane", delivery.c.destination, delivery.c.lane, delivery.c.state)

delivery_item = Table(
    "delivery_item",
    metadata,
    Column("delivery_id", Text, ForeignKey("delivery.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("resource", Text, ForeignKey("resource.id"), nullable=False),  # the pinned version
    Column("digest", Text, nullable=False),
    # states.Became has the words
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),  # of a refused or a blocked one
    Column("link", Text, nullable=False),  # by which it last went to an EHR's own patient, or ""
    # Up to which decision about what else is the EHR's own it last went.
    Column("decided", Integer, nullable=False, server_default="0"),
)
Index("delivery_item_identity", delivery_item.c.type, delivery_item.c.resource_id)
Index("delivery_item_resource", delivery_item.c.resource)
_not_as_itself = delivery_item.c.outcome.in_(
    ["skipped", "carried", "cannot-update", "cannot-retract"]
)
Index(
    "delivery_item_not_as_itself",
    delivery_item.c.outcome,
    sqlite_where=_not_as_itself,
    postgresql_where=_not_as_itself,
)

lane = Table(
    "lane",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("sequence", Integer, nullable=False),  # the last one given out
    Column("fence", Integer, nullable=False),
    Column("leased_until", Text, nullable=False),
)
Index("lane_leased", lane.c.destination, lane.c.leased_until)

# An operator's word that nothing goes out; it stands until he takes it back.
pause = Table(
    "pause",
    metadata,
    Column("destination", Text, primary_key=True),  # "" for every one
    Column("lane", Text, primary_key=True),  # of one patient; "" for every one
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
)

# deliver
ledger = Table(
    "ledger",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("ehr_id", Text, nullable=False),
    Column("ehr_version", Text, nullable=False),
    Column("digest", Text, nullable=False),  # "" where what is there is to be replaced by ours
    Column("resource", Text, ForeignKey("resource.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("delivered_at", Text, nullable=False),
    Column("read_back_at", Text, nullable=False),
    Column("decided", Integer, nullable=False, server_default="0"),  # as of delivery_item
)
Index("ledger_resource", ledger.c.resource)
Index("ledger_ehr", ledger.c.destination, ledger.c.type, ledger.c.ehr_id)

traffic = Table(
    "traffic",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("in_a_row", Integer, nullable=False),  # failures
    Column("recent", Text, nullable=False),  # JSON: how the last exchanges ended
    Column("opened_at", Text, nullable=False),  # since when nothing goes, or ""
    Column("pause_seconds", Integer, nullable=False),  # and for how long; 0: it goes
    Column("probed_at", Text, nullable=False),
    Column("asked_at", Text, nullable=False),  # when the server said how long to wait, or ""
    Column("asked_until", Text, nullable=False),
    Column("asked_seconds", Integer, nullable=False),
    Column("next_at", Text, nullable=False),  # the next request's turn
    Column("day", Text, nullable=False),
    Column("used", Integer, nullable=False),  # requests of that day
)

# plan
begun_plan = Table(
    "begun_plan",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("at", Text, nullable=False),
)

# destinations
destination = Table(
    "destination",
    metadata,
    Column("name", Text, primary_key=True),
    Column("base_url", Text, nullable=False),
    Column("mode", Text, nullable=False),  # modes.py has the words
    Column("traits", Text, nullable=False),  # what the probe found, JSON
    Column("requires_consent", Boolean, nullable=False),
    Column("test_server", Boolean, nullable=False),
    Column("overlay", Text, nullable=False),  # of the mappings; "" for none
    Column("networks", Text, nullable=False),  # private networks it may be reached in
    Column("paused", Text, nullable=False),  # why, or ""
    Column("weak", Text, nullable=False),  # allowed: updates may go without a guard, or ""
    Column("most_entries", Integer, nullable=False),  # of one Bundle, as far as was learned
    Column("most_bytes", Integer, nullable=False),
    Column("forbidden", Text, nullable=False),  # lanes that were answered 403, in a row
    Column("rps", Float, nullable=False),  # requests per second at most; 0: no limit
    Column("concurrent", Integer, nullable=False),  # lanes at the same time at most
    Column("per_day", Integer, nullable=False),  # requests at most; 0: no limit
    Column("patients", Text, nullable=False),  # ours | match
    Column("patient_systems", Text, nullable=False),  # JSON: ours to theirs, of identifiers
    Column("declared", Text, nullable=False),  # the mode that a person named, or ""
    Column("types", Text, nullable=False),  # JSON: how types go that were ever not sent
    Column("pull", Text, nullable=False),  # what is asked of it; pulls.py has the words
    # JSON: types that are the EHR's own, each with the system of its numbers there, or "".
    Column("theirs", Text, nullable=False, server_default="{}"),
    Column("created_at", Text, nullable=False),
    Column("removed_at", Text, nullable=False),  # since when it is none any more, or ""
)

# alerts
alert = Table(
    "alert",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("cause", Text, nullable=False),  # a code, or the opaque id of a delivery or record
    Column("count", Integer, nullable=False),  # when it began
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text, nullable=False),  # "" while it lasts
    Column("told", Text, nullable=False),  # "" | started | ended
    Column("telling_until", Text, nullable=False),  # a process is about to tell
)
Index(
    "alert_lasting",
    alert.c.kind,
    alert.c.destination,
    alert.c.cause,
    unique=True,
    sqlite_where=alert.c.ended_at == "",
    postgresql_where=alert.c.ended_at == "",
)

# audit
evidence = Table(
    "evidence",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON of codes, counts and opaque ids
    Column("payload_owner", Text, nullable=False),
    Column("payload", LargeBinary),  # sealed exact bytes
    Column("payload_digest", Text, nullable=False),  # salted
    Column("salt", LargeBinary, nullable=False),
    Column("leaf", Text, nullable=False),
)
Index("evidence_record", evidence.c.record_id)
Index("evidence_delivery", evidence.c.delivery_id)
append_only.guard(evidence)
