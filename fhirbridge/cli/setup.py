"""`fhirbridge init`: the first thing that is run."""

import click

from fhirbridge import opening, settings
from fhirbridge.cli import printing
from fhirbridge.settings import Settings


@click.command()
def init() -> None:
    """Make keys, database and the first token.

    The token (role admin) is printed once, alone on standard output: keep it like a password. One
    that was stopped half way is continued: run it again.
    """
    chosen = settings.read()
    opening.initialise(chosen, hand_over=lambda token: _show(chosen, token))


def _show(chosen: Settings, token: str) -> None:
    printing.words(f"Made {chosen.home} with keys and database.")
    printing.words(
        "Back up master.key and site.key apart from the database: without them it cannot be read,"
    )
    printing.words("and another site key would make a second copy of every chart.")
    printing.words("Next: fhirbridge destination add NAME URL. This token is shown once:")
    click.echo(token)
