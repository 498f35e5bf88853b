"""`fhirbridge destination`: the EHR servers that receive."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from fhirbridge.cli import (
    crosswalk,
    destination_facade,
    destination_keys,
    destination_removal,
    destination_sign_in,
    destination_types,
    printing,
    sign_in_options,
)
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.destinations import modes, pulls
from fhirbridge.destinations.limits import NO_LIMITS, LimitChange, Limits
from fhirbridge.destinations.pulls import Pull
from fhirbridge.destinations.registry import OUR_PATIENTS, Destination, Patients, Policy
from fhirbridge.profiles import profile_file as profiles
from fhirbridge.profiles.profile_file import NO_PROFILE


@click.group()
def destination() -> None:
    """Add, list, probe, test and limit EHR FHIR servers, and sign in to them."""


for _command in (
    destination_sign_in.sign_in,
    destination_sign_in.export,
    destination_sign_in.import_file,
    destination_keys.keys,
    destination_types.types,
    destination_types.list_profiles,
    destination_removal.remove,
    crosswalk.crosswalk,
    destination_facade.add_facade,
):
    destination.add_command(_command)


def _limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of how much a server is asked at most."""
    for option in (
        click.option("--per-day", type=int, help="Requests a day (UTC) at most; 0: no limit."),
        click.option("--concurrent", type=int, help="Patients at the same time at most."),
        click.option("--rps", type=float, help="Requests a second at most; 0: no limit."),
    ):
        command = option(command)
    return command


