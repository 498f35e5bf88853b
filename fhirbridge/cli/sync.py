"""`fhirbridge sync`: plan, do, watch and mend deliveries."""

from dataclasses import asdict
from typing import Any

import click

from fhirbridge.bridge import Bridge
from fhirbridge.cli import printing, progress, sync_mending, sync_plan
from fhirbridge.cli.opened import opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.selecting import selection
from fhirbridge.cli.statuses import WAITS
from fhirbridge.outbox.selection import Selection
from fhirbridge.overview.status import Status

OPEN = ("pending", "sending", "unknown")


@click.group()
def sync() -> None:
    """Plan, do, watch and mend deliveries."""


@sync.command()
@selection
@as_json
def run(*, chosen: Selection, json_wanted: bool) -> int:
    """Deliver what is due now, then say how things stand.

    What must go before, in the order of a patient, goes too. Ctrl-C and SIGTERM end it after the
    exchange that is under way; start it again at any time. Exit status 0: everything is delivered;
    3: something waits for its time or for a person.
    """
    with opened() as bridge:
        settled = _deliver(bridge, chosen)
        found = bridge.status(chosen)
        stopped = bridge.pauses()
        holdings = {one["name"]: bridge.holdings(one["name"]) for one in found.destinations}
    if json_wanted:
        printing.data(
            {"settled": settled, **asdict(found), "pauses": stopped, "holdings": holdings}
        )
    else:
        printing.remark(f"{settled} deliveries settled." if settled else "Nothing was due.")
        _show(found, stopped)
    return WAITS if found.waiting or found.tasks else 0


@sync.command()
@selection
@as_json
def status(*, chosen: Selection, json_wanted: bool) -> int:
    """Say how things stand. Exit status as for `run`."""
    with opened() as bridge:
        found = bridge.status(chosen)
        stopped = bridge.pauses()
    if json_wanted:
        printing.data({**asdict(found), "pauses": stopped})
    else:
        _show(found, stopped)
    return WAITS if found.waiting or found.tasks else 0


for _command in (
    sync_plan.plan,
    sync_plan.apply,
    sync_mending.retry,
    sync_mending.release,
    sync_mending.replay,
    sync_mending.cancel,
    sync_mending.tasks,
    sync_mending.close,
    sync_mending.pause,
    sync_mending.resume,
):
    sync.add_command(_command)


def _deliver(bridge: Bridge, chosen: Selection) -> int:
    """Drive the delivery; return how many settled."""
    waiting = sum(
        count
        for one in bridge.status(chosen).destinations
        for state, count in one["deliveries"].items()
        if state in OPEN
    )
    with progress.bar(waiting) as on_step, progress.stoppable() as go_on:
        return bridge.sync(chosen, on_step=on_step, go_on=go_on).settled


def _show(found: Status, stopped: list[dict[str, Any]]) -> None:
    rows = [
        [
            one["name"],
            one["base_url"],
            ", ".join(f"{count} {state}" for state, count in sorted(one["deliveries"].items()))
            or "none",
            _held(one),
            _lag(one["lag"]),
            one["paused"] or _waits(one) or ("ready, weak guard" if one["guard"] else "ready"),
        ]
        for one in found.destinations
    ]
    columns = ["name", "address", "deliveries", "resources there", "lag", "state"]
    printing.table("Destinations", columns, rows)
    if found.alerts:
        wrong = [
            [a["kind"], a["destination"], a["cause"], a["words"], a["started_at"]]
            for a in found.alerts
        ]
        printing.table("Wrong now", ["what", "destination", "cause", "means", "since"], wrong)
    if found.tasks:
        sync_mending.show_tasks(found.tasks)
    if found.waiting:
        columns = ["delivery", "destination", "patient", "state", "why", "due"]
        names = ("id", "destination", "lane", "state", "reason", "due_at")
        waits = [
            [{**one, "reason": "; ".join([one["reason"], *one["problems"]])}[n] for n in names]
            for one in found.waiting
        ]
        printing.table("Not through", columns, waits)
    if stopped:
        shown = [[p["destination"] or "every", p["patient"] or "every", p["at"]] for p in stopped]
        printing.table("Paused by an operator", ["destination", "patient", "since"], shown)
    printing.remark(
        f"{found.records} records, {found.held_elements} held elements, "
        f"{found.quarantined} in quarantine; {_room(found.disk)}."
    )


def _held(one: dict[str, Any]) -> str:
    """Say how much is there, and of how much that is not so as it is now."""
    aside = [f"{count} {name}" for name, count in one["not_as_itself"].items() if count]
    return ", ".join([str(one["resources"]), *aside])


def _room(disk: dict[str, Any]) -> str:
    if disk["free_mb"] is None:
        return "nobody can tell how much disk is free"
    lasts = disk["lasts_days"]
    days = "" if lasts is None else f", about {lasts} days as the last one was"
    return f"{disk['free_mb']} MB of disk free{days}"


def _lag(lag: dict[str, Any]) -> str:
    """Say how long news takes; of the last hour, since what was long ago says nothing of now."""
    took = f"p95 {lag['p95']:.0f} s" if lag["counted"] else ""
    waits = f"oldest waits {lag['waiting']:.0f} s" if lag["waiting"] else ""
    return ", ".join(part for part in (took, waits) if part) or "none"


def _waits(one: dict[str, Any]) -> str:
    return one["waits_for"] and f"waits until {one['waits_until']}: {one['waits_for']}"
