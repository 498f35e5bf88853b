"""`fhirbridge map reload` and `map live`: which mappings translate."""

from dataclasses import asdict
from pathlib import Path

import click

from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.paths import FOLDER, NEW_FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.translate.mapping_set import Files


@click.command()
@click.argument("folder", required=False, type=FOLDER)
@as_json
def reload(folder: Path | None, *, json_wanted: bool) -> None:
    """Make the mappings in FOLDER live: they translate every record from now on.

    FOLDER is by default the one that FHIRBRIDGE_MAPPINGS names. It is compiled aside with all its
    overlays and its cases are run first; where anything is wrong, what was live stays live.
    """
    with opened() as bridge:
        done = bridge.reload_mappings(folder or settings.read().mappings, actor=ACTOR)
    if json_wanted:
        printing.data(asdict(done))
        return
    said = "Live from now on" if done.changed else "Live already, nothing changed"
    printing.words(f"{said} ({done.cases} cases hold). Set digest:")
    click.echo(done.digest)
    if done.changed:
        printing.words("What could not be translated before is tried again: fhirbridge sync run")


@click.command()
@click.option("--digest", help="With --write: another set that was live once.")
@click.option(
    "--write",
    "target",
    type=NEW_FOLDER,
    help="Write the files of the live set into this new folder.",
)
@as_json
def live(*, digest: str | None, target: Path | None, json_wanted: bool) -> None:
    """Say which mappings are live, and whether a draft was refused since."""
    if digest and target is None:
        raise click.UsageError("--digest needs --write FOLDER")
    with opened() as bridge:
        found = bridge.mappings()
        files = bridge.mapping_files(digest or found.digest) if target else None
    if target is not None:
        _write(files, target)
        return
    if json_wanted:
        printing.data(asdict(found))
        return
    printing.words(f"Live since {found.since}. Set digest:")
    click.echo(found.digest)
    if found.refused:
        printing.words(f"A draft was refused at {found.refused_at} ({found.refused}):")
        for line in found.mistakes:
            printing.words(f"  {line}")


def _write(files: Files | None, target: Path) -> None:
    """Write a set as it was; a folder that is there already is left alone."""
    if files is None:
        raise click.ClickException("no set with this digest was ever live")
    if target.exists():
        raise click.ClickException(f"{target.name} is there already; name a new folder")
    for name, raw in files.by_name.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    printing.words(f"{len(files.by_name)} files written. Set digest:")
    click.echo(files.digest)
