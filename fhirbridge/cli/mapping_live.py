"""`fhirbridge map reload` and `map live`: which mappings translate."""

from dataclasses import asdict
from pathlib import Path

import click

from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json


@click.command()
@click.argument(
    "folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
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
        printing.words("What could not be translated before is tried again: fhirbridge sync")


@click.command()
@as_json
def live(*, json_wanted: bool) -> None:
    """Say which mappings are live, and whether a draft was refused since."""
    with opened() as bridge:
        found = bridge.mappings()
    if json_wanted:
        printing.data(asdict(found))
        return
    printing.words(f"Live since {found.since}. Set digest:")
    click.echo(found.digest)
    if found.refused:
        printing.words(f"A draft was refused at {found.refused_at} ({found.refused}):")
        for line in found.mistakes:
            printing.words(f"  {line}")
