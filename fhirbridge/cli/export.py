"""`fhirbridge export`: what a destination holds of ours, as a signed package."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from fhirbridge.bridge import Bridge
from fhirbridge.cli import printing
from fhirbridge.cli.incident import patient_file_option
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.paths import NEW_FOLDER
from fhirbridge.cli.printing import as_json
from fhirbridge.exporting import Package
from fhirbridge.exports.question import Form, Question, moment_text
from fhirbridge.exports.scrub import Identifiers

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
WHAT = {
    None: "patient data",
    Identifiers.SAFE_HARBOR: "de-identified (Safe Harbor); README.txt says how",
    Identifiers.LIMITED: "a limited data set, patient data: README.txt says what it is for",
    Identifiers.MASKED: "patient data, masked and not de-identified",
}
WHY = {
    "consent": "there is no consent to sharing any more",
    "part-2": "they are labelled 42 CFR Part 2, without an active consent for it",
    "paused": "an operator has stopped their patient or the destination",
}


@click.command()
@click.argument("folder", type=NEW_FOLDER)
@click.option("--destination", required=True, help="Whose holdings: the name of an EHR.")
@click.option("--patient", default="", help="One patient: the id that status shows, or the EHR's.")
@patient_file_option
@click.option("--record", "records", multiple=True, help="The session of this record version.")
@click.option("--series-of", default="", help="The whole series of this record version.")
@click.option("--clinic", default="", help="One clinic: its id, as the records have it.")
@click.option("--type", "types", multiple=True, help="Only this FHIR type; may be repeated.")
@click.option("--begin", type=MOMENT, help="Only what is of this day (UTC) or later.")
@click.option("--end", type=MOMENT, help="Only what is of before this day (UTC).")
@click.option("--since", type=MOMENT, help="Only what came to be there from this time on (UTC).")
@click.option(
    "--as",
    "forms",
    multiple=True,
    type=click.Choice([one.value for one in Form]),
    help="Write it as this too, beside NDJSON; may be repeated.",
)
@click.option(
    "--identifiers",
    type=click.Choice([one.value for one in Identifiers]),
    help="Take them out. safe-harbor: de-identified, years only; limited: a limited data set, "
    "dates moved; masked: names and texts covered, for support.",
)
@click.option("--zip", "zip_wanted", is_flag=True, help="Write FOLDER.zip beside it.")
@click.option(
    "--at-checkpoint",
    type=click.IntRange(min=1),
    help="Make the same export again, byte for byte: as of the checkpoint of so many rows.",
)
@as_json
def export(  # noqa: PLR0917  each is an option
    folder: Path,
    destination: str,
    patient: str,
    patient_file: TextIO | None,
    records: tuple[str, ...],
    series_of: str,
    clinic: str,
    types: tuple[str, ...],
    begin: datetime | None,
    end: datetime | None,
    since: datetime | None,
    forms: tuple[str, ...],
    identifiers: str | None,
    at_checkpoint: int | None,
    *,
    zip_wanted: bool,
    json_wanted: bool,
) -> None:
    """Write what an EHR holds of ours into the new FOLDER: patient data, and it is noted.

    FOLDER is there whole and signed, or not at all. Without a narrowing option all is written; with
    one, what the chosen resources point to comes with them. What may not be sent to the destination
    now, for want of a consent, is not exported either: it is counted. With --identifiers the
    charts of all patients are written, and what may not stay is left out.
    """
    if patient and patient_file:
        raise click.UsageError("name the patient once: --patient or --patient-file")
    question = Question(
        destination=destination,
        clinic=clinic,
        types=frozenset(types),
        begin=_text(begin),
        end=_text(end),
        since=_text(since),
        forms=frozenset(map(Form, forms)),
        identifiers=Identifiers(identifiers) if identifiers else None,
    )
    with opened() as bridge:
        asked = _narrowed(bridge, question, patient, patient_file, records, series_of)
        made = bridge.export(
            asked, folder, actor=ACTOR, at_checkpoint=at_checkpoint, zip_wanted=zip_wanted
        )
    if json_wanted:
        printing.data(asdict(made))
    else:
        _tell(made, folder, question.identifiers)


def _narrowed(  # noqa: PLR0917  each is an option
    bridge: Bridge,
    question: Question,
    patient: str,
    patient_file: TextIO | None,
    records: tuple[str, ...],
    series_of: str,
) -> Question:
    named = patient
    if patient_file is not None:
        named = bridge.patient_named(patient_file.read().strip())
    if named or records:
        chart = bridge.chart(named, records)
        question = replace(question, patient=chart.patient, sessions=chart.sessions)
    return bridge.in_series(question, series_of) if series_of else question


def _text(moment: datetime | None) -> str:
    return "" if moment is None else moment_text(moment.replace(tzinfo=UTC))


def _tell(made: Package, folder: Path, identifiers: Identifiers | None) -> None:
    printing.words(f"{made.resources} resources are in {folder.name}: {WHAT[identifiers]}.")
    for reason, count in made.withheld.items():
        printing.words(f"{count} were left out: {WHY.get(reason, reason)}.")
    if made.erased:
        printing.words(f"{made.erased} were left out: their record was erased for good.")
    if made.dangling:
        printing.words(f"{made.dangling} references point to what is not in it.")
    printing.words(f"Next: fhirbridge verify {folder.name} --key FILE. SHA-256 of the manifest:")
    printing.words(made.manifest)
    if identifiers is None:
        printing.words(f"Again, byte for byte: --at-checkpoint {made.checkpoint}")
