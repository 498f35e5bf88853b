"""`fhirbridge reconcile` and `drift`: what an EHR holds of ours, and who is right."""

from dataclasses import asdict
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.statuses import WAITS
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.weigh import Choice

RIGHT = click.Choice([choice.value for choice in Choice])


@click.command()
@click.argument("name")
@click.option("--full", is_flag=True, help="All of it, not only what changed since the last look.")
@click.option(
    "--repair", is_flag=True, help="Send again what is lost, also where it looks like a restore."
)
@as_json
def reconcile(name: str, *, full: bool, repair: bool, json_wanted: bool) -> int:
    """Compare what the EHR NAME holds of ours with what was sent. Nothing is written there.

    What it lost is owed again, and goes with the next sync. Exit status 0: nothing waits for a
    person; 3: something does, see fhirbridge drift list.
    """
    with opened() as bridge:
        report = bridge.reconcile(name, full=full, repair=repair, actor=ACTOR)
    if json_wanted:
        printing.data(asdict(report))
    else:
        _tell(report)
    return WAITS if report.waiting or report.patients or report.stop else 0


@click.group()
def drift() -> None:
    """List, show and settle what differs in an EHR."""


@drift.command("list")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Also what is settled.")
@as_json
def list_all(name: str | None, *, every: bool, json_wanted: bool) -> int:
    """List what differs in the EHR NAME, or in all. No patient data. Exit status 3: some waits."""
    with opened() as bridge:
        found = bridge.drift(name, every=every)
    if json_wanted:
        printing.data(found)
    else:
        heads = ["finding", "destination", "resource", "what", "elements", "state", "found"]
        printing.table("Differences", heads, [_row(one) for one in found])
    return WAITS if any(one["state"] == "open" for one in found) else 0


@drift.command()
@click.argument("drift_id")
@as_json
def show(drift_id: str, *, json_wanted: bool) -> None:
    """Show both sides of one finding: patient data."""
    with opened() as bridge:
        found = bridge.drift_sides(drift_id, actor=ACTOR)
    if json_wanted:
        printing.data(found)
        return
    rows = [[path, *(_at(found[side], path) for side in SIDES)] for path in found["elements"]]
    heads = ["element", "sent last", "ours now", "in the EHR"]
    printing.table(f"{found['type']}/{found['resource_id']}: {found['kind']}", heads, rows)
    for name in ("survivor", "ids", "reason"):
        if name in found:
            printing.words(f"{name}: {found[name]}")


@drift.command()
@click.argument("drift_id")
@click.option("--ours", "choice", flag_value="ours", help="Send ours again, over theirs.")
@click.option("--theirs", "choice", flag_value="theirs", help="Leave it as it is in the EHR.")
@click.option("--reason", required=True, help="Why; kept sealed.")
def settle(drift_id: str, *, choice: str | None, reason: str) -> None:
    """Choose which side is right, with the reason; then: fhirbridge sync run."""
    if choice is None:
        raise click.UsageError("give --ours or --theirs")
    with opened() as bridge:
        bridge.decide(drift_id, Choice(choice), reason=reason, actor=ACTOR)
    printing.words("Settled. Next: fhirbridge sync run")


@drift.command()
@click.argument("name")
@click.argument("kind", metavar="[TYPE]", required=False)
@click.argument("choice", type=RIGHT, metavar="[hold|ours|theirs]", required=False)
@as_json
def policy(name: str, *, kind: str | None, choice: str | None, json_wanted: bool) -> None:
    """Choose beforehand who is right in the EHR NAME for a TYPE (* for all others), or show it.

    hold, the default: a person decides about each edit and deletion.
    """
    if (kind is None) != (choice is None):
        raise click.UsageError("give both TYPE and hold, ours or theirs")
    with opened() as bridge:
        if kind is not None and choice is not None:
            bridge.set_drift_policy(name, kind, Choice(choice), actor=ACTOR)
        found = bridge.drift_policies(name)
    if json_wanted:
        printing.data(found)
    else:
        printing.table(f"Policy for {name}", ["type", "who is right"], sorted(found.items()))


def _tell(report: Report) -> None:
    rows = sorted(report.kinds.items())
    printing.table(f"{report.destination}: what differs", ["what", "resources"], rows)
    if report.altered:
        printing.table(
            "Kept by this EHR in its own way",
            ["element", "resources"],
            sorted(report.altered.items()),
        )
    how = "all" if report.full else "what changed since the last look"
    printing.words(f"{report.compared} resources compared ({how}).")
    if report.unsearched:
        printing.words(f"Not searched for duplicates: {', '.join(report.unsearched)}.")
    if report.repaired:
        printing.words(f"{report.repaired} lost and owed again. Next: fhirbridge sync run")
    if report.waiting:
        printing.words(f"{report.waiting} wait for a person: fhirbridge drift list")
    if report.patients:
        printing.words(f"{report.patients} patients wait for a person: fhirbridge patient list")
    if report.stop:
        printing.words(f"Nothing is sent to {report.destination}: {report.stop}")


def _row(one: dict[str, Any]) -> list[str]:
    return [
        one["id"],
        one["destination"],
        f"{one['type']}/{one['resource_id']}",
        one["kind"],
        " ".join(one["elements"]),
        one["choice"] or one["state"],
        one["found_at"],
    ]


SIDES = ("base", "ours", "theirs")


def _at(body: Any, path: str) -> Any:
    """Return what stands at a path such as `note[0].text`, or nothing."""
    found = body
    for name in path.replace("]", "").replace("[", ".").split("."):
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return ""
    return "" if found is None else found
