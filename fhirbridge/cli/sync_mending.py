"""`fhirbridge sync retry`, `release`, `replay`, `cancel`, `tasks`, `pause`: a person decides."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.selecting import selection
from fhirbridge.cli.statuses import WAITS
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.outbox.selection import EVERYTHING, Selection
from fhirbridge.outbox.states import State

EVERY = click.option("--all", "every", is_flag=True, help="Every one, where nothing narrows it.")


@click.command()
@click.argument("delivery_id", required=False, default="")
@selection
@EVERY
@as_json
def retry(delivery_id: str, *, chosen: Selection, every: bool, json_wanted: bool) -> None:
    """Put parked deliveries back in line as they are.

    Name a DELIVERY_ID, or say with options or --all which. They are guarded like any other. After
    a fix of the mappings use `replay`.
    """
    _put_back(State.PARKED, delivery_id, chosen, every=every, json_wanted=json_wanted)


@click.command()
@click.argument("delivery_id", required=False, default="")
@selection
@EVERY
@as_json
def release(delivery_id: str, *, chosen: Selection, every: bool, json_wanted: bool) -> None:
    """Let held deliveries go on, after a person has looked at them.

    Name a DELIVERY_ID, or say with options or --all which. They are guarded like any other: what
    is still as it was is held again.
    """
    _put_back(State.HELD, delivery_id, chosen, every=every, json_wanted=json_wanted)


@click.command()
@selection
@click.option("--all", "every", is_flag=True, help="Everything that is parked.")
@as_json
def replay(*, chosen: Selection, every: bool, json_wanted: bool) -> None:
    """After a fix: send again what is parked, or make records anew.

    With --reason or --all: what is parked goes again, made anew where other mappings than the live
    ones made it. Else: the records that the options name are translated anew; what comes out as
    before is not sent. A record is made anew for all its destinations.
    """
    _check(chosen, every=every)
    parked = every or bool(chosen.reason)
    with opened() as bridge:
        done = bridge.replay(chosen, parked=parked, actor=ACTOR)
    if json_wanted:
        printing.data(asdict(done))
    else:
        click.echo(
            f"{done.considered} records looked at, {done.translated} made anew, "
            f"{done.put_back} deliveries put back in line."
        )
    printing.remark("Next: fhirbridge sync run")
    if done.failed:
        raise click.ClickException(
            f"the live mappings cannot translate {done.failed} of them; they stay as they were"
        )


@click.command()
@click.argument("delivery_id", required=False, default="")
@selection
@EVERY
@click.option("--yes", is_flag=True, help="Do not ask first.")
@as_json
def cancel(
    delivery_id: str, *, chosen: Selection, every: bool, yes: bool, json_wanted: bool
) -> int:
    """Set aside what is queued and not begun: a run, a replay or a backfill that should not go.

    Name a DELIVERY_ID, or say with options or --all which. It is parked with the reason
    `cancelled:`, and `retry` sends it. What arrived stays; what needs it waits; a corrected version
    of the record replaces it. Of a --patient or a --record, what other patients need too stays in
    line. What takes something back from a chart (entered-in-error) is never set aside. Exit status
    3: some of it is under way, or takes something back, and goes on.
    """
    meant = replace(chosen, delivery_id=delivery_id)
    _check(meant, every=every)
    with opened() as bridge:
        if not yes:
            _ask(bridge.cancellable(meant).cancelled)
        done = bridge.cancel(meant, actor=ACTOR)
    if json_wanted:
        printing.data(asdict(done))
    else:
        click.echo(
            f"{done.cancelled} deliveries cancelled, {done.under_way} under way or taking back."
        )
    if delivery_id and not done.cancelled and not done.under_way:
        raise click.ClickException("no delivery of this id is queued; nothing was changed")
    printing.remark("To send them after all: fhirbridge sync retry --reason cancelled:")
    return WAITS if done.under_way else 0


@click.command()
@click.option("--destination", default="", help="In this one alone.")
@as_json
def tasks(*, destination: str, json_wanted: bool) -> int:
    """List what a person must put right, or take back, in an EHR that lets nobody change it.

    Exit status 3: there is something.
    """
    with opened() as bridge:
        found = bridge.tasks(destination)
    if json_wanted:
        printing.data(found)
    else:
        show_tasks(found)
    return WAITS if found else 0


def show_tasks(found: Sequence[Mapping[str, Any]]) -> None:
    """Show what a person must do in an EHR: a line each, so that a name can be copied."""
    click.echo(f"For a person to do: {len(found)}")
    for one in found:
        where = f"{one['in_the_ehr']} at {one['destination']}"
        click.echo(f"  {one['task']}  {one['what']} {where}: {one['reason']}")


@click.command()
@click.argument("task", metavar="TASK|DELIVERY")
@click.option("--reason", required=True, help="What was done, and by whom. No patient's name.")
@as_json
def close(task: str, *, reason: str, json_wanted: bool) -> None:
    """Note that a person did in the EHR what TASK, or every task of a DELIVERY, asks for.

    Who said so, and the reason, stand in the evidence.
    """
    with opened() as bridge:
        done = bridge.close_tasks(task, reason=reason, actor=ACTOR)
    if json_wanted:
        printing.data(done)
        return
    for one in done:
        click.echo(f"Closed: {one['what']} of {one['in_the_ehr']} at {one['destination']}.")


@click.command()
@click.option("--destination", default="", help="Send nothing to it.")
@click.option("--patient", default="", help="Send nothing of this patient (the id status shows).")
@as_json
def pause(*, destination: str, patient: str, json_wanted: bool) -> None:
    """Begin no new request to a destination, or of a patient, until `resume`. Nothing is lost."""
    what = _stopped(destination, patient)
    with opened() as bridge:
        changed = bridge.pause(what, actor=ACTOR)
    if json_wanted:
        printing.data({"changed": changed, "destination": destination, "patient": patient})
    else:
        click.echo("Paused." if changed else "It was paused already.")


@click.command()
@click.option("--destination", default="", help="Send to it again.")
@click.option("--patient", default="", help="Send what this patient is owed again.")
@as_json
def resume(*, destination: str, patient: str, json_wanted: bool) -> None:
    """Take a pause back: name what `pause` named. What a probe must settle stays paused."""
    what = _stopped(destination, patient)
    with opened() as bridge:
        done = bridge.resume(what, actor=ACTOR)
    if json_wanted:
        printing.data({**asdict(done), "destination": destination, "patient": patient})
    else:
        click.echo("Resumed." if done.changed else "It was not paused by an operator.")
    if done.still_paused:
        raise click.ClickException(f"still paused: {done.still_paused}")


def _ask(count: int) -> None:
    """Ask whoever sits at a terminal. Raises UsageError where nobody does, Abort where not."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{count} deliveries would be cancelled: say --yes")
    click.confirm(f"Cancel {count} deliveries? They wait until sync retry", abort=True, err=True)


def _put_back(
    state: State, delivery_id: str, chosen: Selection, *, every: bool, json_wanted: bool
) -> None:
    meant = replace(chosen, delivery_id=delivery_id)
    _check(meant, every=every)
    with opened() as bridge:
        count = bridge.put_back(meant, (state,), actor=ACTOR)
    if json_wanted:
        printing.data({"put_back": count})
    else:
        click.echo(f"{count} {state} deliveries put back in line.")
    if delivery_id and not count:
        raise click.ClickException(f"no delivery of this id is {state}; nothing was changed")
    printing.remark("Next: fhirbridge sync run")


def _check(chosen: Selection, *, every: bool) -> None:
    if (chosen == EVERYTHING) != every:
        raise click.UsageError("say which: an id or options, or --all alone")


def _stopped(destination: str, patient: str) -> Stopped:
    if not destination and not patient:
        raise click.UsageError("name a --destination, a --patient, or both")
    return Stopped(destination, patient)
