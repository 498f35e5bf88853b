"""Schema 12: webhooks that go out, and events that wait for their numbers."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Integer, Text

revision = "12"
down_revision = "11"


def upgrade() -> None:
    """Add a column, an index and tables. What was told before has no number of its patient."""
    op.add_column(
        "event", sa.Column("patient_sequence", Integer, nullable=False, server_default="0")
    )
    op.create_index("event_patient", "event", ["patient", "patient_sequence"])
    op.create_table(
        "event_waiting",
        sa.Column("number", Integer, primary_key=True),
        *_texts("at", "kind", "subkind", "destination", "patient", "detail"),
    )
    _add_endpoints()
    _add_messages()


def _add_endpoints() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", Text, primary_key=True),
        *_texts("name", "url", "kinds", "destinations", "networks", "added_at", "removed_at"),
        *_texts("disabled_at", "disabled_why"),
        sa.Column("reached", Integer, nullable=False),
        *_texts("failing_since", "quiet_until"),
        sa.Column("fence", Integer, nullable=False),
        *_texts("leased_until"),
    )
    op.create_table(
        "webhook_endpoint_secret",
        sa.Column("id", Text, primary_key=True),
        _endpoint(),
        sa.Column("sealed", sa.LargeBinary),
        *_texts("made_at", "expires_at"),
    )
    op.create_index("webhook_endpoint_secret_endpoint", "webhook_endpoint_secret", ["endpoint"])


def _add_messages() -> None:
    op.create_table(
        "webhook_message",
        sa.Column("endpoint", Text, sa.ForeignKey("webhook_endpoint.id"), primary_key=True),
        sa.Column("id", Text, primary_key=True),
        sa.Column("sequence", Integer, nullable=False),
        *_texts("body", "state"),
        sa.Column("attempts", Integer, nullable=False),
        *_texts("due_at", "created_at"),
    )
    op.create_index(
        "webhook_message_due", "webhook_message", ["endpoint", "state", "due_at", "sequence"]
    )
    op.create_index("webhook_message_created", "webhook_message", ["created_at"])
    op.create_table(
        "webhook_attempt",
        sa.Column("id", Text, primary_key=True),
        _endpoint(),
        *_texts("message"),
        sa.Column("number", Integer, nullable=False),
        *_texts("at"),
        sa.Column("signed_at", Integer, nullable=False),
        sa.Column("status", Integer, nullable=False),
        *_texts("outcome", "reason"),
        sa.Column("took_ms", Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("webhook_attempt_message", "webhook_attempt", ["endpoint", "message"])
    op.create_index("webhook_attempt_at", "webhook_attempt", ["at"])


def _endpoint() -> sa.Column[str]:
    return sa.Column("endpoint", Text, sa.ForeignKey("webhook_endpoint.id"), nullable=False)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, Text, nullable=False) for name in names]
