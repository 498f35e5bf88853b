"""`fhirbridge patient pull`, and how `patient show` tells what an EHR knows."""

from dataclasses import asdict
from typing import Any

import click

from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.statuses import WAITS
from fhirbridge.pull import charts, words
from fhirbridge.pull.run import Pulled


@click.command()
@click.argument("patient_id", metavar="[PATIENT]", required=False, default="")
@click.option("--destination", "name", default="", help="Only this one.")
@as_json
def pull(patient_id: str, name: str, *, json_wanted: bool) -> int:
    """Ask the EHRs now what they know of PATIENT, or of all with a recent record.

    Only what was chosen with: fhirbridge destination set NAME --pull WHAT. Shows counts; what was
    read is shown by patient show. Exit status 3: something was not answered whole.
    """
    days = settings.read().pull_days
    with opened() as bridge:
        done = bridge.pulls.pull(patient_id, destination=name, days=days, actor=ACTOR)
    if json_wanted:
        printing.data([asdict(one) for one in done])
    else:
        heads = ["destination", "patient", "type", "", "theirs", "ours", "left out", "event"]
        printing.table("Asked", heads, [row for one in done for row in _rows(one)])
    if not done:
        printing.words(
            "No EHR was asked: fhirbridge destination set NAME --pull WHAT, or no patient is due"
        )
    return 0 if all(one.is_whole for one in done) else WAITS


def show(knows: dict[str, Any]) -> None:
    """Print what one EHR knows of a patient; its values where they were asked for."""
    if knows["words"]:
        printing.words(f"What the EHR knows is not asked: {knows['words']}")
    rows = [[one["type"], one["words"], one["as_of"], one["version"]] for one in knows["types"]]
    printing.table("What the EHR knows", ["type", "", "as of", "version"], rows)
    if "resources" in knows:
        _show_values(knows)


def _show_values(knows: dict[str, Any]) -> None:
    flags = [
        [
            one["contraindication"],
            one["resource"],
            f"{one['code']} {one['display']}",
            one["status"],
            one["verification"],
            one["severity"],
            f"verified {one['verified']}",
        ]
        for one in knows["flags"]
    ]
    heads = [
        "contraindication",
        "resource",
        "code",
        "status",
        "verification",
        "severity",
        "code is",
    ]
    printing.table("Codes of the table of contraindications", heads, flags)
    found = [
        [one["resource"], words.about(one["body"]), words.state(one["body"]), one["reading"]]
        for one in knows["resources"]
    ]
    printing.table("All that the EHR has", ["resource", "what", "status", "read by code"], found)
    printing.words(knows["note"])
    printing.words(f"No code at all is in the table for: {', '.join(knows['never_found'])}")


def _rows(done: Pulled) -> list[list[Any]]:
    if done.why:
        said = charts.WORDS[charts.Why(done.why)]
        return [[done.destination, done.patient, "", said, "", "", "", ""]]
    return [
        [
            done.destination,
            done.patient,
            one.type,
            f"{one.ended} {one.said}".strip(),
            one.theirs,
            one.ours,
            sum(one.left_out.values()),
            one.sequence or "",
        ]
        for one in done.types
    ]
