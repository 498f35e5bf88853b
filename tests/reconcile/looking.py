"""A pulse in an EHR, and one look at what became of it."""

from typing import Any

from fhirbridge.reconcile.run import Report
from tests.factories import A_DAY, Record, World, a_short_visit

NOTE = [{"text": "Synthetic note: confirmed by phone"}]
LATER = A_DAY / 24


def a_pulse_there(world: World) -> tuple[Record, str]:
    record = a_short_visit()
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    world.clock.advance(LATER)
    return record, pulse


def look(world: World, *, full: bool = False, repair: bool = False) -> Report:
    return world.bridge.reconcile("ehr", full=full, repair=repair, actor="test")


def one_finding(world: World) -> dict[str, Any]:
    (found,) = world.bridge.drift("ehr")
    return found
