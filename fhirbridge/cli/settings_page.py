"""`fhirbridge settings`: what may be set, what is in force, and the page that says so."""

import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from fhirbridge import settings
from fhirbridge.cli import printing
from fhirbridge.cli.printing import as_json
from fhirbridge.settings import Settings

HEAD = """\
# Settings
Environment variables; one that is not here, or a value that will not do, stops the start, and all
of them are named. This page is made of the program (`make docs`); `fhirbridge settings` shows what
is in force. Settings of one EHR (limits, sign-in, mappings, whose patients) belong to its
destination: [operate.md](operate.md).

| name | default | what it is |
|---|---|---|
"""
AT_INIT = {"mappings": "the ones that come with the program", "ca_file": "the public authorities"}


@click.command("settings")
@click.option("--markdown", is_flag=True, help="Print docs/settings.md instead.")
@as_json
def show(*, markdown: bool, json_wanted: bool) -> None:
    """Show every setting, what is in force and what it is. Nothing secret is among them."""
    if markdown:
        click.echo(page(), nl=False)
        return
    chosen = settings.read()
    rows = [
        [settings.name_of(one.name), _shown(getattr(chosen, one.name)), settings.WORDS[one.name]]
        for one in fields(Settings)
    ]
    if json_wanted:
        printing.data({name: value for name, value, _ in rows})
        return
    printing.table("Settings", ["name", "in force", "what it is"], rows)


def page() -> str:
    """Return docs/settings.md."""
    return HEAD + "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    bare = settings.defaults()
    for one in fields(Settings):
        value = AT_INIT.get(one.name) or _of_home(_shown(getattr(bare, one.name)), bare.home)
        yield f"| {settings.name_of(one.name)} | {value} | {settings.WORDS[one.name]} |"


def _of_home(text: str, home: Path) -> str:
    return f"`{text.replace(f'{home}/', 'HOME/')}`" if text else "none"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return shlex.join(value[:1])  # what follows may be a secret
    return "" if value is None else str(value)
