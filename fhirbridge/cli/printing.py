"""Data on standard output, as a table or as JSON; words on standard error."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fhirbridge.fhir import codec

as_json = click.option("--json", "json_wanted", is_flag=True, help="Print JSON instead of tables.")


def data(value: Any) -> None:
    """Print JSON on standard output; decimals keep their digits."""
    click.echo(codec.encode(value).decode())


def words(text: str) -> None:
    """Tell the user something on standard error."""
    click.echo(text, err=True)


def remark(text: str) -> None:
    """Tell whoever sits at a terminal; under cron and systemd nothing is said."""
    if Console(stderr=True).is_terminal:
        words(text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table on standard output; nothing is cut off where the output is no terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    made = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    console.print(made)


def finding_rows(findings: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return level, code, place and message of findings, in the order given."""
    return [[str(f["level"]), f["code"], f["pointer"] or "/", f["message"]] for f in findings]
