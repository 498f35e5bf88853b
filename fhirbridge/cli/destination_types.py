"""`fhirbridge destination types` and `profiles`: what an EHR takes, and how a kind is met."""

from collections.abc import Mapping
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.destinations.taken import Taken
from fhirbridge.fhir.validate import is_type
from fhirbridge.profiles import profile_file as profiles
from fhirbridge.profiles.profile_file import Profile

PROFILE = click.option(
    "--profile",
    "profile",
    metavar="NAME|FILE",
    help="Set it up as a profile says: one of `destination profiles`, or a YAML file.",
)


@click.command()
@click.argument("name")
@click.option("--send", multiple=True, metavar="TYPE,...", help="As they are; owed from now on.")
@click.option("--skip", multiple=True, metavar="TYPE,...", help="Not at all; it is reported.")
@click.option("--note", multiple=True, metavar="TYPE,...", help="By the readable note alone.")
@as_json
def types(
    name: str,
    *,
    send: tuple[str, ...],
    skip: tuple[str, ...],
    note: tuple[str, ...],
    json_wanted: bool,
) -> None:
    """Show or choose how NAME gets each resource type. What is not named is sent as it is.

    Nothing that is sent points to what is not: such a reference is left out, or says a name alone.
    What is there already stays in step. A type that is sent again is owed at once, as a backfill:
    see it with `sync plan`.
    """
    chosen: dict[str, Taken] = {}
    for way, given in ((Taken.SEND, send), (Taken.SKIP, skip), (Taken.NOTE, note)):
        for kind in named(given):
            if kind in chosen:
                raise click.UsageError(f"{kind} is named twice")
            chosen[kind] = way
    with opened() as bridge:
        found = bridge.set_types(name, chosen, actor=ACTOR) if chosen else bridge.destination(name)
    _show(found.types, name, json_wanted=json_wanted)
    if Taken.SEND in chosen.values():
        printing.remark(f"Next: fhirbridge sync plan --destination {name}")


def named(given: tuple[str, ...]) -> list[str]:
    """Return the types of an option that may be given more than once. Raises UsageError."""
    kinds = [kind.strip() for one in given for kind in one.split(",")]
    for kind in kinds:
        if not is_type(kind):
            raise click.UsageError(f"{kind[:40]!r} is no resource type of R4")
    return kinds


def _show(found: Mapping[str, Taken], name: str, *, json_wanted: bool) -> None:
    if json_wanted:
        printing.data({"name": name, "types": {kind: one.value for kind, one in found.items()}})
        return
    rows = [[kind, one.value] for kind, one in sorted(found.items())]
    printing.table(name, ["type", "goes"], [*rows, ["all others", Taken.SEND.value]])


@click.command("profiles")
@as_json
def list_profiles(*, json_wanted: bool) -> None:
    """List the profiles that come with the program."""
    found = profiles.shipped()
    if json_wanted:
        printing.data([_plain(one) for one in found])
        return
    rows = [[one.name, one.mode or "as probed", one.about] for one in found]
    printing.table("Profiles", ["name", "mode", "for"], rows)


def _plain(one: Profile) -> dict[str, Any]:
    return {
        "name": one.name,
        "about": one.about,
        "mode": one.mode,
        "patients": None if one.patients is None else one.patients.value,
        "requires_consent": one.requires_consent,
        "types": {kind: taken.value for kind, taken in one.types.items()},
    }
