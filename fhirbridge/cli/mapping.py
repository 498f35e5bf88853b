"""`fhirbridge map`: the mapping files."""

from pathlib import Path

import click

from fhirbridge import settings
from fhirbridge.cli import (
    mapping_cases,
    mapping_comparison,
    mapping_explanation,
    mapping_live,
    mapping_reports,
    printing,
)
from fhirbridge.cli.paths import FOLDER
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set


@click.group("map")
def map_group() -> None:
    """Look after the mapping files."""


@map_group.command()
@click.argument("folder", required=False, type=FOLDER)
def check(folder: Path | None) -> None:
    """Check every file in FOLDER and print all mistakes, each with its line.

    FOLDER is by default the one that FHIRBRIDGE_MAPPINGS names.
    """
    loaded = mapping_set.load(folder or settings.read().mappings, source_schema())
    printing.words(f"{len(loaded.mappings)} mappings, no mistakes. Set digest:")
    click.echo(loaded.digest)


for _command in (
    mapping_cases.test,
    mapping_comparison.diff,
    mapping_explanation.explain,
    mapping_live.live,
    mapping_live.reload,
    mapping_reports.coverage_command,
    mapping_reports.doc,
    mapping_reports.export,
    mapping_reports.schema_command,
):
    map_group.add_command(_command)
