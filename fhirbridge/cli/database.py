"""`fhirbridge db`: what is done to the database as a whole."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fhirbridge import backup as backups
from fhirbridge import database as whole
from fhirbridge import settings
from fhirbridge.backup import Manifest
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json

folder_argument = click.argument("folder", type=click.Path(path_type=Path))
passphrase_file: Callable[[Any], Any] = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the passphrase that seals the keys in the backup.",
)


@click.group("db")
def database() -> None:
    """Back the database up and put it back, upgrade it, or move it to PostgreSQL."""


@database.command()
@folder_argument
@passphrase_file
@as_json
def backup(folder: Path, *, passphrase_file: Path | None, json_wanted: bool) -> None:
    """Write database, keys and manifest to the new FOLDER, while everything goes on.

    The keys are in it only with a passphrase; keep that elsewhere. FOLDER is there whole or not at
    all. Records wait meanwhile, for some seconds for each gigabyte.
    """
    passphrase = _passphrase(passphrase_file)
    backups.check_wishes(folder, passphrase)
    with opened() as bridge:
        bridge.note_backup(actor=ACTOR)
    made = backups.write(settings.read(), folder, passphrase)
    _show(made, folder, json_wanted=json_wanted)
    if backups.KEYS not in made.files:
        printing.words("The keys are NOT in it: back up master.key and site.key yourself.")


@database.command()
@folder_argument
@passphrase_file
@as_json
def restore(folder: Path, *, passphrase_file: Path | None, json_wanted: bool) -> None:
    """Check a backup and put it where the settings say; overwrite nothing.

    All API tokens and webhook sources in it are revoked: one may have been revoked since it was
    made.
    The next start compares each EHR as a whole with it before anything is sent.
    """
    found = backups.restore(settings.read(), folder, _passphrase(passphrase_file))
    with opened() as bridge:
        bridge.note_restore(made_at=found.made_at, actor=ACTOR)
    _show(found, folder, json_wanted=json_wanted)
    printing.words(f"Records that came after {found.made_at} must be sent to it once more.")
    printing.words("All API tokens in it are revoked: make new API tokens (fhirbridge token make);")
    printing.words("all webhook sources, too: add them again (fhirbridge webhook-source add);")
    printing.words(f"retire, erase and withdraw again what was since {found.made_at}.")
    printing.words("Next: fhirbridge doctor, then start the service: it compares before it sends.")


@database.command()
@folder_argument
@as_json
def check(folder: Path, *, json_wanted: bool) -> None:
    """See that a backup is as it was written; change nothing."""
    _show(backups.check(folder), folder, json_wanted=json_wanted)


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


def _passphrase(file: Path | None) -> bytes | None:
    """Return what the file holds, without the line's end."""
    return None if file is None else file.read_bytes().rstrip(b"\r\n")


def _show(manifest: Manifest, folder: Path, *, json_wanted: bool) -> None:
    if json_wanted:
        printing.data(asdict(manifest))
        return
    rows = [[name, count] for name, count in sorted(manifest.rows.items()) if count]
    printing.table(f"{folder.name}, made at {manifest.made_at}", ["table", "rows"], rows)
