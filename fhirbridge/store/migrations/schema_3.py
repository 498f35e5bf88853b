"""Schema 3, the first one that is ever upgraded: all tables as they were then."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store import append_only, columns

revision = "3"
down_revision = None


def upgrade() -> None:  # noqa: PLR0915  all of it, once
    """Make every table in an empty database."""
    op.create_table(
        "alert",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("kind", columns.Text, nullable=False),
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("cause", columns.Text, nullable=False),
        sa.Column("count", columns.Integer, nullable=False),
        sa.Column("started_at", columns.Text, nullable=False),
        sa.Column("ended_at", columns.Text, nullable=False),
        sa.Column("told", columns.Text, nullable=False),
        sa.Column("telling_until", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "alert_lasting",
        "alert",
        ["kind", "destination", "cause"],
        unique=True,
        sqlite_where=sa.text("ended_at = ''"),
        postgresql_where=sa.text("ended_at = ''"),
    )
    op.create_table(
        "api_token",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("name", columns.Text, nullable=False),
        sa.Column("role", columns.Text, nullable=False),
        sa.Column("hash", columns.Text, nullable=False),
        sa.Column("created_at", columns.Text, nullable=False),
        sa.Column("expires_at", columns.Text, nullable=False),
        sa.Column("revoked_at", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "begun_plan",
        sa.Column("digest", columns.Text, nullable=False),
        sa.Column("at", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "destination",
        sa.Column("name", columns.Text, nullable=False),
        sa.Column("base_url", columns.Text, nullable=False),
        sa.Column("mode", columns.Text, nullable=False),
        sa.Column("traits", columns.Text, nullable=False),
        sa.Column("requires_consent", sa.Boolean(), nullable=False),
        sa.Column("test_server", sa.Boolean(), nullable=False),
        sa.Column("overlay", columns.Text, nullable=False),
        sa.Column("networks", columns.Text, nullable=False),
        sa.Column("paused", columns.Text, nullable=False),
        sa.Column("most_entries", columns.Integer, nullable=False),
        sa.Column("most_bytes", columns.Integer, nullable=False),
        sa.Column("forbidden", columns.Text, nullable=False),
        sa.Column("rps", sa.Float(), nullable=False),
        sa.Column("concurrent", columns.Integer, nullable=False),
        sa.Column("per_day", columns.Integer, nullable=False),
        sa.Column("created_at", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "drift_policy",
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("type", columns.Text, nullable=False),
        sa.Column("choice", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("destination", "type"),
    )
    op.create_table(
        "evidence",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("at", columns.Text, nullable=False),
        sa.Column("actor", columns.Text, nullable=False),
        sa.Column("action", columns.Text, nullable=False),
        sa.Column("outcome", columns.Text, nullable=False),
        sa.Column("record_id", columns.Text, nullable=False),
        sa.Column("delivery_id", columns.Text, nullable=False),
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("detail", columns.Text, nullable=False),
        sa.Column("payload_owner", columns.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("payload_digest", columns.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("evidence_delivery", "evidence", ["delivery_id"], unique=False)
    op.create_index("evidence_record", "evidence", ["record_id"], unique=False)
    op.create_table(
        "lane",
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("lane", columns.Text, nullable=False),
        sa.Column("sequence", columns.Integer, nullable=False),
        sa.Column("fence", columns.Integer, nullable=False),
        sa.Column("leased_until", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("destination", "lane"),
    )
    op.create_index("lane_leased", "lane", ["destination", "leased_until"], unique=False)
    op.create_table(
        "mapping_set",
        sa.Column("sequence", columns.Integer, nullable=False),
        sa.Column("digest", columns.Text, nullable=False),
        sa.Column("state", columns.Text, nullable=False),
        sa.Column("at", columns.Text, nullable=False),
        sa.Column("actor", columns.Text, nullable=False),
        sa.Column("mistakes", columns.Text, nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_table(
        "meta",
        sa.Column("name", columns.Text, nullable=False),
        sa.Column("value", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "pause",
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("lane", columns.Text, nullable=False),
        sa.Column("at", columns.Text, nullable=False),
        sa.Column("actor", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("destination", "lane"),
    )
    op.create_table(
        "payload_key",
        sa.Column("owner", columns.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("shredded_at", columns.Text, nullable=True),
        sa.PrimaryKeyConstraint("owner"),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("received_at", columns.Text, nullable=False),
        sa.Column("expires_at", columns.Text, nullable=False),
        sa.Column("code", columns.Text, nullable=False),
        sa.Column("findings", columns.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "record",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("session_key", columns.Text, nullable=False),
        sa.Column("version", columns.Integer, nullable=False),
        sa.Column("patient_key", columns.Text, nullable=False),
        sa.Column("subject", columns.Text, nullable=False),
        sa.Column("state", columns.Text, nullable=False),
        sa.Column("in_error", sa.Boolean(), nullable=False),
        sa.Column("received_at", columns.Text, nullable=False),
        sa.Column("recorded_at", columns.Text, nullable=False),
        sa.Column("digest", columns.Text, nullable=False),
        sa.Column("labels", columns.Text, nullable=False),
        sa.Column("translation", columns.Text, nullable=False),
        sa.Column("set_digest", columns.Text, nullable=False),
        sa.Column("warnings", columns.Integer, nullable=False),
        sa.Column("held", columns.Integer, nullable=False),
        sa.Column("screen_held", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("session_key", "version"),
    )
    op.create_index("record_patient", "record", ["patient_key", "state"], unique=False)
    op.create_table(
        "stock",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("stock_key", columns.Text, nullable=False),
        sa.Column("version", columns.Integer, nullable=False),
        sa.Column("state", columns.Text, nullable=False),
        sa.Column("in_error", sa.Boolean(), nullable=False),
        sa.Column("received_at", columns.Text, nullable=False),
        sa.Column("recorded_at", columns.Text, nullable=False),
        sa.Column("digest", columns.Text, nullable=False),
        sa.Column("warnings", columns.Integer, nullable=False),
        sa.Column("held", columns.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stock_key", "version"),
    )
    op.create_table(
        "traffic",
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("in_a_row", columns.Integer, nullable=False),
        sa.Column("recent", columns.Text, nullable=False),
        sa.Column("opened_at", columns.Text, nullable=False),
        sa.Column("pause_seconds", columns.Integer, nullable=False),
        sa.Column("probed_at", columns.Text, nullable=False),
        sa.Column("asked_at", columns.Text, nullable=False),
        sa.Column("asked_until", columns.Text, nullable=False),
        sa.Column("asked_seconds", columns.Integer, nullable=False),
        sa.Column("next_at", columns.Text, nullable=False),
        sa.Column("day", columns.Text, nullable=False),
        sa.Column("used", columns.Integer, nullable=False),
        sa.PrimaryKeyConstraint("destination"),
    )
    op.create_table(
        "watch",
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("polled_to", columns.Text, nullable=False),
        sa.Column("swept_at", columns.Text, nullable=False),
        sa.Column("stop", columns.Text, nullable=False),
        sa.PrimaryKeyConstraint("destination"),
    )
    op.create_table(
        "consent",
        sa.Column("patient_key", columns.Text, nullable=False),
        sa.Column("kind", columns.Text, nullable=False),
        sa.Column("recipient", columns.Text, nullable=False),
        sa.Column("status", columns.Text, nullable=False),
        sa.Column("as_of", columns.Text, nullable=False),
        sa.Column("record_id", columns.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("patient_key", "kind", "recipient"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("lane", columns.Text, nullable=False),
        sa.Column("sequence", columns.Integer, nullable=False),
        sa.Column("needs_shared", columns.Integer, nullable=False),
        sa.Column("record_id", columns.Text, nullable=False),
        sa.Column("set_digest", columns.Text, nullable=False),
        sa.Column("way", columns.Text, nullable=False),
        sa.Column("repairs", sa.Boolean(), nullable=False),
        sa.Column("state", columns.Text, nullable=False),
        sa.Column("reason", columns.Text, nullable=False),
        sa.Column("runs", columns.Integer, nullable=False),
        sa.Column("attempts", columns.Integer, nullable=False),
        sa.Column("server_errors", columns.Integer, nullable=False),
        sa.Column("low", sa.Boolean(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("due_at", columns.Text, nullable=False),
        sa.Column("created_at", columns.Text, nullable=False),
        sa.Column("changed_at", columns.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("destination", "lane", "sequence"),
    )
    op.create_index("delivery_due", "delivery", ["state", "due_at"], unique=False)
    op.create_index("delivery_record", "delivery", ["record_id"], unique=False)
    op.create_index(
        "delivery_turn", "delivery", ["destination", "state", "low", "created_at"], unique=False
    )
    op.create_index("delivery_urgent", "delivery", ["urgent", "state"], unique=False)
    op.create_table(
        "drift",
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("type", columns.Text, nullable=False),
        sa.Column("resource_id", columns.Text, nullable=False),
        sa.Column("lane", columns.Text, nullable=False),
        sa.Column("record_id", columns.Text, nullable=False),
        sa.Column("kind", columns.Text, nullable=False),
        sa.Column("elements", columns.Text, nullable=False),
        sa.Column("ehr_version", columns.Text, nullable=False),
        sa.Column("theirs", columns.Text, nullable=False),
        sa.Column("state", columns.Text, nullable=False),
        sa.Column("choice", columns.Text, nullable=False),
        sa.Column("actor", columns.Text, nullable=False),
        sa.Column("found_at", columns.Text, nullable=False),
        sa.Column("changed_at", columns.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("drift_identity", "drift", ["destination", "type", "resource_id"], unique=False)
    op.create_index("drift_open", "drift", ["destination", "state"], unique=False)
    op.create_table(
        "resource",
        sa.Column("sequence", columns.Integer, nullable=False),
        sa.Column("id", columns.Text, nullable=False),
        sa.Column("record_id", columns.Text, nullable=False),
        sa.Column("purpose", columns.Text, nullable=False),
        sa.Column("type", columns.Text, nullable=False),
        sa.Column("resource_id", columns.Text, nullable=False),
        sa.Column("lane", columns.Text, nullable=False),
        sa.Column("scope", columns.Text, nullable=False),
        sa.Column("mapping", columns.Text, nullable=False),
        sa.Column("set_digest", columns.Text, nullable=False),
        sa.Column("overlay", columns.Text, nullable=False),
        sa.Column("as_of", columns.Text, nullable=False),
        sa.Column("digest", columns.Text, nullable=False),
        sa.Column("row", columns.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_why", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["record.id"],
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("resource_identity", "resource", ["type", "resource_id"], unique=False)
    op.create_index("resource_record", "resource", ["record_id"], unique=False)
    op.create_table(
        "delivery_item",
        sa.Column("delivery_id", columns.Text, nullable=False),
        sa.Column("position", columns.Integer, nullable=False),
        sa.Column("type", columns.Text, nullable=False),
        sa.Column("resource_id", columns.Text, nullable=False),
        sa.Column("resource", columns.Text, nullable=False),
        sa.Column("digest", columns.Text, nullable=False),
        sa.Column("outcome", columns.Text, nullable=False),
        sa.Column("reason", columns.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["delivery.id"],
        ),
        sa.ForeignKeyConstraint(
            ["resource"],
            ["resource.id"],
        ),
        sa.PrimaryKeyConstraint("delivery_id", "position"),
    )
    op.create_index(
        "delivery_item_identity", "delivery_item", ["type", "resource_id"], unique=False
    )
    op.create_table(
        "ledger",
        sa.Column("destination", columns.Text, nullable=False),
        sa.Column("type", columns.Text, nullable=False),
        sa.Column("resource_id", columns.Text, nullable=False),
        sa.Column("ehr_id", columns.Text, nullable=False),
        sa.Column("ehr_version", columns.Text, nullable=False),
        sa.Column("digest", columns.Text, nullable=False),
        sa.Column("resource", columns.Text, nullable=False),
        sa.Column("sequence", columns.Integer, nullable=False),
        sa.Column("delivered_at", columns.Text, nullable=False),
        sa.Column("read_back_at", columns.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["resource"],
            ["resource.id"],
        ),
        sa.PrimaryKeyConstraint("destination", "type", "resource_id"),
    )
    for statement in append_only.statements("evidence", op.get_bind().dialect.name):
        op.execute(statement)
