"""`fhirbridge incident`: a chart of the wrong patient, listed, taken back, packed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click

from fhirbridge.bridge import Bridge
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.paths import NEW_FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.statuses import WAITS
from fhirbridge.records.history import Chart

NOT_THROUGH = ("pending", "sending", "unknown", "held", "parked")
MEANINGS = {
    "retracted": "queued: goes as entered in error",
    "replaced": "queued: goes as other sessions say it",
    "left": "stays as other sessions say it",
    "shared": "stays: all patients share it",
    "by_hand": "A PERSON'S TASK: its type has no status for it",
}


patient_file_option = click.option(
    "--patient-file",
    type=click.File("r"),
    help="Read the clinic's own name of the patient from this file; - for standard input.",
)


@click.command()
@click.argument("patient", required=False, default="")
@patient_file_option
@click.option(
    "--record",
    "records",
    multiple=True,
    help="Only the session of this record version (its id); may be repeated.",
)
@click.option("--retract", is_flag=True, help="Take it back from the chart wherever it went.")
@click.option("--lift", is_flag=True, help="Let what was taken back go again.")
@click.option("--reason", default="", help="Why; kept sealed. Name no patient in it.")
@click.option(
    "--pack", type=NEW_FOLDER, help="Write the evidence into this new folder: PHI, and it is noted."
)
@click.option("--show-values", is_flag=True, help="With the content of all that was sent: PHI.")
@as_json
def incident(
    patient: str,
    patient_file: TextIO | None,
    records: tuple[str, ...],
    pack: Path | None,
    reason: str,
    *,
    retract: bool,
    lift: bool,
    show_values: bool,
    json_wanted: bool,
) -> int:
    """List all that went where of one PATIENT's chart, take it back, and pack the evidence.

    PATIENT is the id that status shows, or that of the Patient in the EHR. --record narrows it to
    single sessions, and may stand alone. What is listed are opaque ids, types, times and codes;
    every use is noted in the evidence.

    Exit status 0: nothing waits; 3: something is not through, or is a person's task.
    """
    if (retract or lift) and (pack or show_values):
        raise click.UsageError("--pack and --show-values go alone: before and after")
    _check(patient, patient_file, records, reason, retract=retract, lift=lift)
    done: dict[str, Any] = {}
    with opened() as bridge:
        chart = chart_of(bridge, patient, patient_file, records)
        if retract:
            done["retract"] = asdict(bridge.retract_chart(chart, reason=reason, actor=ACTOR))
        if lift:
            done["lift"] = asdict(bridge.lift_chart(chart, reason=reason, actor=ACTOR))
        found = bridge.incident(chart, values=show_values, actor=ACTOR)
        if pack is not None:
            done["pack"] = asdict(bridge.pack_incident(chart, pack, actor=ACTOR))
    if json_wanted:
        printing.data({**found, **done})
    else:
        _show(found, show_values=show_values)
        _tell(done)
    waits = any(one["state"] in NOT_THROUGH for one in found["deliveries"])
    return WAITS if waits or done.get("retract", {}).get("by_hand") else 0


def _check(
    patient: str,
    patient_file: TextIO | None,
    records: tuple[str, ...],
    reason: str,
    *,
    retract: bool,
    lift: bool,
) -> None:
    if patient and patient_file:
        raise click.UsageError("name the patient once: PATIENT or --patient-file")
    if not (patient or patient_file or records):
        raise click.UsageError("name a PATIENT, --patient-file or --record")
    if retract and lift:
        raise click.UsageError("--retract or --lift, not both")
    if (retract or lift) and not reason.strip():
        raise click.UsageError("give the --reason")
    if reason and not (retract or lift):
        raise click.UsageError("--reason goes with --retract or --lift")


def chart_of(
    bridge: Bridge, patient: str, patient_file: TextIO | None, records: tuple[str, ...] = ()
) -> Chart:
    """Find the chart that PATIENT, --patient-file or --record name."""
    named = patient
    if patient_file is not None:
        said = patient_file.read().strip()
        if not said or "\n" in said:
            raise click.UsageError("--patient-file holds one line: the clinic's name of a patient")
        named = bridge.patient_named(said)
    return bridge.chart(named, records)


def _show(found: dict[str, Any], *, show_values: bool) -> None:
    rows = [
        [one["id"], one["version"], one["state"], one["received_at"], one["retracted"] or "no"]
        for one in found["records"]
    ]
    heads = ["record", "version", "state", "received", "taken back"]
    printing.table(f"Records of patient {found['patient']}", heads, rows)
    there = [
        [
            one["destination"],
            one["resource"],
            one["ehr_version"],
            one["says"],
            f"{one['record']} v{one['record_version']}",
            one["delivered_at"],
            one["read_back_at"] or "not since",
            one["way_back"],
        ]
        for one in found["there"]
    ]
    heads = [
        "destination",
        "resource",
        "version",
        "says",
        "record",
        "sent",
        "read back",
        "way back",
    ]
    printing.table("In the EHRs", heads, there)
    waits = [
        [one["id"], one["destination"], one["lane"], one["state"], one["reason"]]
        for one in found["deliveries"]
        if one["state"] in NOT_THROUGH
    ]
    if waits:
        heads = ["delivery", "destination", "lane", "state", "why"]
        printing.table("Not through", heads, waits)
    if show_values:
        for body in found["bodies"].values():
            printing.data(body)


def _tell(done: dict[str, Any]) -> None:
    if "retract" in done:
        rows = [
            [one["destination"], one["resource"], meaning]
            for name, meaning in MEANINGS.items()
            for one in done["retract"][name]
        ]
        printing.table("Taken back", ["destination", "resource", "what becomes of it"], rows)
        stopped = len(done["retract"]["stopped"])
        printing.words(f"{stopped} deliveries stopped. Next: fhirbridge sync run")
    if "lift" in done:
        owed, held = len(done["lift"]["owed"]), len(done["lift"]["held"])
        printing.words(f"{owed} records go again, {held} are held. Next: fhirbridge sync run")
    if "pack" in done:
        packed = done["pack"]
        printing.words(f"{packed['files']} files packed: patient data. SHA-256 of the manifest:")
        printing.words(packed["manifest"])
        if packed["unsound"]:
            raise click.ClickException(
                f"{packed['unsound']} evidence rows are not what was written: see evidence.ndjson"
            )
