"""What persons say about a destination: their reasons, and on which legal basis it is sent to."""

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened


@click.command("legal-basis")
@click.argument("name")
@click.argument("basis", metavar="TEXT")
def legal_basis(name: str, basis: str) -> None:
    """Note on which legal basis NAME is sent what it is, from now on: TEXT, one line.

    It is kept sealed in the evidence; `report disclosures` shows for each disclosure the one of
    its time, `destination show NAME --reasons` all of them.
    """
    if not basis:
        raise click.UsageError("say the legal basis: one line of text")
    with opened() as bridge:
        bridge.set_legal_basis(name, basis, actor=ACTOR)


def show_reasons(name: str, *, json_wanted: bool) -> None:
    """Show what persons gave as reasons about a destination."""
    with opened() as bridge:
        found = bridge.reasons(name, actor=ACTOR)
    if json_wanted:
        printing.data(found)
        return
    rows = [[one["at"], one["actor"], one["action"], one["reason"]] for one in found]
    printing.table(f"Reasons about {name}", ["when", "who", "what", "why"], rows)
