"""`fhirbridge webhook-endpoint`: who is told by signed webhooks what happened."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.handing import Handing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.events.log import Kind
from fhirbridge.webhooks.decide import Outcome
from fhirbridge.webhooks.endpoints import New

NOT_TAKEN = 1

to_file = click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the secret to this new file (mode 0600) instead of printing it.",
)


@click.group()
def webhook_endpoint() -> None:
    """Say who is told by signed webhooks (Standard Webhooks) what happened; no patient data.

    `fhirbridge serve` and `fhirbridge worker` send them.
    """


@webhook_endpoint.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([one.value for one in Kind]),
    help="Tell it of this kind only; may be repeated. Without it: of every kind.",
)
@click.option(
    "--destination",
    "destinations",
    multiple=True,
    help="Tell it of this EHR only; may be repeated. Without it: of all, and of what is of none.",
)
@click.option(
    "--allow-network",
    "networks",
    multiple=True,
    help="A private network in which it may lie, such as 10.20.0.0/16; it is noted.",
)
@to_file
def add(
    name: str,
    url: str,
    *,
    kinds: tuple[str, ...],
    destinations: tuple[str, ...],
    networks: tuple[str, ...],
    target: Path | None,
) -> None:
    """Tell the system NAME at URL (https) what happens from now on; its secret is printed once."""
    new = New(name=name, url=url, kinds=kinds, destinations=destinations, networks=networks)
    with opened() as bridge, Handing(target, "the receiver") as handing:
        handing.over(bridge.webhooks.add(new, actor=ACTOR))
    tried = f"fhirbridge webhook-endpoint test {shlex.quote(name)}"
    printing.words(f"{name} is told from now on. Try it: {tried}")


@webhook_endpoint.command("list")
@as_json
def list_all(*, json_wanted: bool) -> None:
    """List endpoints, what each is owed, and until when its secrets sign; no secret."""
    with opened() as bridge:
        found = bridge.webhooks.every()
    if json_wanted:
        printing.data(found)
        return
    rows = [
        [
            one["name"],
            one["url"],
            ", ".join([*one["kinds"], *one["destinations"]]) or "everything",
            ", ".join(one["networks"]),
            _counted(one["messages"]),
            _state(one),
            _ends(one["secrets"]),
        ]
        for one in found
    ]
    columns = ["name", "address", "told of", "allowed", "messages", "state", "older secret until"]
    printing.table("Webhook endpoints", columns, rows)


@webhook_endpoint.command()
@click.argument("name")
@as_json
def test(name: str, *, json_wanted: bool) -> int:
    """Send a message of type webhook.test now, also to one that is disabled, and show the answer.

    Exit status 1 where it was not taken.
    """
    with opened() as bridge:
        found = bridge.webhooks.test(name, actor=ACTOR)
    if json_wanted:
        printing.data(found)
    else:
        _show(found)
    return 0 if found["outcome"] == Outcome.DELIVERED else NOT_TAKEN


@webhook_endpoint.command()
@click.argument("name")
@to_file
def rotate(name: str, *, target: Path | None) -> None:
    """Make another secret; for 24 hours messages are signed by it and by the one before it."""
    with opened() as bridge, Handing(target, "the receiver") as handing:
        handing.over(bridge.webhooks.rotate(name, actor=ACTOR))
    printing.words(f"{name} has another secret. The one before it signs for 24 hours more.")


@webhook_endpoint.command()
@click.argument("name")
def disable(name: str) -> None:
    """Send nothing to NAME until it is enabled; what happens meanwhile waits, 30 days at most."""
    with opened() as bridge:
        bridge.webhooks.disable(name, actor=ACTOR)
    printing.words(f"{name} is disabled.")


@webhook_endpoint.command()
@click.argument("name")
def enable(name: str) -> None:
    """Send to NAME again, beginning with what waits."""
    with opened() as bridge:
        bridge.webhooks.enable(name, actor=ACTOR)
    printing.words(f"{name} is enabled.")


@webhook_endpoint.command()
@click.argument("name")
def remove(name: str) -> None:
    """Tell NAME nothing any more, and erase its secrets."""
    with opened() as bridge:
        bridge.webhooks.remove(name, actor=ACTOR)
    printing.words(f"{name} is removed.")


@webhook_endpoint.command()
@click.argument("name")
@click.option("--event", "message", default="", help="Of this event (webhook-id) only.")
@click.option("--show", "attempt", default="", help="Show this one: what was signed, the answer.")
@as_json
def attempts(name: str, *, message: str, attempt: str, json_wanted: bool) -> None:
    """List what was sent to NAME and what came of it, the newest first."""
    with opened() as bridge:
        if attempt:
            found = bridge.webhooks.attempt(name, attempt)
            printing.data(found) if json_wanted else _show(found)
            return
        listed = bridge.webhooks.attempts(name, message=message)
    if json_wanted:
        printing.data(listed)
        return
    columns = ["attempt", "webhook-id", "try", "at", "outcome", "why", "ms"]
    names = ("id", "message", "number", "at", "outcome", "reason", "took_ms")
    printing.table(name, columns, [[one[column] for column in names] for one in listed])


@webhook_endpoint.command()
@click.argument("name")
@click.option("--event", default="", help="This event (webhook-id).")
@click.option("--since", type=click.DateTime(), help="What happened from then on (UTC).")
@click.option("--until", type=click.DateTime(), help="And before then (UTC); else until now.")
def replay(name: str, *, event: str, since: datetime | None, until: datetime | None) -> None:
    """Send NAME, and nobody else, once more what passes its filters: same id, signed anew."""
    if bool(event) == bool(since) or (until and not since):
        raise click.UsageError("give --event ID, or --since TIME and perhaps --until TIME")
    with opened() as bridge:
        if since is None:
            count = bridge.webhooks.replay_event(name, event, actor=ACTOR)
        else:
            end = until.replace(tzinfo=UTC) if until else bridge.clock.now()
            begin = since.replace(tzinfo=UTC)
            count = bridge.webhooks.replay_range(name, begin, end, actor=ACTOR)
    printing.words(f"{count} messages wait for {name}; serve or worker sends them.")


def _show(found: dict[str, Any]) -> None:
    what = f"{found['outcome']} {found['status'] or ''} {found['reason']}".strip()
    printing.words(f"{what}, {found['took_ms']} ms")
    click.echo(f"signed:\n{found['signed']}\nanswer:\n{found['answer']}")


def _counted(messages: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in messages.items() if count) or "none"


def _state(one: dict[str, Any]) -> str:
    failing = one["failing_since"] and f"nothing was taken since {one['failing_since']}"
    return str(one["disabled"] or failing or "ready")


def _ends(secrets: list[dict[str, str]]) -> str:
    return ", ".join(one["expires_at"] for one in secrets if one["expires_at"])
