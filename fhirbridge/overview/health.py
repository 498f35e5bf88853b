"""Whether all is well that deliveries need: one line each, and what to do where it is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from fhirbridge.destinations.registry import Destination
from fhirbridge.ehr.probe import Tested
from fhirbridge.store import moment
from fhirbridge.store.room import MEGABYTE, Disk, Room
from fhirbridge.store.tables import record

LARGEST_SKEW = timedelta(seconds=30)  # half a lease, and what tokens forgive


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line: `next` says what to do where it is not good."""

    name: str
    good: bool
    found: str
    next: str = ""


def lasts_days(tx: Connection, room: Room | None, now: datetime) -> int | None:
    """Say how many days like the last one there is room for; None where nothing came in it."""
    received = select(func.count()).select_from(record)
    since = moment.to_text(now - timedelta(days=1))
    in_all = tx.scalar(received) or 0
    in_a_day = tx.scalar(received.where(record.c.received_at >= since)) or 0
    if room is None or not room.used or not in_a_day:
        return None
    return room.free * in_all // (room.used * in_a_day)


def of_disk(disk: Disk, lasts_days: int | None = None) -> Check:
    """Judge the free space where the database lies."""
    room = disk.measure()
    if room is None:
        return Check(name="disk", good=True, found="nobody can tell how much is free")
    found = f"{room.free // MEGABYTE} MB free"
    if lasts_days is not None:
        found += f", about {lasts_days} days as the last one was"
    if not disk.is_low(room):
        return Check(name="disk", good=True, found=found)
    end = "nothing is taken in" if disk.is_full(room) else "soon nothing is taken in"
    return Check(name="disk", good=False, found=found, next=f"make space: {end}")


def of_alerts(known: Sequence[Destination], *, told: bool) -> Check:
    """Judge whether a person is told, other than by an EHR; a must once there are real charts."""
    if told:
        return Check(name="alerts", good=True, found="they go to FHIRBRIDGE_ALERT_COMMAND")
    real = [one.name for one in known if not (one.test_server or one.traits.get("sandbox"))]
    found = "NOBODY is told: they stand in the log and in sync status only"
    return Check(name="alerts", good=not real, found=found, next="set FHIRBRIDGE_ALERT_COMMAND")


def of_destination(known: Destination, tested: Tested, now: datetime) -> list[Check]:
    """Judge one destination, its guard and the clock beside its own."""
    name, paused = known.name, known.paused
    if not tested.answers:
        signing = tested.why.startswith("sign-in: ")
        what = f"fhirbridge destination test {name}" if signing else "check network and address"
        return [Check(name=name, good=False, found=tested.reason, next=what)]
    if not tested.signed_in:
        what = "check its credentials, then: fhirbridge destination test"
        return [Check(name=name, good=False, found=tested.reason, next=f"{what} {name}")]
    probe = f"fhirbridge destination probe {name}"
    if tested.unchanged is False:
        found = "it is not what was probed; it is paused"
        return [Check(name=name, good=False, found=found, next=probe)]
    if paused:
        found = f"it answers; paused: {paused}"
        what = f"fhirbridge sync resume --destination {name}, or {probe}"
        return [Check(name=name, good=False, found=found, next=what), _clock(name, tested, now)]
    checks = [Check(name=name, good=True, found="it answers"), _clock(name, tested, now)]
    if known.guard:
        found = f"{known.guard}: it guards no update; allowed by a person"
        why = f"why: fhirbridge destination show {name} --reasons"
        checks.append(Check(name=f"guard of {name}", good=True, found=found, next=why))
    return checks


def of_facade(known: Destination) -> Check:
    """Judge what is read from us; no server is asked."""
    if known.paused:
        what = f"fhirbridge sync resume --destination {known.name}"
        return Check(
            name=known.name, good=False, found=f"a facade; paused: {known.paused}", next=what
        )
    return Check(name=known.name, good=True, found="a facade: it is read from, nothing is sent")


def _clock(name: str, tested: Tested, now: datetime) -> Check:
    called = f"clock beside {name}"
    if tested.server_time is None:
        return Check(name=called, good=True, found="it does not tell its time")
    skew = abs(now - tested.server_time)
    found = f"{skew.total_seconds():.0f} s apart"
    if skew <= LARGEST_SKEW:
        return Check(name=called, good=True, found=found)
    return Check(name=called, good=False, found=found, next="set this machine's clock by NTP")
