"""How long news takes to an EHR, as operators see it."""

from datetime import timedelta

from fhirbridge.fhir import codec
from fhirbridge.overview import lag
from fhirbridge.overview.lag import Lag
from tests.factories import World, a_short_visit

NOTHING = Lag(waiting=0, p50=0, p95=0, p99=0, counted=0)


def of(world: World) -> Lag:
    with world.store.read() as tx:
        return lag.of_destination(tx, "ehr", world.clock.now())


def waiting(world: World, seconds: int, visit: int = 1) -> World:
    """A record that nobody sends for so long, and is then sent."""
    world.accept(a_short_visit(visit, patient=f"pt-{visit}"))
    world.clock.advance(timedelta(seconds=seconds))
    return world


def test_where_nothing_was_ever_owed_there_is_none() -> None:
    world = World()
    world.connect()

    assert of(world) == NOTHING


def test_r34_what_waits_is_counted_from_the_commit() -> None:
    world = World()
    world.connect()
    waiting(world, 90)

    assert of(world) == Lag(waiting=90, p50=0, p95=0, p99=0, counted=0)


def test_r34_what_arrived_within_the_hour_is_told_by_how_long_it_took() -> None:
    world = World()
    world.connect()
    for visit in range(1, 21):
        waiting(world, 100 if visit == 20 else 2, visit).sync()

    found = of(world)

    assert (found.waiting, found.p50, found.p99) == (0, 2, 100)
    assert found.counted >= 20


def test_r34_what_arrived_long_ago_says_nothing_of_now() -> None:
    world = World()
    world.connect()
    waiting(world, 30).sync()
    world.clock.advance(timedelta(hours=2))

    assert of(world) == NOTHING


def test_r34_a_backfill_is_meant_to_wait() -> None:
    world = World()
    world.accept(a_short_visit())
    world.connect()  # which owes it all that was there before
    world.clock.advance(timedelta(minutes=5))

    assert of(world) == NOTHING


def test_it_is_written_as_json_without_digits_that_say_nothing() -> None:
    lag_of_a_third = Lag(waiting=1 / 3, p50=2, p95=2.04, p99=61, counted=7)

    assert codec.encode(lag_of_a_third.plain()) == (
        b'{"waiting":0.3,"p50":2.0,"p95":2.0,"p99":61.0,"counted":7}'
    )


def test_a_clock_that_was_set_back_makes_no_negative_lag() -> None:
    world = World()
    world.connect()
    world.accept(a_short_visit())
    world.clock.advance(timedelta(seconds=-50))

    assert of(world).waiting == 0
