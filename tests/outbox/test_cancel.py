"""What an operator cancels is set aside, not lost; what is under way and what arrived stays."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.destinations.errors import DestinationError
from fhirbridge.outbox import cancel as cancelling
from fhirbridge.outbox import claim
from fhirbridge.outbox.cancel import Cancelled
from fhirbridge.outbox.claim import FencedError
from fhirbridge.outbox.selection import EVERYTHING, Selection
from tests.deliver import refusing
from tests.factories import AFTER_A_LEASE, World, a_pulse, a_short_visit, amended, rate
from tests.intake.charts import pulse_of, take_back

POSITIVE = {
    "id": "as-1",
    "instrument": {"key": "c-ssrs-screener"},
    "time": "2026-03-01T09:05:00-05:00",
    "mode": "self",
    "items": [{"id": f"i{n}", "number": n, "value": int(n == 1)} for n in range(1, 7)],
}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def cancel(world: World, chosen: Selection = EVERYTHING) -> Cancelled:
    return world.bridge.cancel(chosen, actor="dr-who")


def pulses(world: World) -> list[int]:
    """Each pulse that the EHR was told, in the order in which it came."""
    sent = [one for carried in refusing.requests(world) for one in carried]
    return [one["valueQuantity"]["value"] for one in sent if one["resourceType"] == "Observation"]


def test_r18_what_is_cancelled_is_set_aside_with_evidence_and_not_sent(world: World) -> None:
    world.accept(a_short_visit())

    foreseen = world.bridge.cancellable(EVERYTHING)
    done = cancel(world)
    world.settle()

    assert foreseen == done == Cancelled(cancelled=2, under_way=0)
    assert {(row.state, row.reason.partition(":")[0]) for row in world.rows()} == {
        ("parked", "cancelled")
    }
    assert world.ehr.transport.sent == []
    moves = world.evidence("delivery.changed")
    assert [(row.actor, row.outcome) for row in moves] == [("dr-who", "parked")] * 2


def test_r18_what_was_cancelled_goes_once_and_in_order_when_it_is_retried(world: World) -> None:
    for number in (1, 2, 3):
        vital = a_pulse("v-1", 70 + number, day=f"2026-03-0{number}")
        world.accept(a_short_visit(number, vitals=[vital]))
    cancel(world)

    world.retry()
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert pulses(world) == [71, 72, 73]


def test_r18_what_arrived_stays_and_is_not_touched(world: World) -> None:
    world.take(a_short_visit())
    world.accept(amended(a_short_visit(), rate(91)))

    cancel(world)
    world.settle()

    assert sorted(world.states()) == ["delivered", "delivered", "parked"]
    assert pulses(world) == [72]


def test_r18_what_is_under_way_goes_on_and_is_counted(world: World) -> None:
    world.accept(a_short_visit())
    lane = world.shared_lane()
    working = world.drain(lane)
    assert [next(working), next(working)] == ["leased", "claimed"]

    done = cancel(world)
    list(working)

    assert done == Cancelled(cancelled=1, under_way=1)
    assert sorted(world.states()) == ["delivered", "parked"]


def test_r18_what_a_worker_has_chosen_is_under_way_until_its_lease_ends(world: World) -> None:
    world.accept(a_short_visit())
    lane = world.shared_lane()
    (chosen,) = [row for row in world.rows() if row.lane == lane.lane]
    with world.store.begin() as tx:
        fence = claim.lease(tx, lane, world.clock.now())
        claim.count_runs(tx, [chosen])
    assert fence is not None
    meant = Selection(delivery_id=chosen.id)

    while_it_works = cancel(world, meant)
    world.clock.advance(AFTER_A_LEASE)
    once_it_is_dead = cancel(world, meant)

    assert while_it_works == Cancelled(cancelled=0, under_way=1)
    assert once_it_is_dead == Cancelled(cancelled=1, under_way=0)
    with world.store.begin() as tx, pytest.raises(FencedError):  # it only slept, and wakes
        claim.check_fence(tx, lane, fence, world.clock.now())


def test_r18_what_may_have_landed_is_read_back_and_not_set_aside(world: World) -> None:
    world.accept(a_short_visit())
    working = world.drain(world.shared_lane())
    assert [next(working) for _ in range(3)] == ["leased", "claimed", "answered"]
    del working
    world.clock.advance(AFTER_A_LEASE)

    done = cancel(world)
    world.settle()

    assert done == Cancelled(cancelled=1, under_way=1)
    assert sorted(world.states()) == ["delivered", "parked"]


def test_r18_of_one_patient_what_others_need_stays_in_line(world: World) -> None:
    first = world.accept(a_short_visit(1, "pt-1"))
    world.accept(a_short_visit(1, "pt-2"))
    (mine,) = [row for row in world.patient_rows() if row.record_id == first.id]

    done = cancel(world, Selection(patient=mine.lane))
    world.settle()

    assert done.cancelled == 1
    assert [row.id for row in world.rows("parked")] == [mine.id]
    assert len(pulses(world)) == 1


def test_r18_what_takes_back_goes_on_and_is_counted(world: World) -> None:
    receipt = world.take(a_short_visit(1))
    take_back(world, receipt.id)
    world.accept(a_short_visit(2))

    done = cancel(world)
    world.settle()

    assert done == Cancelled(cancelled=1, under_way=1)
    assert world.ehr.read(pulse_of(world, receipt))["status"] == "entered-in-error"
    assert [row.reason.partition(":")[0] for row in world.rows("parked")] == ["cancelled"]


def _of_another_destination(_world: World) -> Selection:
    return Selection(destination="other")


def _of_a_day_without_records(_world: World) -> Selection:
    return Selection(received_before=LONG_AGO)


def _of_another_reason(_world: World) -> Selection:
    return Selection(reason="answered 503")


def _of_later_days(world: World) -> Selection:
    return Selection(received_from=world.clock.now() + timedelta(days=1))


@pytest.mark.parametrize(
    "chosen",
    [_of_another_destination, _of_a_day_without_records, _of_another_reason, _of_later_days],
)
def test_r18_only_what_is_meant_is_cancelled(
    world: World, chosen: Callable[[World], Selection]
) -> None:
    world.connect("other")
    world.connect("third")
    world.accept(a_short_visit())

    done = cancel(world, chosen(world))

    others = [row for row in world.rows() if row.destination != "other"]
    assert {row.state for row in others} == {"pending"}
    assert done.cancelled == len(world.rows("parked"))


def test_r18_a_destination_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(DestinationError):
        cancel(world, Selection(destination="nosuch"))


def test_r18_a_corrected_version_replaces_what_was_cancelled(world: World) -> None:
    world.take(a_short_visit(1))
    world.accept(a_short_visit(2))
    cancel(world)

    world.take(amended(a_short_visit(2), rate(91)))

    assert "parked" not in world.states()
    assert world.differing() == []
    assert pulses(world) == [72, 91]


def test_r18_more_than_a_commits_worth_is_cancelled_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "ROWS_AT_ONCE", 2)
    for number in range(1, 5):
        world.accept(a_short_visit(number))

    done = cancel(world)

    assert done.cancelled == len(world.rows())
    assert set(world.states()) == {"parked"}


def test_r18_a_positive_screen_that_was_cancelled_is_told_at_once(world: World) -> None:
    world.accept(a_short_visit(assessments=[POSITIVE]))
    world.bridge.check_alerts()
    before = [one["kind"] for one in world.told]

    cancel(world)
    world.bridge.check_alerts()

    assert before == []
    assert {one["kind"] for one in world.told} == {"suicidality", "parked"}
