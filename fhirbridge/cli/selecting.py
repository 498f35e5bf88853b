"""The options that narrow what a command is about."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import click

from fhirbridge.outbox.selection import Selection

R = TypeVar("R")
DAY = click.DateTime(formats=["%Y-%m-%d"])
OPTIONS = (
    click.option("--destination", default="", help="Only what is owed to this destination."),
    click.option(
        "--from", "first", type=DAY, help="Only records received on this UTC day or later."
    ),
    click.option("--to", "last", type=DAY, help="Only records received on this UTC day or before."),
    click.option("--record", default="", help="Only this record version (its id)."),
    click.option("--patient", default="", help="Only this patient (the id that status shows)."),
    click.option("--type", "kind", default="", help="Only what carries this FHIR type."),
    click.option("--reason", default="", help="Only where the reason begins so."),
    click.option(
        "--mapping-set", default="", help="Only what this set made (digest or its start)."
    ),
)


def selection(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options, and hand it what they say as `chosen`."""

    @wraps(command)
    def narrowed(*words: Any, **given: Any) -> R:
        first, last = given.pop("first"), given.pop("last")
        chosen = Selection(
            destination=given.pop("destination"),
            received_from=_day(first),
            received_before=_day(last, timedelta(days=1)),
            record_id=given.pop("record"),
            patient=given.pop("patient"),
            type=given.pop("kind"),
            reason=given.pop("reason"),
            mapping_set=given.pop("mapping_set"),
        )
        return command(*words, chosen=chosen, **given)

    for option in reversed(OPTIONS):
        narrowed = option(narrowed)
    return narrowed


def _day(given: datetime | None, later: timedelta = timedelta()) -> datetime | None:
    return None if given is None else given.replace(tzinfo=UTC) + later
