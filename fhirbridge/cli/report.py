"""`fhirbridge report`: what a clinic owes, as a page, a spreadsheet or JSON."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from fhirbridge.cli import printing
from fhirbridge.cli.incident import chart_of, patient_file_option
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.reports import private_file
from fhirbridge.reports.catalog import CATALOG, Asked
from fhirbridge.reports.table import Period, Report
from fhirbridge.reports.written import Format, written

R = TypeVar("R")
DAY = click.DateTime(formats=["%Y-%m-%d"])
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
OPTIONS = (
    click.option("--since", type=DAY, required=True, help="From this day on."),
    click.option("--until", type=DAY, required=True, help="To this day, it included."),
    click.option(
        "--format",
        "form",
        type=click.Choice([one.value for one in Format]),
        default=Format.CSV.value,
        show_default=True,
        help="csv for spreadsheets, html to read and print, json for programs.",
    ),
    click.option(
        "--output", type=NEW_FILE, help="Into this new file, which only you may read; else here."
    ),
)


def of_a_period(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options of every report, and hand it `period`, `form` and `output`."""

    @wraps(command)
    def with_period(*words: Any, since: datetime, until: datetime, form: str, **given: Any) -> R:
        period = Period(since=since.date(), until=until.date())
        return command(*words, period=period, form=Format(form), **given)

    for option in reversed(OPTIONS):
        with_period = option(with_period)
    return with_period


def put(report: Report, form: Format, output: Path | None, *, made_at: datetime) -> None:
    """Write a report where it was asked for."""
    raw = written(report, form, made_at=made_at)
    if output is None:
        click.echo(raw, nl=False)
        return
    private_file.write(output, [raw])
    printing.words(f"{report.count} rows are in {output.name}.")


@click.command(
    epilog="\b\n" + "\n".join(f"{name}: {entry.about}" for name, entry in CATALOG.items())
)
@click.argument("name", type=click.Choice(list(CATALOG)))
@click.option("--clinic", default="", help="Only this clinic (its own id in the records).")
@click.option("--patient", default="", help="Of this patient: the id that status shows.")
@patient_file_option
@of_a_period
def report(
    name: str,
    *,
    clinic: str,
    patient: str,
    patient_file: TextIO | None,
    period: Period,
    form: Format,
    output: Path | None,
) -> None:
    """Make the report NAME of a period. Every report is noted in the evidence."""
    entry = CATALOG[name]
    if clinic and not entry.by_clinic:
        raise click.UsageError(f"{name} is of all clinics: leave --clinic out")
    if entry.of_one == (not patient and patient_file is None):
        one = "name one --patient or --patient-file" if entry.of_one else "it is of all patients"
        raise click.UsageError(f"{name}: {one}")
    if patient and patient_file:
        raise click.UsageError("name the patient once: --patient or --patient-file")
    with opened() as bridge:
        whose = chart_of(bridge, patient, patient_file).patient if entry.of_one else ""
        asked = Asked(period=period, clinic=clinic, patient=whose)
        made = bridge.report(name, asked, actor=ACTOR)
        put(made, form, output, made_at=bridge.clock.now())
