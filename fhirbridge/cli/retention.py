"""`fhirbridge retention`: what is kept how long, what goes, what is on legal hold."""

import sys
from dataclasses import asdict
from typing import Any, TextIO

import click

from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.incident import chart_of, patient_file_option
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.statuses import CHANGES
from fhirbridge.retention.holds import Word
from fhirbridge.retention.purge import Plan

MEANINGS = {
    "due": "would go",
    "held": "stay: legal hold",
    "unsettled": "stay: a delivery is not through, or a difference waits for a person",
    "needed": "stay: other charts point to a clinician or place that only these describe",
}


@click.group()
def retention() -> None:
    """Purge what was kept for its time; place and lift legal holds.

    A chart goes as a whole, when nothing of it changed for FHIRBRIDGE_RETENTION_DAYS.
    """


@retention.command()
@as_json
def plan(*, json_wanted: bool) -> int:
    """Say what `apply` would erase now, in counts, and what stays. No patient data.

    Exit status 0: nothing would go; 2: something would.
    """
    days = settings.read().retention_days
    with opened() as bridge:
        found = bridge.retention_plan(days)
    if json_wanted:
        printing.data({"days": days, **asdict(found)})
    else:
        _show(found, days)
    return CHANGES if found.records else 0


@retention.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def apply(*, yes: bool, json_wanted: bool) -> None:
    """Erase for good every chart whose time is over. Nothing is removed from an EHR.

    Records, what was made of them, and the bytes that were sent cannot be read again, by nobody;
    the rows of the evidence and their hashes stay, and `audit check` holds. Whoever is stopped goes
    on by calling it again.
    """
    days = settings.read().retention_days
    with opened() as bridge:
        found = bridge.retention_plan(days)
        if found.records and not yes:
            _ask(found)
        done = bridge.purge(days, actor=ACTOR)
    if json_wanted:
        printing.data({"days": days, **asdict(done)})
        return
    printing.words(f"{done.charts} charts with {done.records} record versions are erased.")
    for name, count in done.left.items():
        printing.words(f"{count} charts {MEANINGS[name]}")


@retention.command()
@click.argument("patient", required=False, default="")
@patient_file_option
@click.option(
    "--record", "records", multiple=True,
    help="The session of this record version (its id); may be repeated.",
)  # fmt: skip
@click.option("--reason", default="", help="Why; kept sealed.")
@click.option("--by", default="", help="Who asked for it; kept sealed.")
@as_json
def hold(
    patient: str,
    patient_file: TextIO | None,
    records: tuple[str, ...],
    reason: str,
    by: str,
    *,
    json_wanted: bool,
) -> None:
    """Keep a PATIENT's chart, whatever its time, until the hold is lifted.

    PATIENT is the id that status shows, or that of the Patient in the EHR. Of a session (--record)
    the whole chart is kept as long as that session is in it.
    """
    if not (patient or patient_file or records):
        raise click.UsageError("name a PATIENT, --patient-file or --record")
    word = Word(reason=reason, by=by)
    with opened() as bridge:
        chart = chart_of(bridge, patient, patient_file, records)
        placed = bridge.hold(chart, word, actor=ACTOR)
    if json_wanted:
        printing.data({"holds": placed})
    else:
        for one in placed:
            printing.words(f"hold {one} is in force")


@retention.command()
@click.argument("hold_id")
@click.option("--reason", default="", help="Why; kept sealed.")
@click.option("--by", default="", help="Who asked for it; kept sealed.")
def lift(hold_id: str, reason: str, by: str) -> None:
    """End one hold; another one on the same chart goes on."""
    with opened() as bridge:
        bridge.lift_hold(hold_id, Word(reason=reason, by=by), actor=ACTOR)
    printing.words(f"hold {hold_id} is lifted")


@retention.command(name="list")
@click.option("--reasons", is_flag=True, help="With why and by whom; that it was read is noted.")
@as_json
def list_(*, reasons: bool, json_wanted: bool) -> None:
    """List every hold, lifted ones too."""
    with opened() as bridge:
        found = bridge.holds(words=reasons, actor=ACTOR)
    if json_wanted:
        printing.data(found)
        return
    heads = ["id", "patient", "session", "at", "lifted_at", *(["reason", "by"] if reasons else [])]
    printing.table("Legal holds", heads, [[one[name] for name in heads] for one in found])


def _show(found: Plan, days: int) -> None:
    rows: list[list[Any]] = [[name, count, MEANINGS[name]] for name, count in found.charts.items()]
    if not rows:
        printing.words(f"Nothing would go: each chart changed within {days} days.")
        return
    title = f"Charts of which nothing changed for {days} days (since {found.until})"
    printing.table(title, ["", "charts", "what becomes of them"], rows)
    if found.records:
        printing.words(f"{found.records} record versions would go, the oldest of {found.oldest}")


def _ask(found: Plan) -> None:
    many = f"{found.charts['due']} charts with {found.records} record versions"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{many} would be erased for good: say --yes")
    said = click.prompt(f"{many} are erased for good. Type the number of charts", err=True)
    if said.strip() != str(found.charts["due"]):
        raise click.Abort
