"""`fhirbridge map explain`: which field and which line an element comes from."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import opened
from fhirbridge.cli.paths import FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.faults import suggest
from fhirbridge.translate.values import Translation
from fhirbridge.workbench import explanation
from fhirbridge.workbench.explanation import Explained
from fhirbridge.workbench.rehearsal import rehearse


@click.command()
@click.argument("folder", required=False, type=FOLDER)
@click.option("--record", "file", type=click.File("rb"), help="- for standard input.")
@click.option("--back", metavar="TYPE/ID", help="Instead: a resource that an EHR holds of ours.")
@click.option("--resource", default="", metavar="TYPE[/ID]", help="Only this type, or this one.")
@click.option("--overlay", default="", help="As destinations with this overlay get it.")
@as_json
def explain(
    folder: Path | None,
    *,
    file: BinaryIO | None,
    back: str | None,
    resource: str,
    overlay: str,
    json_wanted: bool,
) -> None:
    """Print for each element that a record becomes its mapping line and the fields it comes from.

    By the live mappings, with the ids that the EHR gets; or by the draft in FOLDER, with ids of a
    site that does not exist. With --back: by the mappings that made what stands in the EHR, however
    long ago. Paths only: no value of the record is printed.
    """
    if (file is None) == (back is None):
        raise click.UsageError("give --record FILE, or --back TYPE/ID")
    if file is None:
        _explain_back(str(back), json_wanted=json_wanted)
        return
    made = _translated(folder, file.read(), overlay)
    found = explanation.explain(made, resource=resource)
    unmapped = () if resource else made.unmapped
    if json_wanted:
        for event in explanation.events(found, unmapped):
            printing.data(event)
    else:
        for line in explanation.lines(found, unmapped):
            click.echo(line)
    _refuse(made, found, resource)


def _refuse(made: Translation, found: Sequence[Explained], resource: str) -> None:
    """End with an error where nothing would be sent, or nothing was found."""
    for problem in made.problems:
        printing.words(f"{problem.code} {problem.line} {problem.source}: {problem.message}")
    if made.problems:
        raise click.ClickException("the record cannot be translated: nothing of it would be sent")
    if resource and not found:
        near = suggest(resource, {one.type for one in made.resources})
        raise click.ClickException(f"the record makes no {resource}{near}")


def _explain_back(reference: str, *, json_wanted: bool) -> None:
    """Print from what the version that each destination holds was made."""
    with opened() as bridge:
        held = bridge.explain(reference)
    if json_wanted:
        printing.data(held)
    for one in () if json_wanted else held:
        printing.words(
            f"{one['destination']} has version {one['version']} ({one['purpose']}), "
            f"of record {one['record']}, by mapping set {one['mapping_set']}"
        )
        whys = explanation.whys_of(one["why"])
        named = Explained(resource=reference, mapping=one["mapping"], made=whys)
        for line in explanation.lines([named]):
            click.echo(line)
    if not held:
        raise click.ClickException(f"no destination holds {reference} of ours")


def _translated(folder: Path | None, raw: bytes, overlay: str) -> Translation:
    """Translate with the live mappings, or with a draft."""
    if folder is None:
        with opened() as bridge:
            return bridge.preview(raw, overlay=overlay)[1]
    checked = schema.load(raw)
    draft = mapping_set.compile_set(mapping_set.read(folder), source_schema(), overlay)
    return rehearse(checked.document, draft)
