"""`fhirbridge token`: who may use the API."""

import click

from fhirbridge.access.tokens import DAYS, LONGEST_DAYS, Role, Room
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json


@click.group()
def token() -> None:
    """Make, list and revoke API tokens."""


@token.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.INTEGRATOR.value
)
@click.option(
    "--only",
    "rooms",
    multiple=True,
    type=click.Choice([room.value for room in Room]),
    help="Narrow it to this part of the API; as often as you like. All that its role may, unless.",
)
@click.option(
    "--days",
    type=click.IntRange(1, LONGEST_DAYS),
    help="How long it is good; 365, and of an auditor 30, unless you say.",
)
@click.option("--facade", default="", help="Of a reader: the facade that it reads.")
def make(name: str, role: str, rooms: tuple[str, ...], days: int | None, facade: str) -> None:
    """Make a token called NAME; it is printed once, alone on standard output."""
    lasts = days or DAYS[Role(role)]
    with opened() as bridge:
        secret = bridge.make_token(
            name=name,
            role=Role(role),
            rooms=[Room(one) for one in rooms],
            days=lasts,
            facade=facade,
            actor=ACTOR,
        )
    only = f", only {', '.join(rooms)}" if rooms else ""
    printing.words(f"Token {name} ({role}{only}), good for {lasts} days; it is shown once:")
    click.echo(secret)


@token.command("list")
@as_json
def list_all(*, json_wanted: bool) -> None:
    """List tokens, without their secrets."""
    with opened() as bridge:
        found = bridge.list_tokens()
    if json_wanted:
        printing.data(found)
        return
    printing.table(
        "Tokens", list(found[0]) if found else ["name"], [list(one.values()) for one in found]
    )


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Revoke every live token called NAME, at once."""
    with opened() as bridge:
        count = bridge.revoke_token(name, actor=ACTOR)
    printing.words(f"Revoked {count}.")
