"""`fhirbridge sync plan` and `apply`: look first, then do exactly that."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from fhirbridge.cli import printing, progress
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.paths import FILE
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.selecting import selection
from fhirbridge.cli.statuses import CHANGES, WAITS
from fhirbridge.fhir import codec, differences
from fhirbridge.fhir.differences import Difference
from fhirbridge.outbox.selection import Selection
from fhirbridge.plan import plan as plans
from fhirbridge.plan.foresee import Foreseen, ForeseenResource, Step
from fhirbridge.plan.plan import Plan

MARKS = {
    Step.CREATE: "+",
    Step.CHANGE: "~",
    Step.RETRACT: "-",
    Step.READ_BACK: "?",
    Step.SKIP: "=",
    Step.NOT_SENT: "x",
    Step.WAIT: ".",
    Step.HOLD: "!",
    Step.CONFLICT: "!",
}


@click.command()
@selection
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan to this file."
)
@click.option(
    "--show-values", is_flag=True, help="Show what changes from what to what: PHI, and it is noted."
)
@as_json
def plan(*, chosen: Selection, out: Path | None, show_values: bool, json_wanted: bool) -> int:
    """Say what would be created, changed, retracted, skipped and held, and why. Sends nothing.

    Exit status 0: nothing to do; 2: something is to be sent; 1: an error.
    """
    with opened() as bridge:
        made = bridge.plan(chosen, shown_to=ACTOR if show_values else "")
    if out is not None:
        out.write_bytes(plans.to_bytes(made))
        printing.remark(f"Next: fhirbridge sync apply {out}")
    if json_wanted:
        printing.data(_as_data(made, show_values=show_values))
    else:
        _show(made, show_values=show_values)
    return CHANGES if made.has_requests else 0


@click.command()
@click.argument("file", type=FILE)
@as_json
def apply(file: Path, *, json_wanted: bool) -> int:
    """Do the plan in FILE, and nothing else.

    A plan is refused where anything that it rests on has changed since. One that was begun and
    stopped goes on where it was. Exit status 0: all of it is through; 3: some of it waits.
    """
    written = plans.from_bytes(file.read_bytes())
    with (
        opened() as bridge,
        progress.bar(len(written.deliveries)) as on_step,
        progress.stoppable() as go_on,
    ):
        done = bridge.apply(written, actor=ACTOR, on_step=on_step, go_on=go_on)
    if json_wanted:
        shown = {"plan": written.digest, "resumed": done.resumed, "settled": done.settled}
        printing.data({**shown, "deliveries": done.deliveries})
    else:
        through = len(done.deliveries) - len(done.left)
        click.echo(f"{through} of {len(done.deliveries)} deliveries of the plan are through.")
        if done.left:
            rows = [[one["delivery"], one["state"], one["reason"]] for one in done.left]
            printing.table("Not through", ["delivery", "state", "why"], rows)
    return WAITS if done.left else 0


def _summary(made: Plan) -> dict[str, int]:
    """Count resources that go or are skipped, and deliveries that do not."""
    found = Counter(r.step for one in made.deliveries for r in one.resources)
    found += Counter(
        one.step for one in made.deliveries if one.step in (Step.WAIT, Step.HOLD, Step.CONFLICT)
    )
    return {step.value: found[step] for step in MARKS}


def _as_data(made: Plan, *, show_values: bool) -> dict[str, Any]:
    return {
        "made_at": made.made_at,
        "state": made.state,
        "summary": _summary(made),
        "deliveries": [_delivery(one, show_values=show_values) for one in made.deliveries],
    }


def _delivery(one: Foreseen, *, show_values: bool) -> dict[str, Any]:
    return {
        "delivery": one.delivery,
        "destination": one.destination,
        "guard": one.guard,
        "patient": one.lane,
        "record": one.record,
        "step": one.step,
        "reason": one.reason,
        "resources": [
            {
                "resource": r.resource,
                "step": r.step,
                "reason": r.reason,
                "changes": [_change(c, show_values=show_values) for c in r.changes],
            }
            for r in one.resources
        ],
    }


def _change(change: Difference, *, show_values: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"path": change.path}
    if show_values:
        sides = {"before": change.before, "after": change.after}
        shown |= {k: value for k, value in sides.items() if value is not differences.NOTHING}
    return shown


def _show(made: Plan, *, show_values: bool) -> None:
    for one in made.deliveries:
        why = f": {one.reason}" if one.reason else ""
        where = f"{one.destination} ({one.guard} guard)" if one.guard else one.destination
        click.echo(f"{where}, patient {one.lane}, delivery {one.delivery}")
        if one.step in (Step.WAIT, Step.HOLD, Step.CONFLICT):
            click.echo(f"  {MARKS[one.step]} {one.step}{why}")
        for resource in one.resources:
            _show_resource(resource, show_values=show_values)
    counts = ", ".join(f"{count} {name}" for name, count in _summary(made).items() if count)
    click.echo(f"Plan: {counts or 'nothing to do'}.")


def _show_resource(one: ForeseenResource, *, show_values: bool) -> None:
    why = f": {one.reason}" if one.reason else ""
    click.echo(f"  {MARKS[one.step]} {one.step} {one.resource}{why}")
    for change in one.changes:
        values = f": {_value(change.before)} -> {_value(change.after)}" if show_values else ""
        click.echo(f"      {change.path}{values}")


def _value(value: Any) -> str:
    return "nothing" if value is differences.NOTHING else codec.encode(value).decode()
