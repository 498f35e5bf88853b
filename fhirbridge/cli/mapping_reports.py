"""`fhirbridge map coverage`, `doc`, `export`, `schema`: what stands in the mapping files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.paths import FOLDER, NEW_FOLDER
from fhirbridge.errors import BridgeError
from fhirbridge.records import schema as record_schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.values import Site
from fhirbridge.workbench import (
    concept_map_resources,
    coverage,
    editor_schemas,
    sign_off,
    sign_off_csv,
    sign_off_page,
)

_TRIAL_KEY = b"coverage only; nothing made with it leaves"
_folder = click.argument("folder", required=False, type=FOLDER)


@click.command("coverage")
@_folder
@click.option(
    "--corpus",
    type=FOLDER,
    help="A folder of session records: say also what of them nothing read.",
)
@printing.as_json
def coverage_command(folder: Path | None, corpus: Path | None, *, json_wanted: bool) -> None:
    """Say which fields of the record no mapping in FOLDER reads and ignored.yaml does not name.

    Exit 1 where there is any, or where an entry of ignored.yaml is out of date.
    """
    files = mapping_set.read(_chosen(folder))
    sets = mapping_set.compile_all(files, source_schema())
    entries = coverage.ignored(files)
    gaps = coverage.gaps(sets.values(), entries)
    tally = None
    if corpus is not None:
        expected = coverage.expected(sets[""], entries)
        tally = _tally(coverage.Tally(compiled=sets[""], expected=expected), corpus)
    if json_wanted:
        printing.data(_as_json(gaps, tally))
    else:
        _print(gaps, tally)
    if gaps.found:
        raise click.exceptions.Exit(1)


def _chosen(folder: Path | None) -> Path:
    return folder or settings.read().mappings


def _tally(tally: coverage.Tally, corpus: Path) -> coverage.Tally:
    site = Site(host="coverage.invalid", tenant="coverage", key=_TRIAL_KEY)
    paths = sorted(corpus.rglob("*.json"))
    if not paths:
        raise click.UsageError(f"there is no *.json in {corpus}")
    for path in paths:
        try:
            tally.add(record_schema.load(path.read_bytes()).document, site)
        except BridgeError as error:
            why = f"not a record that would be taken in ({error.code})"
            printing.words(f"{path.relative_to(corpus)}: {why}")
    return tally


def _as_json(gaps: coverage.Gaps, tally: coverage.Tally | None) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "unread": list(gaps.unread),
        "stale": [{"place": str(f.place), "message": f.message} for f in gaps.stale],
    }
    if tally is not None:
        found["corpus"] = {
            "records": tally.records,
            "refused": tally.refused,
            "unread": dict(tally.unread.most_common()),
            "idle_mappings": list(tally.idle_mappings()),
            "empty_elements": [{"element": e, "line": at} for e, at in tally.empty_elements()],
            "idle_rows": [{"map": name, "key": key} for name, key in tally.idle_rows()],
        }
    return found


def _print(gaps: coverage.Gaps, tally: coverage.Tally | None) -> None:
    if gaps.unread:
        printing.table("No mapping reads", ["field"], [[path] for path in gaps.unread])
    for fault in gaps.stale:
        printing.words(str(fault))
    if not gaps.found:
        printing.words("Every field of the record is read, or ignored with a reason.")
    if tally is not None:
        _print_tally(tally)


def _print_tally(tally: coverage.Tally) -> None:
    printing.words(f"{tally.records} records, {tally.refused} of them with problems.")
    unread = [[path, count] for path, count in tally.unread.most_common()]
    printing.table("With data that nothing read", ["field", "records"], unread)
    printing.table("Made nothing", ["mapping"], [[name] for name in tally.idle_mappings()])
    printing.table("Never filled", ["element", "line"], tally.empty_elements())
    printing.table("Rows never used", ["ConceptMap", "word"], tally.idle_rows())


@click.command()
@_folder
@click.option(
    "--format", "form", type=click.Choice(["html", "csv"]),
    help="Else what the ending of the output says, else html.",
)  # fmt: skip
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file to write.")
def doc(folder: Path | None, form: str | None, output: Path | None) -> None:
    """Write the table that a clinician signs: every element, its source, rule and code."""
    document = sign_off.document(mapping_set.read(_chosen(folder)), source_schema())
    as_csv = (form or (output.suffix if output else "")).endswith("csv")
    text = sign_off_csv.text(document) if as_csv else sign_off_page.page(document)
    if output is None:
        click.echo(text, nl=False)
        return
    _write(output.parent, {output.name: text.encode("utf-8")})
    printing.words(f"{document.unsigned} files of the set are not signed off.")


@click.command()
@_folder
@click.option("--output", required=True, type=NEW_FOLDER, help="A folder to write.")
def export(folder: Path | None, output: Path) -> None:
    """Write each ConceptMap as a FHIR resource, with the CodeSystem of the words it maps from."""
    document = sign_off.document(mapping_set.read(_chosen(folder)), source_schema())
    made = concept_map_resources.resources(document, settings.read().site)
    _write(output, {name: concept_map_resources.encoded(one) for name, one in made.items()})


@click.command("schema")
@_folder
@click.option("--output", type=NEW_FOLDER, help="A folder to write; else FOLDER/schema.")
def schema_command(folder: Path | None, output: Path | None) -> None:
    """Write JSON Schemas with which editors complete mapping files."""
    chosen = _chosen(folder)
    sets = mapping_set.compile_all(mapping_set.read(chosen), source_schema())
    targets = {mapping.target for one in sets.values() for mapping in one.mappings}
    _write(output or chosen / "schema", editor_schemas.schemas(targets))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
    except OSError as error:
        raise click.FileError(str(folder), hint=error.strerror) from None
    names = list(files)
    one = f"{folder / names[0]} is written" if len(names) == 1 else ""
    printing.words(one or f"{len(names)} files are written in {folder}")
