"""`fhirbridge destination sign-in`, `export`, `import`: how we sign in, and settings as a file."""

from typing import Any

import click

from fhirbridge.cli import printing, sign_in_options
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.signin.methods import UNCHANGED, SignIn


@click.command("sign-in")
@click.argument("name")
@sign_in_options.sign_in_options
@as_json
def sign_in(name: str, *, json_wanted: bool, **how: Any) -> None:
    """Show or set how to sign in to NAME. What is left out stays; it holds from now on."""
    asked = sign_in_options.change(how)
    with opened() as bridge:
        if asked == UNCHANGED:
            found = bridge.sign_in(name)
        else:
            found = bridge.set_sign_in(name, asked, actor=ACTOR)
        lacking = bridge.lacking(name)
    _show(name, found, lacking, json_wanted=json_wanted)
    if lacking:
        printing.words(f"Nothing can be sent to {name} yet: {lacking} is missing.")
    elif asked != UNCHANGED:
        printing.words(f"Next: fhirbridge destination test {name}")


@click.command("export")
@click.argument("name")
def export(name: str) -> None:
    """Write the settings of NAME as JSON, to be imported elsewhere. It holds no secrets."""
    with opened() as bridge:
        printing.data(bridge.export_destination(name, actor=ACTOR))


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--name", default="", help="Another name than the file says.")
@click.option("--url", default="", help="Another FHIR base address: that of production.")
def import_file(file: Any, *, name: str, url: str) -> None:
    """Add the destination that FILE holds, paused and not probed. Its secrets are set after."""
    with opened() as bridge:
        added = bridge.import_destination(file.read(), name=name, base_url=url, actor=ACTOR)
        lacking = bridge.lacking(added.name)
    printing.words(f"{added.name} is there, paused: {added.base_url}")
    if lacking:
        printing.words(f"Missing: {lacking}. Next: fhirbridge destination sign-in {added.name}")
    printing.words(f"Then: fhirbridge destination test {added.name}")


def _show(name: str, found: SignIn, lacking: str, *, json_wanted: bool) -> None:
    if json_wanted:
        printing.data({"name": name, **found.plain(), "lacking": lacking})
        return
    shown = {
        "method": found.method.value + (", by your word" if found.open_allowed else ""),
        "client": found.client,
        "scopes": found.scopes,
        "token address": found.token_url,
        "proxy": found.proxy,
        "own authorities": "yes" if found.authorities else "",
        "our certificate": "yes" if found.certificate else "",
        "missing": lacking,
    }
    rows = [[label, text] for label, text in shown.items() if text]
    printing.table(f"Sign-in to {name}", ["", ""], rows)
