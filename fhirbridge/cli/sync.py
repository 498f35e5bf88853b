"""`fhirbridge sync`, `status` and `retry`: run and watch deliveries."""

from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fhirbridge.bridge import Bridge
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.overview.status import Status

NOT_ALL = 3
OPEN = ("pending", "sending", "unknown")


@click.command()
@as_json
def sync(*, json_wanted: bool) -> int:
    """Deliver what is due now, then say how things stand.

    Exit status 0: everything is delivered; 3: something waits for its time or for a person.
    """
    with opened() as bridge:
        settled = _deliver(bridge)
        found = bridge.status()
        holdings = {one["name"]: bridge.holdings(one["name"]) for one in found.destinations}
    if json_wanted:
        printing.data({"settled": settled, **asdict(found), "holdings": holdings})
    else:
        printing.words(
            f"{settled} deliveries settled." if settled else "Nothing was due: 0 writes."
        )
        _show(found)
    return NOT_ALL if found.waiting else 0


@click.command()
@as_json
def status(*, json_wanted: bool) -> int:
    """Say how things stand. Exit status as for sync."""
    with opened() as bridge:
        found = bridge.status()
    if json_wanted:
        printing.data(asdict(found))
    else:
        _show(found)
    return NOT_ALL if found.waiting else 0


@click.command()
@click.argument("delivery_id", required=False)
@click.option("--all-parked", is_flag=True, help="Every parked delivery instead of one.")
def retry(delivery_id: str | None, *, all_parked: bool) -> None:
    """Put DELIVERY_ID, held or parked, back in line. It is guarded like any other."""
    if (delivery_id is None) != all_parked:
        raise click.UsageError("give one DELIVERY_ID, or --all-parked")
    with opened() as bridge:
        count = bridge.retry(delivery_id, actor=ACTOR)
    printing.words(
        f"{count} put back in line. Next: fhirbridge sync"
        if count
        else "Nothing of that kind is stuck."
    )
    if not count:
        raise click.ClickException("nothing was changed")


def _deliver(bridge: Bridge) -> int:
    """Drive the delivery, with a progress bar where somebody watches; return how many settled."""
    before = sum(_waiting(bridge).values())
    settled = 0
    console = Console(stderr=True)
    columns = (TextColumn("delivering"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        task = progress.add_task("delivering", total=before)

        def on_step(_lane: Any, step: str) -> None:
            nonlocal settled
            if step == "settled":
                settled += 1
                progress.advance(task)

        bridge.sync(on_step=on_step)
    return settled


def _waiting(bridge: Bridge) -> dict[str, int]:
    found = bridge.status()
    return {
        one["name"]: sum(count for state, count in one["deliveries"].items() if state in OPEN)
        for one in found.destinations
    }


def _show(found: Status) -> None:
    rows = [
        [
            one["name"],
            one["base_url"],
            ", ".join(f"{count} {state}" for state, count in sorted(one["deliveries"].items()))
            or "none",
            one["resources"],
            one["paused"] or _waits(one) or "ready",
        ]
        for one in found.destinations
    ]
    printing.table(
        "Destinations", ["name", "address", "deliveries", "resources there", "state"], rows
    )
    if found.alerts:
        wrong = [
            [a["kind"], a["destination"], a["cause"], a["words"], a["started_at"]]
            for a in found.alerts
        ]
        printing.table("Wrong now", ["what", "destination", "cause", "means", "since"], wrong)
    if found.waiting:
        waits = [
            [
                w["id"],
                w["destination"],
                w["state"],
                "; ".join([w["reason"], *w["problems"]]),
                w["due_at"],
            ]
            for w in found.waiting
        ]
        printing.table("Not through", ["delivery", "destination", "state", "why", "due"], waits)
    printing.words(
        f"{found.records} records, {found.held_elements} held elements, "
        f"{found.quarantined} in quarantine."
    )


def _waits(one: dict[str, Any]) -> str:
    return one["waits_for"] and f"waits until {one['waits_until']}: {one['waits_for']}"
