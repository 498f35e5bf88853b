"""`fhirbridge translate`, `ingest` and `record`: session records from files and as stored."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from fhirbridge import settings
from fhirbridge.bridge import Bridge
from fhirbridge.cli import drop, printing, record_changes, record_files
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.paths import FILE
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.statuses import WAITS
from fhirbridge.errors import BridgeError
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.records import forms
from fhirbridge.records.columns import load as load_columns
from fhirbridge.records.parts.stock import STOCK_NAME


@click.command()
@click.argument("file", type=click.File("rb"))
def translate(file: BinaryIO) -> None:
    """Print the FHIR resources that the record in FILE becomes, one to a line. Stores nothing.

    FILE may be - for standard input. The output holds patient data.
    """
    with opened() as bridge:
        checked, made = bridge.preview(file.read())
    for row in printing.finding_rows([asdict(finding) for finding in checked.findings]):
        printing.words("  ".join(row))
    for problem in made.problems:
        printing.words(f"{problem.code} {problem.line} {problem.source}: {problem.message}")
    for resource in made.resources:
        printing.data(resource.body)
    if made.problems:
        raise click.ClickException(
            "the record cannot be translated; it would be held until the mappings are mended"
        )


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--watch", is_flag=True, help="Of a folder: go on looking until it is stopped.")
@click.option(
    "--settle", default=2.0, show_default=True, type=click.FloatRange(0.1, 3600),
    help="Of a folder: seconds for which a file must not change before it is taken.",
)  # fmt: skip
@click.option("--columns", type=FILE, help="Of a folder: the column map (YAML) of its CSV files.")
@as_json
def ingest(
    files: tuple[Path, ...],
    *,
    watch: bool,
    settle: float,
    columns: Path | None,
    json_wanted: bool,
) -> None:
    """Take in the session and stock records in FILES, one to a file, in the order given.

    The same file again changes nothing. A refused record is named with all that is wrong in it and
    kept in quarantine; the others go on.

    Of a folder, the *.json files (and *.ndjson, *.jsonl with a record on each line, *.csv with
    --columns) are taken that a system drops there: what became of NAME stands in NAME.result.json,
    and it is moved to done/ or, where something of it was refused, to failed/.
    """
    folders = [path for path in files if path.is_dir()]
    if folders:
        if len(files) > 1 or json_wanted:
            raise click.UsageError("give one folder alone; its results stand beside its files")
        _take_folder(folders[0], columns, watch=watch, settle=settle)
        return
    if watch or columns:
        raise click.UsageError("--watch and --columns are for a folder; see record import")
    with opened() as bridge:
        results = [_take(bridge, path) for path in files]
    if json_wanted:
        printing.data(results)
    else:
        _show(results)
    refused = sum(result["state"] == "refused" for result in results)
    if refused:
        raise click.ClickException(f"{refused} of {len(results)} refused")


def _take_folder(folder: Path, map_file: Path | None, *, watch: bool, settle: float) -> None:
    columns = load_columns(map_file.read_bytes()) if map_file else None
    with opened() as bridge:
        taker = drop.Taker(bridge, columns, most=settings.read().most_bytes)
        if watch:
            taker.forever(folder, settle=settle)
        count, failed = taker.once(folder, settle=settle)
    printing.words(f"{count} files, {failed} failed")
    if failed:
        raise click.ClickException(f"{failed} of {count} have something that was refused")


@click.group()
def record() -> None:
    """Check, import, invent and show session records."""


for _command in (
    record_files.check, record_files.import_, record_files.sample, record_files.schema,
):  # fmt: skip
    record.add_command(_command)


@record.command()
@click.argument("record_id")
def show(record_id: str) -> None:
    """Print a stored record version with its findings, deliveries and resources, as JSON.

    RECORD_ID is the id that ingest or the API gave. The output holds patient data.
    """
    with opened() as bridge:
        found = bridge.record(record_id, actor=ACTOR)
    if found is None:
        raise click.ClickException("there is no record with this id")
    printing.data(found)


@record.command()
@click.argument("record_id")
@click.option("--from", "before", type=click.IntRange(0), help="Version; else the one before.")
@click.option("--to", "after", type=click.IntRange(0), help="Version; else that of RECORD_ID.")
@as_json
def diff(record_id: str, *, before: int | None, after: int | None, json_wanted: bool) -> None:
    """Print what changed between two versions of a session, element by element.

    RECORD_ID is the id of any of its versions. Who sent each, when, and the mapping set that
    translated it stand above. The output holds patient data; that it was read is noted.
    """
    with opened() as bridge:
        found = bridge.record_changes(record_id, before=before, after=after, actor=ACTOR)
    if json_wanted:
        printing.data(found)
    else:
        record_changes.show(found)


@record.command()
@click.argument("record_id")
@as_json
def status(record_id: str, *, json_wanted: bool) -> int:
    """Say how far a record version got, by destination. No patient data.

    Exit status 0: it is everywhere; 3: something waits.
    """
    with opened() as bridge:
        found = bridge.record_reached(record_id)
    if json_wanted:
        printing.data(found)
    else:
        rows = [
            [
                one["destination"] + (" (removed)" if one["removed_at"] else ""),
                ", ".join(f"{count} {state}" for state, count in one["deliveries"].items()),
                f"{one['there']} there, {one['as_made']} as made",
                "\n".join(one["waits_for"]),
            ]
            for one in found
        ]
        heads = ["destination", "deliveries", "resources", "waits for"]
        printing.table(f"Record {record_id}", heads, rows)
    if not found:
        raise click.ClickException("no destination was ever owed a record of this id")
    through = {"delivered", "superseded"}
    return WAITS if any(set(one["deliveries"]) - through for one in found) else 0


@record.command()
@click.argument("record_id")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The day on which it went.")
@click.option("--undo", is_flag=True, help="It was not submitted: say so.")
def submitted(record_id: str, *, on: datetime | None, undo: bool) -> None:
    """Note that the REMS monitoring form of this session was submitted; `report rems` shows it.

    RECORD_ID is the id that the report names. It stands for every version of its session.
    """
    if (on is None) is not undo:
        raise click.UsageError("give --on DAY, or --undo")
    with opened() as bridge:
        bridge.note_submitted(record_id, None if on is None else on.date(), actor=ACTOR)


def _take(bridge: Bridge, path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        if forms.form_of(raw) == STOCK_NAME:
            return _stocked(path.name, bridge.accept_stock(raw, actor=ACTOR))
        receipt = bridge.accept(raw, actor=ACTOR)
    except BridgeError as error:
        findings = [asdict(finding) for finding in getattr(error, "findings", ())]
        return {
            "file": path.name,
            "state": "refused",
            "code": error.code,
            "error": error.message,
            "findings": findings,
        }
    planned = {one.destination: len(one.changes) for one in receipt.owed}
    return {
        "file": path.name,
        "id": receipt.id,
        "state": receipt.state if receipt.translation == "done" else "held: translation",
        "planned": planned,
        "findings": [asdict(finding) for finding in receipt.findings],
    }


def _stocked(name: str, receipt: StockReceipt) -> dict[str, Any]:
    findings = [asdict(finding) for finding in receipt.findings]
    return {"file": name, "id": receipt.id, "state": receipt.state, "findings": findings}


def _show(results: list[dict[str, Any]]) -> None:
    rows = []
    for result in results:
        planned = ", ".join(f"{name}: {count}" for name, count in result.get("planned", {}).items())
        rows.append(
            [
                result["file"],
                result.get("id", ""),
                result["state"],
                planned or result.get("error", ""),
            ]
        )
    printing.table("Taken in", ["file", "record", "state", "resources to send"], rows)
    noted = [
        [result["file"], *row]
        for result in results
        for row in printing.finding_rows(result["findings"])
    ]
    if noted:
        printing.table("Found", ["file", "level", "code", "place", "what"], noted)
