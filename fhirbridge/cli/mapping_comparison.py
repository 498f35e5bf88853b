"""`fhirbridge map diff`: what other mappings would change in the charts."""

from dataclasses import asdict
from pathlib import Path

import click

from fhirbridge.cli import printing
from fhirbridge.cli.paths import FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import comparison
from fhirbridge.workbench.comparison import Comparison
from fhirbridge.workbench.versions import VersionStep, taken


@click.command()
@click.argument("old", type=FOLDER)
@click.argument("new", type=FOLDER)
@click.option("--corpus", required=True, type=FOLDER, help="A folder of session records (*.json).")
@click.option("--strict", is_flag=True, help="Exit with 1 where a version grew too little.")
@as_json
def diff(old: Path, new: Path, *, corpus: Path, strict: bool, json_wanted: bool) -> None:
    """Print which elements of how many resources change between the mappings in OLD and in NEW.

    Each record of the corpus is translated by both, without an overlay and with each; with an
    overlay only what is not the same as without is shown. No value is printed. It also says whether
    the version of each changed mapping or overlay grew enough: major where a resource gets another
    id or vanishes, minor where elements change.
    """
    records = [(path.name, path.read_bytes()) for path in sorted(corpus.glob("*.json"))]
    if not records:
        raise click.UsageError(f"there is no *.json in {corpus}")
    sides = [comparison.side(mapping_set.read(folder), source_schema()) for folder in (old, new)]
    found = comparison.compare(sides[0], sides[1], records)
    if json_wanted:
        printing.data({**asdict(found), "steps": [_step(step) for step in found.steps]})
    else:
        _show(found)
    if strict and found.too_small:
        names = ", ".join(step.mapping for step in found.too_small)
        raise click.ClickException(f"the version grew too little: {names}")


def _step(step: VersionStep) -> dict[str, object]:
    return {
        "mapping": step.mapping,
        "old": step.old,
        "new": step.new,
        "needed": step.needed.name.lower(),
        "because": step.because,
        "enough": step.is_enough,
    }


def _show(found: Comparison) -> None:
    if found.changes:
        rows = [
            [one.mapping, one.element, one.what, one.resources, one.overlay]
            for one in found.changes
        ]
        heads = ("mapping", "element", "change", "resources", "with overlay")
        printing.table("What changes", heads, rows)
    if found.steps:
        rows = [
            [
                step.mapping,
                f"{step.old} to {step.new}",
                taken(step.old, step.new).name.lower(),
                step.needed.name.lower(),
                "" if step.is_enough else "too small",
                step.because,
            ]
            for step in found.steps
        ]
        columns = ("mapping", "version", "step", "needed", "", "because")
        printing.table("Versions", columns, rows)
    for name in found.overlays_gone:
        printing.words(f"overlay {name}: NEW has none; its destinations are not compared")
    for line in found.left_out:
        printing.words(line)
    printing.words(
        f"{found.records} records compared, {len(found.left_out)} left out; "
        f"{found.touched} of {found.resources} resources change"
    )
