"""`fhirbridge destination remove`."""

import sys

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json


@click.command()
@click.argument("name")
@click.option(
    "--give-up",
    default="",
    metavar="REASON",
    help="Close what it is still owed: that is never sent there. Sealed; name no patient.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def remove(name: str, *, give_up: str, yes: bool, json_wanted: bool) -> None:
    """Remove NAME: nothing is sent there any more. Nothing is taken back from its EHR.

    Refused while a request is under way, or while anything is owed, held or parked there and no
    --give-up is said. What was sent stays in ledger and evidence, under its name, which no other
    destination can have. Its sign-in is erased, its keys are retired.
    """
    with opened() as bridge:
        there = sum(one["resources"] for one in bridge.holdings(bridge.destination(name).name))
        if not yes:
            _ask(name, there)
        given_up = bridge.remove_destination(name, give_up=give_up, actor=ACTOR)
    if json_wanted:
        printing.data({"removed": name, "given_up": given_up, "resources": there})
        return
    closed = sum(given_up.values())
    printing.words(f"{name} is removed. {closed} deliveries were given up.")
    printing.words(f"Its EHR keeps {there} resources of ours: nobody compares them any more.")


def _ask(name: str, there: int) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{name} would be removed ({there} resources are there): say --yes")
    click.confirm(f"Remove {name}? {there} resources of ours are there.", abort=True, err=True)