def _patients(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of whose patients ours point to."""
    for option in (
        click.option(
            "--patient-system",
            "systems",
            multiple=True,
            metavar="OURS=THEIRS",
            help="A system of patient numbers, as the clinic and as the EHR names it.",
        ),
        click.option(
            "--patients",
            type=click.Choice([one.value for one in Policy]),
            help="ours: we make each patient there; match: the EHR has them, none is ever made.",
        ),
    ):
        command = option(command)
    return command


MATCHED = click.option(
    "--theirs",
    "matched",
    multiple=True,
    metavar="TYPE[=SYSTEM]",
    help="The EHR has these itself (Encounter, Appointment, MedicationRequest, Practitioner, "
    "Organization, Location): ours are never made, its own are found by tables, or by the numbers "
    "of SYSTEM, or left out.",
)


def _asked_types(matched: tuple[str, ...]) -> dict[str, str]:
    return {kind: system for kind, _, system in (one.partition("=") for one in matched)}


def _asked_patients(policy: str | None, systems: tuple[str, ...], before: Patients) -> Patients:
    """Return what was asked for; what is left out stays."""
    pairs = [one.partition("=") for one in systems]
    if not all(ours and theirs for ours, _, theirs in pairs):
        raise click.UsageError("--patient-system is written OURS=THEIRS")
    return Patients(
        policy=before.policy if policy is None else Policy(policy),
        systems={ours: theirs for ours, _, theirs in pairs} or before.systems,
    )


def _pulls(
    _context: click.Context, _option: click.Parameter, said: str | None
) -> tuple[Pull, ...] | None:
    if said is None:
        return None
    chosen = pulls.read(said.split(","))
    if chosen is None:
        known = ", ".join(one.value for one in Pull)
        raise click.BadParameter(f"all, none, or some of {known}, with commas between them")
    return chosen


@destination.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--requires-consent", is_flag=True, help="Send only what the patient agreed to share."
)
@click.option(
    "--test-patient",
    is_flag=True,
    help="This is a test server: synthetic patients may be written to it, also by the probe.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="A private network it answers in, such as 10.20.0.0/16.",
)
@click.option("--overlay", default="", help="Change the mappings for it by this overlay of theirs.")
@_limits
@_patients
@destination_types.PROFILE
@MATCHED
@sign_in_options.sign_in_options
@as_json
def add(
    name: str,
    url: str,
    *,
    requires_consent: bool,
    test_patient: bool,
    networks: tuple[str, ...],
    overlay: str,
    rps: float | None,
    concurrent: int | None,
    per_day: int | None,
    patients: str | None,
    systems: tuple[str, ...],
    profile: str | None,
    matched: tuple[str, ...],
    json_wanted: bool,
    **how: Any,
) -> None:
    """Add the FHIR server at URL under NAME and probe it.

    A server that is neither the sandbox nor named a test server is only read, and nothing is sent
    to it before a probe has proven what it honours.
    """
    asked = LimitChange(rps=rps, concurrent=concurrent, per_day=per_day)
    sign_in = sign_in_options.change(how)
    meant = profiles.load(profile) if profile else NO_PROFILE
    before = OUR_PATIENTS if meant.patients is None else Patients(policy=meant.patients)
    with opened() as bridge:
        added = bridge.add_destination(
            name=name,
            base_url=url,
            requires_consent=requires_consent or meant.requires_consent,
            test_server=test_patient,
            networks=networks,
            overlay=overlay,
            limits=asked.applied(meant.limits.applied(NO_LIMITS)),
            patients=_asked_patients(patients, systems, before),
            theirs=_asked_types(matched),
            sign_in=sign_in,
            profile=meant,
            actor=ACTOR,
        )
    _show([added], json_wanted=json_wanted)
    if added.paused:
        printing.words(f"Nothing is sent to {name} yet: {added.paused}")


@destination.command("set")
@click.argument("name")
@_limits
@_patients
@destination_types.PROFILE
@MATCHED
@click.option(
    "--ours", "made", multiple=True, metavar="TYPE", help="We make these there after all."
)
@click.option(
    "--allow-weak-guard",
    "weak",
    metavar="REASON",
    help="Its server guards no update: read and compare just before instead. No patient's name.",
)
@click.option("--no-weak-guard", "weak", flag_value="", help="Take that back.")
@click.option(
    "--pull",
    metavar="WHAT",
    callback=_pulls,
    help="What it is asked about our patients: all, none, or some of "
    f"{', '.join(one.value for one in Pull)}, with commas. What it is not is erased here.",
)
@as_json
def change(
    name: str,
    *,
    rps: float | None,
    concurrent: int | None,
    per_day: int | None,
    patients: str | None,
    systems: tuple[str, ...],
    profile: str | None,
    matched: tuple[str, ...],
    made: tuple[str, ...],
    weak: str | None,
    pull: tuple[Pull, ...] | None,
    json_wanted: bool,
) -> None:
    """Set how much NAME is asked at most, by all workers together. What is left out stays.

    With --allow-weak-guard an edit that somebody makes between our reading and our writing is
    written over; you are told of it where the server counts its versions.
    """
    asked = LimitChange(rps=rps, concurrent=concurrent, per_day=per_day)
    chosen = patients is not None or bool(systems)
    unchanged = weak is None and pull is None and profile is None and not (matched or made)
    if asked == LimitChange() and unchanged and not chosen:
        raise click.UsageError("say what to set: see --help")
    to_use = profiles.load(profile) if profile else None
    with opened() as bridge:
        found = bridge.destination(name)
        if to_use is not None:
            found = bridge.use_profile(name, to_use, actor=ACTOR)
        if asked != LimitChange():
            found = bridge.limit_destination(name, asked, actor=ACTOR)
        if chosen:
            meant = _asked_patients(patients, systems, found.patients)
            found = bridge.set_patients(name, meant, actor=ACTOR)
        if matched or made:
            found = bridge.theirs.choose(name, _asked_types(matched), made, actor=ACTOR)
        if weak is not None:
            found = bridge.allow_weak_guard(name, weak, actor=ACTOR)
        if pull is not None:
            found = bridge.set_pull(name, pull, actor=ACTOR)
    _show([found], json_wanted=json_wanted)


@destination.command("list")
@click.option("--removed", is_flag=True, help="Those that were removed, instead.")
@as_json
def list_all(*, removed: bool, json_wanted: bool) -> None:
    """List the destinations."""
    with opened() as bridge:
        found = bridge.removed_destinations() if removed else bridge.destinations()
    _show(found, json_wanted=json_wanted)


@destination.command()
@click.argument("name")
@click.option(
    "--reasons",
    is_flag=True,
    help="What persons gave as reasons about it; it is noted. Also of a removed one.",
)
@as_json
def show(name: str, *, reasons: bool, json_wanted: bool) -> None:
    """Show NAME: how deliveries go, and what its server claims and was seen to honour."""
    if reasons:
        destination_removal.show_reasons(name, json_wanted=json_wanted)
        return
    with opened() as bridge:
        found = bridge.destination(name)
    _show([found], json_wanted=json_wanted)
    if not found.is_facade:
        _tell_what_was_seen(found, json_wanted=json_wanted)


@destination.command()
@click.argument("name")
@click.option(
    "--agreed-with",
    default="",
    metavar="WHO",
    help="Try it at a server that is no test server, too: who agreed there. No patient's name.",
)
@as_json
def probe(name: str, *, agreed_with: str, json_wanted: bool) -> None:
    """Probe NAME again: find out what the server honours, and choose how deliveries go.

    Patients that are nobody are written and removed again: at the sandbox, at a server that was
    named a test server, and where somebody there agreed (it is noted). Any other is only read.
    """
    with opened() as bridge:
        found = bridge.probe_destination(name, agreed_with=agreed_with, actor=ACTOR)
    _show([found], json_wanted=json_wanted)
    _tell_what_was_seen(found, json_wanted=json_wanted)


@destination.command()
@click.argument("name")
@as_json
def test(name: str, *, json_wanted: bool) -> int:
    """See step by step whether NAME answers, signs us in and is what was probed. Reads only.

    A server that promises other things than when it was probed is paused until the next probe.
    Exit status 1 where anything is wrong.
    """
    with opened() as bridge:
        found = bridge.test_destination(name, actor=ACTOR)
        steps = bridge.explain_test(name, found)
    good = found.good and all(one.good is not False for one in steps)
    if json_wanted:
        printing.data(
            {
                "name": name,
                "good": good,
                "answers": found.answers,
                "signed_in": found.signed_in,
                "unchanged": found.unchanged,
                "reason": found.reason,
                "steps": [asdict(one) for one in steps],
            }
        )
    else:
        marks = {True: "ok", False: "WRONG", None: "not known"}
        rows = [[one.name, marks[one.good], one.found, one.next] for one in steps]
        rows.append(["as it was probed", marks[found.unchanged], "", ""])
        printing.table(name, ["step", "", "found", "what to do next"], rows)
    if found.unchanged is False:
        printing.words(f"{name} is paused. Next: fhirbridge destination probe {name}")
    return 0 if good else 1


def _show(found: list[Destination], *, json_wanted: bool) -> None:
    if json_wanted:
        names = (
            "name", "base_url", "mode", "traits", "requires_consent", "test_server", "overlay",
            "networks", "paused", "guard", "weak", "declared", "removed_at",
        )  # fmt: skip
        printing.data(
            [
                {
                    **{field: getattr(one, field) for field in names},
                    "limits": one.limits.plain(),
                    "patients": one.patients.policy,
                    "patient_systems": dict(one.patients.systems),
                    "types": {kind: taken.value for kind, taken in one.types.items()},
                    "pull": [pull.value for pull in one.pull],
                    "theirs": dict(one.theirs),
                }
                for one in found
            ]
        )
        return
    rows = [
        [one.name, one.base_url, one.way, _limit_words(one.limits), _state_words(one)]
        for one in found
    ]
    printing.table("Destinations", ["name", "address", "mode", "limits", "state"], rows)


def _tell_what_was_seen(found: Destination, *, json_wanted: bool) -> None:
    """Show claims and findings; tell each difference, and what the probe could not remove."""
    if not json_wanted:
        marks = {True: "yes", False: "no", None: "-"}
        rows = [
            [one.words, marks[one.claimed], marks[one.seen]] for one in modes.shown(found.traits)
        ]
        printing.table("What the server honours", ["", "claimed", "seen"], rows)
    for line in modes.differences(found.traits):
        printing.words(line)
    for reference in found.traits.get("left_behind", ()):
        printing.words(f"Not seen to be removed again, please delete it there: {reference}")


def _state_words(one: Destination) -> str:
    return f"removed on {one.removed_at[:10]}" if one.removed_at else one.paused or "ready"


def _limit_words(limits: Limits) -> str:
    words = [f"{limits.concurrent} at a time"]
    words += [f"{limits.rps:g} a second"] if limits.rps else []
    words += [f"{limits.per_day} a day"] if limits.per_day else []
    return "\n".join(words)
