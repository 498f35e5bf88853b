"""How far each EHR was looked at, and why nothing may go to one before it is looked at whole."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from fhirbridge.destinations import registry
from fhirbridge.store import moment
from fhirbridge.store.drift_tables import watch
from fhirbridge.store.upsert import insert

OWN = (
    "our own database is not the one that was used last: it is compared with the EHR before "
    "anything is sent; see fhirbridge reconcile"
)
RESTORED = "looks like a restored database: "


class State(NamedTuple):
    """What is known of one destination; texts are "" before the first time."""

    polled_to: str = ""
    swept_at: str = ""
    stop: str = ""


def restored(name: str, lost: int, compared: int) -> str:
    """Say what a person has to look at before ours is sent once more."""
    return (
        f"{RESTORED}{lost} of {compared} resources are missing or older there; make sure that it "
        f"is the right EHR, then run fhirbridge reconcile {name} --repair"
    )


def state(tx: Connection, name: str) -> State:
    """Return how far a destination was looked at."""
    row = tx.execute(select(watch).where(watch.c.destination == name)).one_or_none()
    return State() if row is None else State(row.polled_to, row.swept_at, row.stop)


def note(
    tx: Connection, name: str, *, now: datetime, date: datetime | None, full: bool, stop: str
) -> None:
    """Note a look that came to its end. Only a full one ends a stop, or begins one."""
    before = state(tx, name)
    values: dict[str, Any] = {"polled_to": moment.to_text(date) if date else before.polled_to}
    if full:
        values |= {"swept_at": moment.to_text(now), "stop": stop}
    _save(tx, name, values)
    if full and registry.get(tx, name).paused in ("", before.stop):
        registry.pause(tx, name, stop)


def forget(tx: Connection, name: str) -> None:
    """Forget how far a destination was looked at that is removed."""
    tx.execute(delete(watch).where(watch.c.destination == name))


def stop_all(tx: Connection, why: str) -> None:
    """Let nothing go to any destination before it was compared as a whole.

    What a facade shows went back with our database: there is nothing to compare it with.
    """
    for one in registry.every(tx):
        if not one.is_facade:
            _save(tx, one.name, {"stop": why})
    enforce(tx)


def enforce(tx: Connection) -> list[str]:
    """Pause again whom somebody resumed over a stop; return the names that are stopped."""
    stopped = tx.execute(select(watch.c.destination, watch.c.stop).where(watch.c.stop != ""))
    names = []
    for name, why in stopped.all():
        names.append(name)
        if registry.get(tx, name).paused == "":
            registry.pause(tx, name, why)
    return names


def _save(tx: Connection, name: str, values: dict[str, Any]) -> None:
    whole = {"destination": name, **State()._asdict(), **values}
    line = insert(watch).values(**whole)
    tx.execute(line.on_conflict_do_update(index_elements=["destination"], set_=values))
