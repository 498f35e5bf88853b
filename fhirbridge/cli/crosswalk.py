"""`fhirbridge destination crosswalk`: tables from the clinic's words to what an EHR has itself."""

from dataclasses import asdict
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.matching.theirs.crosswalk import OF_PATIENTS, Kind

TO_DO = 2
KIND = click.Choice([one.value for one in Kind])


@click.group()
def crosswalk() -> None:
    r"""Load, show and remove the tables of NAME.

    \b
    practitioner  NPI, or the clinic's id of the person   Practitioner/ID
    department    CLINIC, or CLINIC/ROOM                  Organization/ID, Location/ID
    visit         the EHR's visit number                  Encounter/ID
    order         the EHR's order number                  MedicationRequest/ID
    assigner      a system of patient numbers             the system as the EHR names it
    """


@crosswalk.command()
@click.argument("name")
@click.argument("kind", type=KIND)
@click.argument("file", type=click.File("rb"))
@click.option("--replace", "whole", is_flag=True, help="FILE is the whole table: the rest goes.")
@click.option("--plan", is_flag=True, help="Only say what would change; exit status 2: something.")
@as_json
def load(name: str, kind: str, file: Any, *, whole: bool, plan: bool, json_wanted: bool) -> int:
    """Load the table KIND of NAME from FILE: CSV in UTF-8 with the header ours,theirs.

    Rows are added, and take the place of rows that say something else of the same. Everything that
    is wrong is told at once, by line, and then nothing is loaded. `-` is standard input.
    """
    with opened() as bridge:
        change = bridge.theirs.load(
            name, Kind(kind), file.read(), whole=whole, plan=plan, actor=ACTOR
        )
    if json_wanted:
        printing.data({"name": name, "kind": kind, "planned": plan, **asdict(change)})
    else:
        rows = [[one, count] for one, count in asdict(change).items()]
        printing.table(f"{kind} of {name}" + (", planned" if plan else ""), ["rows", ""], rows)
    if not plan and not change.is_none:
        printing.remark(f"Next: fhirbridge theirs ask {name}")
    return TO_DO if plan and not change.is_none else 0


@crosswalk.command()
@click.argument("name")
@click.argument("kind", type=KIND, required=False)
@click.option(
    "--show-values", is_flag=True, help="Show visit and order numbers: patient data, it is noted."
)
@as_json
def show(name: str, kind: str | None, *, show_values: bool, json_wanted: bool) -> None:
    """Show which tables NAME has, or the rows of KIND."""
    with opened() as bridge:
        if kind is None:
            found = bridge.theirs.tables(name)
        else:
            found = bridge.theirs.table(name, Kind(kind), values=show_values, actor=ACTOR)
    if json_wanted:
        printing.data(found)
    elif kind is None:
        rows = [[one["kind"], one["rows"], one["at"]] for one in found]
        printing.table(f"Tables of {name}", ["table", "rows", "last changed"], rows)
    else:
        sealed = Kind(kind) in OF_PATIENTS and not show_values
        rows = [["(--show-values)" if sealed else o["ours"], o["theirs"], o["at"]] for o in found]
        printing.table(f"{kind} of {name}", ["ours", "theirs", "since"], rows)


@crosswalk.command()
@click.argument("name")
@click.argument("kind", type=KIND)
@as_json
def remove(name: str, kind: str, *, json_wanted: bool) -> None:
    """Remove the whole table KIND of NAME. For single rows: load --replace without them."""
    with opened() as bridge:
        count = bridge.theirs.remove_table(name, Kind(kind), actor=ACTOR)
    if json_wanted:
        printing.data({"name": name, "kind": kind, "removed": count})
    else:
        printing.words(f"{count} rows removed")
