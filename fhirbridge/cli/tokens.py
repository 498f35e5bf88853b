"""`fhirbridge token`: who may use the API."""

import click

from fhirbridge.access.tokens import Role
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
@click.option("--facade", default="", help="Of a reader: the facade that it reads.")
def make(name: str, role: str, facade: str) -> None:
    """Make a token called NAME; it is printed once, alone on standard output."""
    with opened() as bridge:
        secret = bridge.make_token(name=name, role=Role(role), facade=facade, actor=ACTOR)
    printing.words(f"Token {name} ({role}), valid for a year; it is shown once:")
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
