"""Lanes: one worker at a time, in order, and nobody waits for another patient."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from fhirbridge.deliver import run
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import LEASE, FencedError, LaneName
from fhirbridge.store.engine import Store
from fhirbridge.store.tables import delivery
from tests.factories import AFTER_A_LEASE, World, a_short_visit, amended, rate
from tests.fakes import Fault

SECOND = timedelta(seconds=1)


@pytest.fixture
def on_disk(tmp_path: Path) -> World:
    """A bridge on a file, so that two connections can meet there."""
    made = World(url=f"sqlite:///{tmp_path / 'test.db'}")
    made.connect()
    return made


def due(world: World) -> list[LaneName]:
    with world.store.read() as tx:
        return claim.due_lanes(tx, world.clock.now())


def test_p03_of_two_workers_one_gets_the_lane(on_disk: World) -> None:
    on_disk.accept(a_short_visit())
    lane, now = on_disk.shared_lane(), on_disk.clock.now()
    other = Store(str(on_disk.store.engine.url))

    with on_disk.store.begin() as tx:
        mine = claim.lease(tx, lane, now)
    with other.begin() as tx:
        theirs = claim.lease(tx, lane, now + LEASE - SECOND)
        late = claim.lease(tx, lane, now + LEASE)
    other.close()

    assert (mine, theirs, late) == (1, None, 2)


def test_r06_p04_a_paused_worker_is_refused_and_changes_nothing(on_disk: World) -> None:
    on_disk.accept(a_short_visit())
    for _ in on_disk.drain(on_disk.shared_lane()):
        pass
    paused = on_disk.drain(on_disk.patient_lane())
    assert [next(paused), next(paused), next(paused)] == ["leased", "claimed", "answered"]
    on_disk.clock.advance(AFTER_A_LEASE)
    on_disk.settle()
    before = (on_disk.rows(), on_disk.ledger(), len(on_disk.evidence("delivery.answered")))

    with pytest.raises(FencedError):
        next(paused)

    after = (on_disk.rows(), on_disk.ledger(), len(on_disk.evidence("delivery.answered")))
    assert after == before
    assert set(on_disk.states()) == {"delivered"}


def test_r06_p04_a_worker_that_wakes_before_its_request_sends_what_the_guards_refuse(
    world: World,
) -> None:
    world.accept(a_short_visit())
    for _ in world.drain(world.shared_lane()):
        pass
    paused = world.drain(world.patient_lane())
    assert [next(paused), next(paused)] == ["leased", "claimed"]
    world.clock.advance(AFTER_A_LEASE)
    world.settle()
    before = world.ehr.model.snapshot()

    assert next(paused) == "answered"
    with pytest.raises(FencedError):
        next(paused)

    assert world.ehr.model.snapshot() == before


def test_an_exchange_as_long_as_its_deadline_does_not_cost_the_lane(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.before_serving = lambda _request: world.clock.advance(30 * SECOND)

    world.sync()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_a_release_by_an_older_fence_does_not_free_the_lane(world: World) -> None:
    world.accept(a_short_visit())
    lane, now = world.shared_lane(), world.clock.now()
    with world.store.begin() as tx:
        first = claim.lease(tx, lane, now)
        second = claim.lease(tx, lane, now + LEASE)
        assert (first, second) == (1, 2)
        claim.release(tx, lane, 1)

        assert claim.lease(tx, lane, now + LEASE) is None
        claim.release(tx, lane, 2)
        assert claim.lease(tx, lane, now + LEASE) == 3


def test_a_fence_of_a_released_lane_is_no_fence(world: World) -> None:
    world.accept(a_short_visit())
    lane, now = world.shared_lane(), world.clock.now()
    with world.store.begin() as tx:
        assert claim.lease(tx, lane, now) == 1
        claim.release(tx, lane, 1)

        with pytest.raises(FencedError):
            claim.check_fence(tx, lane, 1, now)


def test_p05_a_lease_from_a_clock_that_was_ahead_stops_nobody(world: World) -> None:
    world.accept(a_short_visit())
    lane, now = world.shared_lane(), world.clock.now()
    with world.store.begin() as tx:
        assert claim.lease(tx, lane, now + timedelta(hours=1)) == 1

        assert claim.lease(tx, lane, now) == 2


def test_p05_a_clock_that_jumps_back_delays_and_loses_nothing(world: World) -> None:
    world.accept(a_short_visit())
    world.clock.jump(timedelta(hours=-1))

    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_p05_a_clock_that_jumps_ahead_sends_nothing_twice(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.before_serving = lambda _request: world.clock.jump(timedelta(hours=2))

    world.settle()

    assert set(world.states()) == {"delivered"}
    assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}


def test_the_shared_lane_goes_first_and_then_the_one_that_waited_longest(world: World) -> None:
    for patient in ("pt-2", "pt-1"):
        world.accept(a_short_visit(patient=patient))
        world.clock.advance(SECOND)

    oldest = min(world.patient_rows(), key=lambda row: row.created_at)

    assert due(world) == [world.shared_lane()]
    list(world.drain(world.shared_lane()))
    assert due(world)[0] == LaneName("ehr", oldest.lane)
    assert len(due(world)) == 2


def test_a_patient_waits_for_the_shared_lane_and_not_the_other_way_round(world: World) -> None:
    world.accept(a_short_visit())

    assert list(world.drain(world.patient_lane())) == ["leased", "released"]
    assert list(world.drain(world.shared_lane()))[-2:] == ["settled", "released"]
    assert list(world.drain(world.patient_lane()))[-2:] == ["settled", "released"]


def test_a_lane_goes_in_the_order_in_which_records_came(world: World) -> None:
    first = a_short_visit()
    second = amended(first, rate(80))
    third = amended(second, rate(90))
    (receipt, *_) = [world.accept(record) for record in (first, second, third)]

    world.settle()

    (pulse,) = world.of_mapping(receipt, "vital-heart-rate")
    rates = [one["valueQuantity"]["value"] for one in world.ehr.history(pulse)]
    assert rates == [72, 80, 90]


def test_a_head_that_waits_for_its_time_keeps_its_own_lane_and_no_other(world: World) -> None:
    first = a_short_visit(patient="pt-1")
    world.take(first)
    world.accept(amended(first, rate(80)))
    world.accept(amended(amended(first, rate(80)), rate(90)))
    world.ehr.transport.script = [Fault.NOT_SENT]
    with world.store.begin() as tx:  # it was tried often, so it waits for minutes
        tx.execute(update(delivery).where(delivery.c.state == "pending").values(attempts=10))
    world.sync()

    world.take(a_short_visit(2, patient="pt-2"))

    states = [row.state for row in world.patient_rows()]
    assert sorted(states) == ["delivered", "delivered", "pending", "pending"]
    assert world.ehr.requests("transaction")[-1]["entry"][0]["resource"]["id"] != ""

    world.clock.advance(timedelta(hours=1))
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_a_lane_that_breaks_off_does_not_stop_the_others_and_comes_back(world: World) -> None:
    world.accept(a_short_visit(patient="pt-1"))
    world.sync()
    broken = amended(a_short_visit(patient="pt-1"), rate(80))
    world.accept(broken)
    world.accept(a_short_visit(patient="pt-2"))
    calls: list[int] = []

    def fall_over_once(_request: object) -> None:
        if not calls:
            calls.append(1)
            raise RuntimeError

    world.ehr.transport.before_serving = fall_over_once
    swept = world.sync()
    assert swept.broken == 1
    assert sorted(row.state for row in world.patient_rows()) == [
        "delivered",
        "delivered",
        "sending",
    ]

    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_a_delivery_that_cannot_be_opened_is_parked_and_its_lane_goes_on(world: World) -> None:
    first = a_short_visit()
    world.take(first)
    bad = world.accept(amended(first, rate(80)))
    with world.store.begin() as tx:
        world.vault.shred(tx, bad.id, "2026-05-04T09:00:00.000000Z")
    for _ in range(run.MOST_RUNS + 1):
        world.sync()
        world.clock.advance(AFTER_A_LEASE)

    world.take(amended(amended(first, rate(80)), rate(90)))
    world.settle()

    assert [row.reason.split(":")[0] for row in world.rows("parked")] == ["poison"]
    assert world.patient_rows()[-1].state == "delivered"
    assert world.differing() == []


def test_a_poisoned_shared_delivery_lets_go_those_who_do_not_name_it(world: World) -> None:
    world.take(a_short_visit(patient="pt-1"))
    changed = amended(
        a_short_visit(patient="pt-1"), lambda r: r["staff"][0]["name"].update(given=["B."])
    )
    receipt = world.accept(changed)
    with world.store.begin() as tx:
        world.vault.shred(tx, receipt.id, "2026-05-04T09:00:00.000000Z")
    for _ in range(2 * (run.MOST_RUNS + 1)):
        world.sync()
        world.clock.advance(AFTER_A_LEASE)

    other = a_short_visit(2, patient="pt-2")
    other["staff"][0]["name"]["given"] = ["C."]
    world.take(other)
    world.settle()

    shared = [row.state for row in world.rows() if row.lane == "shared"]
    assert shared == ["delivered", "parked", "delivered"]
    assert world.rows("pending") == []


def test_a_stopped_destination_stops_no_other(world: World) -> None:
    other = world.connect("other")
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    world.take(a_short_visit())

    assert {row.state for row in world.rows() if row.destination == "other"} == {"delivered"}
    assert {row.state for row in world.rows() if row.destination == "ehr"} == {"pending"}
    assert len(other.all_of("Patient")) == 1
    assert world.ehr.all_of("Patient") == []


def test_p18_what_was_beside_the_one_that_kills_its_worker_is_not_begun_beside_it_again(
    world: World,
) -> None:
    for patient in ("a", "b", "c"):
        world.accept(a_short_visit(patient=patient))
    lanes = [LaneName(row.destination, row.lane) for row in world.patient_rows()]
    for _ in world.drain(world.shared_lane()):
        pass
    died_twice(world, lanes[:2])

    deadly, beside, fresh = (world.drain(name) for name in lanes)

    assert [next(deadly), next(deadly)] == ["leased", "claimed"]
    assert list(beside) == ["leased", "released"]
    assert list(fresh)[-1] == "released"
    assert [row.runs for row in world.patient_rows()] == [3, 2, 0]
    world.clock.advance(AFTER_A_LEASE)  # the one that kills did it again
    world.settle()
    assert set(world.states()) == {"delivered"}


def died_twice(world: World, lanes: list[LaneName]) -> None:
    for name in lanes:
        of_lane = (delivery.c.destination == name.destination) & (delivery.c.lane == name.lane)
        with world.store.begin() as tx:
            tx.execute(update(delivery).where(of_lane).values(runs=2))
