"""`fhirbridge stock`: the stock documents that were taken in."""

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json

SHOWN = ("id", "version", "state", "received_at", "warnings", "held")


@click.group()
def stock() -> None:
    """List and show stock documents; ingest takes them in."""


@stock.command(name="list")
@as_json
def list_(*, json_wanted: bool) -> None:
    """List every version of every stock document, in the order in which they came."""
    with opened() as bridge:
        found = bridge.stock()
    if json_wanted:
        printing.data(found)
    else:
        printing.table("Stock", SHOWN, [[row[name] for name in SHOWN] for row in found])


@stock.command()
@click.argument("stock_id")
def show(stock_id: str) -> None:
    """Print a stored stock document with its findings, as JSON. The reading is noted.

    STOCK_ID is the id that ingest, the API or `stock list` gave.
    """
    with opened() as bridge:
        found = bridge.stock_document(stock_id, actor=ACTOR)
    if found is None:
        raise click.ClickException("there is no stock document with this id")
    printing.data(found)
