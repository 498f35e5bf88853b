"""`fhirbridge destination subscribe` and `unsubscribe`: an EHR tells us when something changed."""

import click

from fhirbridge.cli import destination_shown, printing
from fhirbridge.cli.destination_types import named
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json


@click.command()
@click.argument("name")
@click.option(
    "--address",
    required=True,
    metavar="URL",
    help="Of this service, as the EHR reaches it: https://HOST[:PORT][/PATH].",
)
@click.option(
    "--types", multiple=True, metavar="TYPE,...", help="Only of these; all that it has of ours."
)
@as_json
def subscribe(name: str, *, address: str, types: tuple[str, ...], json_wanted: bool) -> int:
    """Let the EHR of NAME tell us when something changed: R4 rest-hook Subscriptions.

    They are made there, renewed before they end and checked at each look. A notification only makes
    the next look come sooner: nothing in it is believed or kept. Run it again for new secrets.
    Exit status 1 where the EHR refuses. It is asked again, as one that does not answer.
    """
    with opened() as bridge:
        calls = bridge.subscriptions.ask_for(name, address, named(types), actor=ACTOR)
    if json_wanted:
        printing.data({"name": name, **calls})
    else:
        destination_shown.notifications(calls, json_wanted=False)
        printing.remark(f"Next: fhirbridge destination show {name}, in a minute")
    return 1 if calls["state"] == "error" else 0


@click.command()
@click.argument("name")
@as_json
def unsubscribe(name: str, *, json_wanted: bool) -> None:
    """Let the EHR of NAME call us no more, and remove our Subscriptions there.

    Its calls are refused from this moment on, also where it does not answer: then run it again.
    """
    with opened() as bridge:
        removed = bridge.subscriptions.end(name, actor=ACTOR)
    if json_wanted:
        printing.data({"name": name, "removed": removed})
        return
    printing.words(f"{removed} Subscriptions were removed at {name}. It is looked at as before.")
