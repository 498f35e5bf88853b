"""`fhirbridge patient`: which of an EHR's patients one of ours is, where a person must say."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from fhirbridge.cli import patient_ehr, printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.statuses import WAITS
from fhirbridge.matching.decide import Why
from fhirbridge.reconcile.patients import About, Decided

REASON = click.option("--reason", required=True, help="Why; kept sealed.")
DESPITE = click.Choice([one.value for one in Why])


@click.group()
def patient() -> None:
    """List, show and decide which of an EHR's patients one of the clinic's is.

    NAME is a destination, PATIENT the id that `patient list` and `sync status` show.
    """


patient.add_command(patient_ehr.pull)


def _about(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the arguments NAME and PATIENT."""
    return click.argument("name")(click.argument("patient_id", metavar="PATIENT")(command))


@patient.command("list")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Also those who are linked.")
@as_json
def list_all(name: str | None, *, every: bool, json_wanted: bool) -> int:
    """List who waits for a person, at NAME or everywhere. No names. Exit status 3: some wait."""
    with opened() as bridge:
        found = bridge.patients.listed(name, every=every)
    if json_wanted:
        printing.data(found)
    else:
        heads = ["destination", "patient", "state", "in the EHR", "by", "why", "held"]
        rows = [
            [
                one["destination"],
                one["patient"],
                one["state"],
                one["ehr_id"],
                one["how"],
                one["words"],
                one["waiting"],
            ]
            for one in found
        ]
        printing.table("Patients", heads, rows)
    return WAITS if any(one["state"] == "held" for one in found) else 0


@patient.command()
@_about
@click.option(
    "--show-values",
    is_flag=True,
    help="Show both sides as they were compared, and what the EHR knows: PHI, it is noted.",
)
@as_json
def show(name: str, patient_id: str, *, show_values: bool, json_wanted: bool) -> None:
    """Show all that was decided of PATIENT, in whose chart what stands, and what the EHR knows."""
    with opened() as bridge:
        about = About(name, patient_id)
        found = bridge.patients.shown(about, values=show_values, actor=ACTOR)
        knows = bridge.pulls.shown(name, patient_id, values=show_values, actor=ACTOR)
    if json_wanted:
        printing.data({**found, "ehr": knows})
        return
    heads = ["when", "state", "in the EHR", "by", "who", "why"]
    rows = [
        [one["at"], one["state"], one["ehr_id"], one["how"], one["actor"], one["words"]]
        for one in found["decisions"]
    ]
    printing.table("Decisions, the last one counts", heads, rows)
    if show_values and found["decisions"]:
        _show_sides(found["decisions"][-1])
    _show_written(found["written"])
    patient_ehr.show(knows)


@patient.command()
@_about
@click.argument("ehr_id", metavar="[EHR-ID]", required=False)
@click.option("--ours", is_flag=True, help="The EHR has no such patient: make ours there.")
@click.option("--despite", type=DESPITE, multiple=True, help="What speaks against it and is known.")
@REASON
@as_json
def link(
    name: str,
    patient_id: str,
    ehr_id: str | None,
    *,
    ours: bool,
    despite: tuple[str, ...],
    reason: str,
    json_wanted: bool,
) -> None:
    """Say that PATIENT is the EHR's Patient EHR-ID, or that the EHR has none; what waited goes."""
    if ours == (ehr_id is not None):
        raise click.UsageError("give the EHR-ID, or --ours")
    about = About(name, patient_id)
    with opened() as bridge:
        if ehr_id is None:
            done = bridge.patients.make(about, reason=reason, actor=ACTOR)
        else:
            done = bridge.patients.link(about, ehr_id, despite=despite, reason=reason, actor=ACTOR)
    _tell(done, about, json_wanted=json_wanted)


@patient.command()
@_about
@click.argument("ehr_id", metavar="EHR-ID")
@REASON
@as_json
def reject(name: str, patient_id: str, ehr_id: str, *, reason: str, json_wanted: bool) -> None:
    """Say that PATIENT is not the EHR's Patient EHR-ID; a link to that one ends."""
    about = About(name, patient_id)
    with opened() as bridge:
        done = bridge.patients.reject(about, ehr_id, reason=reason, actor=ACTOR)
    _tell(done, about, json_wanted=json_wanted)


@patient.command()
@_about
@REASON
@as_json
def unlink(name: str, patient_id: str, *, reason: str, json_wanted: bool) -> None:
    """Take back what was decided of PATIENT; nothing goes until a person decides anew."""
    about = About(name, patient_id)
    with opened() as bridge:
        done = bridge.patients.unlink(about, reason=reason, actor=ACTOR)
    _tell(done, about, json_wanted=json_wanted)


@patient.command()
@_about
@REASON
@as_json
def ask(name: str, patient_id: str, *, reason: str, json_wanted: bool) -> None:
    """Let the EHR be asked from the beginning who PATIENT is, after it was put right there."""
    about = About(name, patient_id)
    with opened() as bridge:
        done = bridge.patients.ask(about, reason=reason, actor=ACTOR)
    _tell(done, about, json_wanted=json_wanted)


@patient.command()
@_about
@REASON
@as_json
def bring(name: str, patient_id: str, *, reason: str, json_wanted: bool) -> None:
    """Move into the chart that is linked now what was written in another one of this EHR.

    Each resource is sent again under its id, guarded by the version that the EHR must still have.
    """
    with opened() as bridge:
        made = bridge.patients.bring(About(name, patient_id), reason=reason, actor=ACTOR)
    if json_wanted:
        printing.data({"deliveries": made})
    else:
        click.echo("Owed again." if made else "Nothing stands in another chart.")
    if made:
        printing.remark("Next: fhirbridge sync run")


def _tell(done: Decided, about: About, *, json_wanted: bool) -> None:
    if json_wanted:
        printing.data(asdict(done))
    else:
        click.echo(f"{done.state}; {done.released} deliveries go on.")
    if done.elsewhere:
        where = f"{about.destination} {about.lane}"
        printing.words(
            f"{done.elsewhere} resources stand in another chart: fhirbridge patient show {where}; "
            f"fhirbridge patient bring {where} moves them"
        )
    if done.released:
        printing.remark("Next: fhirbridge sync run")


def _show_sides(decision: dict[str, Any]) -> None:
    sides = [("clinic", decision["ours"]), *(("EHR", one) for one in decision["theirs"])]
    names = sorted({name for _, side in sides for name in side})
    heads = ["", *(f"{who} {side.get('id', '')}" for who, side in sides)]
    rows = [[name, *(side.get(name, "") for _, side in sides)] for name in names]
    printing.table("As compared", heads, rows)
    if decision["reason"]:
        printing.words(f"reason: {decision['reason']}")


def _show_written(written: list[dict[str, Any]]) -> None:
    rows = [
        [
            f"{one['type']}/{one['ehr_id']}",
            one["ehr_version"],
            one["patient"] or "ours",
            "ELSEWHERE" if one["elsewhere"] else "",
            one["delivered_at"],
        ]
        for one in written
    ]
    printing.table("Written", ["resource", "version", "in the chart of", "", "when"], rows)
