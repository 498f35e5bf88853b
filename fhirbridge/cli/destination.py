"""`fhirbridge destination`: the EHR servers that receive."""

from collections.abc import Callable
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.destinations.registry import NO_LIMITS, LimitChange, Limits


@click.group()
def destination() -> None:
    """Add, list, probe, test and limit EHR FHIR servers."""


def _limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of how much a server is asked at most."""
    for option in (
        click.option("--per-day", type=int, help="Requests a day (UTC) at most; 0: no limit."),
        click.option("--concurrent", type=int, help="Patients at the same time at most."),
        click.option("--rps", type=float, help="Requests a second at most; 0: no limit."),
    ):
        command = option(command)
    return command


@destination.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--requires-consent", is_flag=True, help="Send only what the patient agreed to share."
)
@click.option(
    "--test-patient",
    is_flag=True,
    help="This is a test server: synthetic patients may be written to it, also by the probe.",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="A private network it answers in, such as 10.20.0.0/16.",
)
@click.option("--overlay", default="", help="Change the mappings for it by this overlay of theirs.")
@_limits
@as_json
def add(
    name: str,
    url: str,
    *,
    requires_consent: bool,
    test_patient: bool,
    networks: tuple[str, ...],
    overlay: str,
    rps: float | None,
    concurrent: int | None,
    per_day: int | None,
    json_wanted: bool,
) -> None:
    """Add the FHIR server at URL under NAME and probe it.

    A server that is neither the sandbox nor named a test server is only read, and nothing is sent
    to it before a probe has proven what it honours.
    """
    asked = LimitChange(rps=rps, concurrent=concurrent, per_day=per_day)
    with opened() as bridge:
        added = bridge.add_destination(
            name=name,
            base_url=url,
            requires_consent=requires_consent,
            test_server=test_patient,
            networks=networks,
            overlay=overlay,
            limits=asked.applied(NO_LIMITS),
            actor=ACTOR,
        )
    _show([added], json_wanted=json_wanted)
    if added.paused:
        printing.words(f"Nothing is sent to {name} yet: {added.paused}")


@destination.command("set")
@click.argument("name")
@_limits
@as_json
def set_limits(
    name: str, *, rps: float | None, concurrent: int | None, per_day: int | None, json_wanted: bool
) -> None:
    """Set how much NAME is asked at most, by all workers together. What is left out stays."""
    asked = LimitChange(rps=rps, concurrent=concurrent, per_day=per_day)
    if asked == LimitChange():
        raise click.UsageError("give --rps, --concurrent or --per-day")
    with opened() as bridge:
        found = bridge.limit_destination(name, asked, actor=ACTOR)
    _show([found], json_wanted=json_wanted)


@destination.command("list")
@as_json
def list_all(*, json_wanted: bool) -> None:
    """List the destinations and what their probes found."""
    with opened() as bridge:
        _show(bridge.destinations(), json_wanted=json_wanted)


@destination.command()
@click.argument("name")
@as_json
def probe(name: str, *, json_wanted: bool) -> None:
    """Probe NAME again: find out what the server honours."""
    with opened() as bridge:
        found = bridge.probe_destination(name, actor=ACTOR)
    _show([found], json_wanted=json_wanted)


@destination.command()
@click.argument("name")
@as_json
def test(name: str, *, json_wanted: bool) -> int:
    """See whether NAME answers, signs us in and is what was probed. Reads only.

    A server that promises other things than when it was probed is paused until the next probe.
    Exit status 1 where anything is wrong.
    """
    with opened() as bridge:
        found = bridge.test_destination(name, actor=ACTOR)
    if json_wanted:
        printing.data(
            {
                "name": name,
                "good": found.good,
                "answers": found.answers,
                "signed_in": found.signed_in,
                "unchanged": found.unchanged,
                "reason": found.reason,
            }
        )
    else:
        marks = {True: "yes", False: "NO", None: "not known"}
        shown = [marks[one] for one in (found.answers, found.signed_in, found.unchanged)]
        columns = ["answers", "signs us in", "as it was probed", "found"]
        printing.table(name, columns, [[*shown, found.reason]])
    if found.unchanged is False:
        printing.words(f"{name} is paused. Next: fhirbridge destination probe {name}")
    return 0 if found.good else 1


def _show(found: list[Any], *, json_wanted: bool) -> None:
    if json_wanted:
        names = (
            "name",
            "base_url",
            "mode",
            "traits",
            "requires_consent",
            "test_server",
            "overlay",
            "networks",
            "paused",
        )
        printing.data(
            [
                {**{field: getattr(one, field) for field in names}, "limits": one.limits.plain()}
                for one in found
            ]
        )
        return
    rows = [
        [
            one.name,
            one.base_url,
            one.mode,
            _traits(one.traits),
            _limit_words(one.limits),
            one.paused or "ready",
        ]
        for one in found
    ]
    printing.table("Destinations", ["name", "address", "mode", "honours", "limits", "state"], rows)


def _limit_words(limits: Limits) -> str:
    words = [f"{limits.concurrent} at a time"]
    words += [f"{limits.rps:g} a second"] if limits.rps else []
    words += [f"{limits.per_day} a day"] if limits.per_day else []
    return "\n".join(words)


def _traits(traits: dict[str, Any]) -> str:
    marks = {True: "yes", False: "NO", None: "not tried"}
    return "\n".join(
        f"{name}: {marks[value]}"
        for name, value in traits.items()
        if name not in ("software", "sandbox", "profiles", "capability")
    )
