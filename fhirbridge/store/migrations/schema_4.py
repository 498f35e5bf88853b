"""Schema 4: EHRs with ids and patients of their own, sign-in, charts that were taken back."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Integer, Text

revision = "4"
down_revision = "3"

# Of what is there already: nothing was taken back, no guard is weak, all Patients are ours.
ADDED = (
    ("record", "retracted", ""),
    ("delivery_item", "link", ""),
    ("destination", "weak", ""),
    ("destination", "patients", "ours"),
    ("destination", "patient_systems", "{}"),
)


def upgrade() -> None:
    """Add columns and tables."""
    for table, column, before in ADDED:
        op.add_column(table, sa.Column(column, Text, nullable=False, server_default=before))
    op.create_index("ledger_ehr", "ledger", ["destination", "type", "ehr_id"])
    _patient_link()
    _sign_in()


def _patient_link() -> None:
    op.create_table(
        "patient_link",
        sa.Column("sequence", Integer, primary_key=True),
        sa.Column("id", Text, nullable=False, unique=True),
        *(
            sa.Column(name, Text, nullable=False)
            for name in (
                "destination",
                "lane",
                "subject",
                "state",
                "ehr_id",
                "how",
                "why",
                "follows",
                "compared",
                "only_for",
            )
        ),
        sa.Column("record_id", Text, sa.ForeignKey("record.id"), nullable=False),
        *(
            sa.Column(name, Text, nullable=False)
            for name in ("actor", "at", "checked_at", "ended_at")
        ),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "patient_link_now",
        "patient_link",
        ["destination", "lane"],
        unique=True,
        sqlite_where=sa.text("ended_at = ''"),
        postgresql_where=sa.text("ended_at = ''"),
    )
    op.create_index("patient_link_there", "patient_link", ["destination", "ehr_id"])


def _sign_in() -> None:
    op.create_table(
        "sign_in",
        sa.Column("destination", Text, primary_key=True),
        sa.Column("id", Text, nullable=False, unique=True),
        sa.Column("settings", Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("at", Text, nullable=False),
    )
    op.create_table(
        "sign_in_token",
        sa.Column("destination", Text, primary_key=True),
        sa.Column("sign_in", Text, nullable=False),
        sa.Column("version", Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        *(
            sa.Column(name, Text, nullable=False)
            for name in ("scopes", "issued_at", "refresh_at", "expires_at", "token_url")
        ),
        sa.Column("fence", Integer, nullable=False),
        *(
            sa.Column(name, Text, nullable=False)
            for name in ("leased_until", "refused_at", "quiet_until", "trouble")
        ),
    )
    op.create_table(
        "sign_in_key",
        sa.Column("kid", Text, primary_key=True),
        sa.Column("destination", Text, nullable=False),
        sa.Column("algorithm", Text, nullable=False),
        sa.Column("public", Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        *(
            sa.Column(name, Text, nullable=False)
            for name in ("published_at", "used_at", "left_at", "retired_at")
        ),
    )
