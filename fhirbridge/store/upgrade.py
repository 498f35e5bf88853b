"""Bring an older database to the schema of this program: whole steps, one migrator at a time."""

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, update

from fhirbridge.store import tables
from fhirbridge.store.engine import Store, other_schema, schema
from fhirbridge.store.tables import meta

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(store: Store, migrations: Path = MIGRATIONS) -> list[str]:
    """Do every migration that is missing; return the schemas that were made, in order.

    Each is one transaction with the note of its version, so that a kill leaves the schema before
    it or the one after. Whoever comes second waits, and finds the work done. Raises StoreError for
    a schema that this program does not know; nothing was changed then.
    """
    known = steps(migrations)
    done: list[str] = []
    while True:
        with store.begin() as tx:
            found = schema(tx)
            if found == str(tables.SCHEMA_VERSION):
                return done + store.furnish(tx)
            following = {str(step.down_revision): step for step in known}
            if found not in following:
                raise other_schema(found)
            step = following[found]
            run(tx, step)
            note = update(meta).where(meta.c.name == "schema")
            tx.execute(note.values(value=step.revision))
        done.append(step.revision)


def steps(migrations: Path = MIGRATIONS) -> list[Script]:
    """Return every migration, the first one first."""
    folder = str(migrations)
    listed = ScriptDirectory(folder, version_locations=[folder]).walk_revisions()
    return list(listed)[::-1]


def run(tx: Connection, step: Script) -> None:
    """Do one migration in the caller's transaction."""
    with Operations.context(MigrationContext.configure(tx)):
        step.module.upgrade()
