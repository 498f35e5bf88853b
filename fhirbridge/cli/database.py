"""`fhirbridge db …`: what is done with the database as a whole."""

from dataclasses import asdict

import click

from fhirbridge import database as whole
from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.printing import as_json


@click.group("db")
def database() -> None:
    """Upgrade the database, or move it to PostgreSQL."""


@database.command()
def upgrade() -> None:
    """Bring the database to the schema of this program.

    Make a backup first. Each step is done whole or not at all; a killed upgrade is begun again.
    """
    made = whole.upgrade(settings.read())
    for schema in made:
        printing.words(f"Made schema {schema}.")
    if not made:
        printing.words("The database has the schema of this program already.")


@database.command("migrate-to")
@click.argument("url")
@as_json
def migrate_to(*, url: str, json_wanted: bool) -> None:
    """Move everything from SQLite to an empty PostgreSQL database.

    URL is postgresql://USER@HOST/NAME, without a password: that stands in the file which PGPASSFILE
    names. Stop `serve` first. All is copied and compared in one transaction; the old database is
    closed for good only after it. Killed, it is begun again.
    """
    moved = whole.move(settings.read(), url)
    if json_wanted:
        printing.data(asdict(moved))
        return
    rows = [[name, str(count)] for name, count in moved.rows.items() if count]
    printing.table("moved", ["table", "rows"], rows)
    printing.words(f"Equal on both sides; head of the evidence log: {moved.head}")
    printing.words("Now set FHIRBRIDGE_DATABASE_URL to the new database. The old one is closed;")
    printing.words("keep it with your backups. The key files stay as they are.")
