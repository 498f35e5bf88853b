"""INSERT … ON CONFLICT: PostgreSQL's form, which SQLAlchemy writes for SQLite as well."""

from sqlalchemy.dialects.postgresql import insert

__all__ = ["insert"]
