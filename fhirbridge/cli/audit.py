"""`fhirbridge audit` and `fhirbridge verify`: the evidence log, its checkpoints, its proof."""

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from fhirbridge import opening, settings
from fhirbridge.audit import verifying
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.paths import NEW_FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.report import NEW_FILE, of_a_period, put
from fhirbridge.cli.statuses import WAITS
from fhirbridge.reports.table import Period
from fhirbridge.reports.written import Format


@click.group()
def audit() -> None:
    """Sign, hand out and check the evidence log."""


@audit.command()
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append it to this file too: one that lies elsewhere is a witness.",
)
def checkpoint(to: Path | None) -> None:
    """Sign what the log holds now and print the checkpoint.

    `serve` and `worker` sign one every hour. Keep some where nobody who can write to the database
    can change them: with an old one `fhirbridge verify` finds what was changed since.
    """
    with opened() as bridge:
        signed = bridge.checkpoint()
    if to is not None:
        with to.open("a", encoding="utf-8") as file:
            file.write(f"{signed.note}\n")
            file.flush()
            os.fsync(file.fileno())
    click.echo(signed.note, nl=False)


@audit.command("checkpoints")
@as_json
def listed(*, json_wanted: bool) -> None:
    """List every checkpoint that was signed."""
    with opened() as bridge:
        found = bridge.checkpoints()
    if json_wanted:
        printing.data([asdict(one) for one in found])
        return
    printing.table("checkpoints", ["rows", "signed at"], [[str(one.size), one.at] for one in found])


@audit.command()
def check() -> None:
    """Compute every row of the log in this database anew; exit status 1 where one was changed."""
    with opened() as bridge:
        found = bridge.damaged_evidence()
    if found:
        raise click.ClickException(f"the evidence log was changed: {found}")
    printing.words("Every row is as it was when it got its place.")


@audit.command()
@click.argument("folder", type=NEW_FOLDER, required=False)
@click.option(
    "--fhir",
    type=NEW_FILE,
    help="Instead: every row as a FHIR AuditEvent, a line each (NDJSON), into this new file.",
)
@as_json
def export(folder: Path | None, fhir: Path | None, *, json_wanted: bool) -> None:
    """Write the whole log, without what was sent or answered, into the new FOLDER, and sign it."""
    if (folder is None) == (fhir is None):
        raise click.UsageError("name a FOLDER, or a file with --fhir")
    with opened() as bridge:
        if fhir is not None:
            rows = bridge.export_audit_events(fhir, actor=ACTOR)
            printing.words(f"{rows} AuditEvents are in {fhir.name}. They are not signed.")
            return
        assert folder is not None
        made = bridge.export_evidence(folder, actor=ACTOR)
    if json_wanted:
        printing.data(asdict(made))
        return
    printing.words(f"{made.rows} rows up to the checkpoint of {made.at} are in {folder.name}.")
    printing.words(f"Next: fhirbridge verify {folder.name} --key FILE")


@audit.command()
@click.option("--destination", default="", help="Only at this destination.")
@click.option("--live", is_flag=True, help="Read each of ours at the EHRs now, while you wait.")
@of_a_period
def completeness(
    *, destination: str, live: bool, period: Period, form: Format, output: Path | None
) -> int:
    """Say where everything is that came in: each record version, its resources, each EHR's id.

    Counts add up, or what does not is named. No patient data. --live sends nothing and owes
    nothing.

    Exit status 0: all adds up; 3: something does not.
    """
    with opened() as bridge:
        made = bridge.completeness(period, destination=destination, live=live, actor=ACTOR)
        put(made, form, output, made_at=bridge.clock.now())
    printing.words(f"Difference: {made.difference}")
    return WAITS if made.difference else 0


@audit.group()
def key() -> None:
    """Show the key that signs the evidence, change it, or say that somebody else has it."""


@key.command()
def show() -> None:
    """Print the public keys, as `verify --key` and other tools read them. Give them to auditors."""
    with opened() as bridge:
        bridge.checkpoint()
        keys = bridge.evidence_keys()
    for one in keys:
        click.echo(f"# signed from {one.since}{f' until {one.until}' * bool(one.until)}")
        click.echo(one.line())


@key.command()
@click.option("--lost", is_flag=True, help="The old key is gone and can sign no more.")
def rotate(*, lost: bool) -> None:
    """Let a new key sign from now on; the old one signs the new one's first checkpoint too.

    Killed, it is begun again and ends what was begun.
    """
    chosen = settings.read()
    path = chosen.evidence_key_file
    following = path.with_name(f"{path.name}.next")
    if not following.exists():
        opening.make_key(following)
    new = opening.read_key(following)
    with opened() as bridge:
        if not bridge.signs_with(new):
            bridge.rotate_evidence_key(new, lost=lost, actor=ACTOR)
        following.replace(path)
        made = next(one for one in bridge.evidence_keys() if not one.until)
    printing.words("From now on this key signs; give it to whoever verifies. Back up the new file.")
    click.echo(made.line())


@key.command()
@click.argument("key_id")
@click.option(
    "--since",
    required=True,
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]),
    help="From when on somebody else may have it, in UTC.",
)
def compromised(key_id: str, since: datetime) -> None:
    """Note that somebody else may have the key KEY_ID; rotate it, too."""
    with opened() as bridge:
        bridge.compromise_evidence_key(key_id, since.replace(tzinfo=UTC), actor=ACTOR)
    printing.words("Noted. Give the lines of `fhirbridge audit key show` to whoever verifies.")


@click.command()
@click.argument("package", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.File("r"),
    help="The public keys that you trust, a line each; not from the package itself.",
)
@click.option(
    "--checkpoint",
    "older",
    type=click.File("r"),
    multiple=True,
    help="A checkpoint that was kept elsewhere; may be repeated.",
)
@as_json
def verify(
    package: Path, key_file: TextIO, older: tuple[TextIO, ...], *, json_wanted: bool
) -> None:
    """Check a PACKAGE of evidence: offline, without a database, with the public key alone.

    Names the first file or row that is not as it was signed, and exits with 1.
    """
    keys = verifying.trusted(key_file.read())
    proven = verifying.verify(package, keys, [one.read() for one in older])
    if json_wanted:
        printing.data(asdict(proven))
        return
    printing.words(f"Sound: {proven.files} files, {proven.rows} evidence rows.")
    printing.words(
        f"Log {proven.origin}, {proven.size} rows, signed at {proven.at} by key {proven.signed_by}."
    )
    if proven.later:
        printing.words(f"{proven.later} rows came after that checkpoint and are not proven by it.")
    if proven.erased:
        printing.words(f"Of {proven.erased} rows the payload was erased for good.")
    for size in proven.grown_from:
        printing.words(f"The log still begins with the {size} rows of the checkpoint you kept.")
    if not older:
        printing.words("No checkpoint from elsewhere was given: that older rows are still there")
        printing.words("as they were cannot be told. Name one with --checkpoint.")
