"""`fhirbridge theirs`: what an EHR has itself besides patients, as it was found or left out."""

from dataclasses import asdict

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.statuses import WAITS


@click.group()
def theirs() -> None:
    """List and decide which Encounter, order, clinician or place of an EHR's own ours point to.

    What is left out stops nothing: ours go without that reference. ID is what `list` shows.
    """


@theirs.command("list")
@click.argument("name", required=False, default="")
@click.option("--type", "kind", default="", help="Of this type alone, such as Encounter.")
@click.option("--all", "every", is_flag=True, help="Also what is linked.")
@click.option(
    "--show-values", is_flag=True, help="Show numbers and reasons: patient data, it is noted."
)
@as_json
def list_all(name: str, *, kind: str, every: bool, show_values: bool, json_wanted: bool) -> int:
    """List what is left out and why, at NAME or everywhere. Exit status 3: something is."""
    with opened() as bridge:
        found = bridge.theirs.listed(name, kind=kind, every=every, values=show_values, actor=ACTOR)
    if json_wanted:
        printing.data(found)
    else:
        heads = ["id", "destination", "type", "patient", "state", "in the EHR", "by", "why"]
        names = ["id", "destination", "type", "lane", "state", "ehr_id", "how", "words"]
        if show_values:
            heads, names = [*heads, "number", "reason"], [*names, "number", "reason"]
        printing.table("The EHR's own", heads, [[one[n] for n in names] for one in found])
    return WAITS if any(one["state"] == "left-out" for one in found) else 0


@theirs.command()
@click.argument("link_id", metavar="ID")
@click.option("--reason", required=True, help="Why; kept sealed.")
@as_json
def unlink(link_id: str, *, reason: str, json_wanted: bool) -> None:
    """Take a link back: nothing points there any more, and what did is owed again without it.

    It stays so until `theirs ask NAME --id ID`.
    """
    with opened() as bridge:
        done = bridge.theirs.unlink(link_id, reason=reason, actor=ACTOR)
    if json_wanted:
        printing.data(done)
    else:
        printing.words(f"Left out from now on, as {done['id']}; see fhirbridge sync plan")


@theirs.command()
@click.argument("name")
@click.option("--type", "kind", default="", help="Of this type alone.")
@click.option("--id", "link_id", default="", help="This one alone, be it taken back by a person.")
@as_json
def ask(name: str, *, kind: str, link_id: str, json_wanted: bool) -> int:
    """Ask NAME again for what is left out and linked; what follows is owed, not sent.

    Exit status 3: the EHR did not answer for some.
    """
    with opened() as bridge:
        done = bridge.theirs.ask(name, kind=kind, link_id=link_id, actor=ACTOR)
    if json_wanted:
        printing.data(asdict(done))
    else:
        printing.words(
            f"{done.asked} asked about, {done.changed} decided otherwise than before, "
            f"{done.unanswered} without an answer; {len(done.deliveries)} deliveries owed"
        )
    return WAITS if done.unanswered else 0


@theirs.command()
@click.argument("name")
@click.option("--plan", is_flag=True, help="Only count them.")
@as_json
def bring(name: str, *, plan: bool, json_wanted: bool) -> None:
    """Owe again whatever NAME got before it was known what is its own.

    Of a patient's Encounter and order that comes by itself; of clinicians and places,
    which many charts name, only so. Nothing is sent: see sync plan.
    """
    with opened() as bridge:
        count = bridge.theirs.behind(name)
        made = [] if plan else bridge.theirs.bring(name, actor=ACTOR)
    if json_wanted:
        printing.data({"name": name, "resources": count, "deliveries": made})
    else:
        printing.words(f"{count} resources, {len(made)} deliveries owed")
