"""Who may use the API, and which part of it. Written by `access/`."""

from sqlalchemy import Column, Table

from fhirbridge.store.columns import Text, metadata

api_token = Table(
    "api_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("revoked_at", Text, nullable=False),
    # Parts of the API to which it is narrowed, in a row with blanks; "" for all that its role may.
    Column("rooms", Text, nullable=False, server_default=""),
    Column("last_used_at", Text, nullable=False, server_default=""),  # to the hour, or ""
    # The facade that a reader reads, or "".
    Column("facade", Text, nullable=False, server_default=""),
)
