"""`fhirbridge record check`, `import`, `sample` and `schema`: records before they are sent."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.paths import FILE, NEW_FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records import columns, flat, forms, generator
from fhirbridge.records.flat import FlatRecord
from fhirbridge.records.json_schema import FORMS, json_schema

FOUND = ("file", "level", "code", "place", "what")


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@as_json
def check(files: tuple[Path, ...], *, json_wanted: bool) -> None:
    """Check the session and stock records in FILES; store and send nothing.

    Prints errors (the record would be refused), held elements and warnings. The exit status is 1
    where a record would be refused.
    """
    results = [_judged(path.name, path.read_bytes()) for path in files]
    _report(results, json_wanted=json_wanted)


@click.command(name="import")
@click.option("--columns", "map_file", required=True, type=FILE, help="The column map (YAML).")
@click.option(
    "--with", "exports", multiple=True, metavar="NAME=FILE",
    help="A device export that the map names under exports; may be repeated.",
)  # fmt: skip
@click.option("--check", "only_check", is_flag=True, help="Check only; store nothing.")
@click.option(
    "--to", "folder", type=NEW_FOLDER,
    help="Write the records as JSON files into this folder instead of taking them in.",
)  # fmt: skip
@click.argument("files", nargs=-1, required=True, type=FILE)
@as_json
def import_(
    map_file: Path,
    exports: tuple[str, ...],
    folder: Path | None,
    files: tuple[Path, ...],
    *,
    only_check: bool,
    json_wanted: bool,
) -> None:
    """Make session records from the flat exports in FILES and take them in.

    The column map says which column fills which field; the samples have one. Rows of one visit may
    stand in several files. Columns that the map does not read are named. Each
    finding names the row and column that it comes from. A record that is refused is not taken in;
    the others are. The exit status is 1 where one is refused.
    """
    found = columns.load(map_file.read_bytes())
    joined = [_export(found, text) for text in exports]
    visits = [(path.name, path.read_bytes()) for path in files]
    records = flat.assemble(found, visits, joined)
    for sheet, name, raw in (
        *((found.sessions, *visit) for visit in visits),
        *((found.exports[kind], name, raw) for kind, name, raw in joined),
    ):
        _say_unread(sheet, name, raw)
    results = [_checked(record) for record in records]
    good = [
        record for record, result in zip(records, results, strict=True) if not result["refused"]
    ]
    if folder is not None and not only_check:
        _write(folder, good)
    elif not only_check:
        results = _take(good, results)
    _report(results, json_wanted=json_wanted)


@click.command()
@click.option("--kind", default="infusion", type=click.Choice(list(generator.KINDS)))
@click.option("--seed", default="1", help="The same seed gives the same record.")
def sample(kind: str, seed: str) -> None:
    """Print a synthetic session record; nobody in it exists."""
    printing.data(generator.generate(kind, generator.SeededChance(f"{kind} {seed}")))


@click.command()
@click.option("--form", "name", default="fhirbridge/session/v1", type=click.Choice(list(FORMS)))
def schema(name: str) -> None:
    """Print the JSON Schema (2020-12) of a record form."""
    printing.data(json_schema(name))


def _judged(name: str, raw: bytes) -> dict[str, Any]:
    verdict = forms.judge(raw)
    findings = [asdict(finding) for finding in verdict.findings]
    return {"file": name, "form": verdict.form, "refused": verdict.refused, "findings": findings}


def _say_unread(sheet: columns.Sheet, name: str, raw: bytes) -> None:
    left = flat.unread(sheet, raw)
    if left:
        printing.words(f"{name}: the column map does not read {', '.join(left)}")


def _export(found: columns.ColumnMap, text: str) -> tuple[str, str, bytes]:
    name, _, path = text.partition("=")
    if name not in found.exports or not Path(path).is_file():
        known = ", ".join(found.exports) or "none"
        raise click.UsageError(
            f"--with {text}: give NAME=FILE with a name the map has under exports: {known}"
        )
    return name, Path(path).name, Path(path).read_bytes()


def _checked(record: FlatRecord) -> dict[str, Any]:
    """Check one record and trace what is found back to rows and columns."""
    own = [asdict(finding) for finding in record.findings]
    if not record.session_id:
        return {"file": "rows of no visit", "form": "", "refused": True, "findings": own}
    result = _judged(record.session_id, codec.encode(record.document))
    for finding in result["findings"]:
        place = record.place(finding["pointer"])
        finding["place"] = place
        finding["message"] = f"{place}: {finding['message']}" if place else finding["message"]
    result["findings"] = [*own, *result["findings"]]
    result["refused"] = result["refused"] or bool(own)
    return result


def _write(folder: Path, records: Sequence[FlatRecord]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, record in enumerate(records, start=1):
        # The id of a session may hold anything; the number alone names the file.
        (folder / f"record-{number:05}.json").write_bytes(codec.encode(record.document))
    printing.words(f"{len(records)} records written to {folder}")


def _take(records: Sequence[FlatRecord], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_session = {result["file"]: result for result in results}
    with opened() as bridge:
        for record in records:
            try:
                raw = codec.encode(record.document)
                receipt = bridge.accept(raw, actor=ACTOR, backfill=True)
            except BridgeError as error:
                by_session[record.session_id] |= {"refused": True, "error": error.message}
            else:
                by_session[record.session_id] |= {"id": receipt.id, "state": receipt.state}
    return results


def _report(results: list[dict[str, Any]], *, json_wanted: bool) -> None:
    refused = sum(result["refused"] for result in results)
    if json_wanted:
        printing.data(results)
    else:
        rows = [
            [result["file"], *row]
            for result in results
            for row in printing.finding_rows(result["findings"])
        ]
        rows += [[r["file"], "error", "", "/", r["error"]] for r in results if "error" in r]
        if rows:
            printing.table("Found", FOUND, rows)
        nothing = "" if rows else ", nothing found"
        printing.words(f"{len(results)} checked, {refused} refused{nothing}")
    if refused:
        raise click.ClickException(f"{refused} of {len(results)} refused")
