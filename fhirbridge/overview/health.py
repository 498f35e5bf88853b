"""Whether all is well that deliveries need: one line each, and what to do where it is not."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from fhirbridge.ehr.probe import Tested

LEAST_FREE = 1_000_000_000  # bytes
LARGEST_SKEW = timedelta(seconds=30)  # half a lease, and what tokens forgive


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line: `next` says what to do where it is not good."""

    name: str
    good: bool
    found: str
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """How SQLite keeps the file."""

    sqlite: str
    journal: str


def database(tx: Connection) -> Database:
    """Ask SQLite."""
    version = tx.scalar(text("SELECT sqlite_version()"))
    return Database(sqlite=version, journal=tx.scalar(text("PRAGMA journal_mode")))


def of_disk(free: int) -> Check:
    """Judge the free space where the database lies."""
    return Check(
        name="disk",
        good=free >= LEAST_FREE,
        found=f"{free // 1_000_000} MB free",
        next="" if free >= LEAST_FREE else "make space: nothing is taken in on a full disk",
    )


def of_destination(name: str, paused: str, tested: Tested, now: datetime) -> list[Check]:
    """Judge one destination and the clock beside its own."""
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
    return [Check(name=name, good=True, found="it answers"), _clock(name, tested, now)]


def _clock(name: str, tested: Tested, now: datetime) -> Check:
    called = f"clock beside {name}"
    if tested.server_time is None:
        return Check(name=called, good=True, found="it does not tell its time")
    skew = abs(now - tested.server_time)
    found = f"{skew.total_seconds():.0f} s apart"
    if skew <= LARGEST_SKEW:
        return Check(name=called, good=True, found=found)
    return Check(name=called, good=False, found=found, next="set this machine's clock by NTP")
