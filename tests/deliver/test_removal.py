"""R27: a destination that is removed gets nothing more, and takes nothing of the others away."""

from typing import Any

import pytest

from fhirbridge.deliver import removal
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.outbox import claim
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.outbox.selection import Selection
from fhirbridge.signin.keys import Algorithm, Stage
from tests.factories import AFTER_A_LEASE, World, a_short_visit, amended, rate
from tests.fakes import Fault
from tests.intake.charts import chart_of
from tests.mapping_sets import few_mappings


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    for name in ("ehr", "other"):
        made.connect(name)
    return made


def remove(world: World, **more: Any) -> dict[str, int]:
    return world.bridge.remove_destination("ehr", actor="test", **more)


def states(world: World, name: str) -> list[str]:
    return [row.state for row in world.rows() if row.destination == name]


def test_r27_what_is_removed_gets_nothing_more_and_its_ledger_and_evidence_stay(
    world: World,
) -> None:
    world.take(a_short_visit())
    held, written = world.ledger(), len(world.evidence("delivery.answered"))
    world.ehr.transport.sent.clear()

    assert remove(world) == {}
    world.take(amended(a_short_visit(), rate(80)))

    assert world.ehr.transport.sent == []
    assert [one.name for one in world.bridge.destinations()] == ["other"]
    assert world.ledger() == held
    assert len(world.evidence("delivery.answered")) > written
    assert [row.destination for row in world.evidence("destination.removed")] == ["ehr"]
    assert set(states(world, "other")) == {"delivered"}
    with pytest.raises(DestinationError):
        world.bridge.destination("ehr")


def test_r27_what_is_owed_is_not_lost_by_a_mistake(world: World) -> None:
    world.accept(a_short_visit())

    with pytest.raises(DestinationError, match="still owed 2 pending"):
        remove(world)
    world.sync()

    assert set(states(world, "ehr")) == {"delivered"}
    assert remove(world) == {}


@pytest.mark.parametrize("state", ["pending", "held", "parked", "unknown"])
def test_r27_what_is_owed_is_given_up_by_a_persons_word_whatever_its_state(
    world: World, state: str
) -> None:
    world.accept(a_short_visit())
    if state == "unknown":
        lose_an_answer(world)
        assert "unknown" in states(world, "ehr")
    if state == "parked":
        world.bridge.cancel(Selection(destination="ehr"), actor="test")
    if state == "held":
        world.bridge.retract_chart(
            chart_of(world, world.accept(a_short_visit()).id), reason="x", actor="test"
        )
        world.accept(amended(a_short_visit()))
        assert "held" in states(world, "ehr")
    before = len(states(world, "other"))

    given_up = remove(world, give_up="the clinic left that hospital")

    assert given_up
    assert set(states(world, "ehr")) <= {"superseded", "delivered"}
    assert len(states(world, "other")) == before
    waiting = world.bridge.status().waiting
    assert [one for one in waiting if one["destination"] != "other"] == []


def test_r27_of_what_may_have_arrived_it_is_said_that_nobody_knows(world: World) -> None:
    world.accept(a_short_visit())
    lose_an_answer(world)

    remove(world, give_up="closed down")

    reasons = {row.reason for row in world.rows("superseded")}
    assert removal.IN_DOUBT in reasons


def test_r27_a_request_under_way_is_never_torn(world: World) -> None:
    world.accept(a_short_visit())
    lane = world.shared_lane()
    with world.store.begin() as tx:
        fence = claim.lease(tx, lane, world.clock.now())

    with pytest.raises(DestinationError, match="under way"):
        remove(world, give_up="at once")

    assert world.bridge.destination("ehr").paused == ""
    world.clock.advance(AFTER_A_LEASE)
    remove(world, give_up="its worker is dead")
    assert fence is not None
    now = world.clock.now()
    with world.store.begin() as tx, pytest.raises(claim.FencedError):
        claim.check_fence(tx, lane, fence, now)  # it wakes, and may send nothing


def test_r27_its_sign_in_is_erased_and_its_keys_are_retired(world: World) -> None:
    world.bridge.make_key("ehr", Algorithm.ES384, actor="test")
    world.bridge.make_key("other", Algorithm.ES384, actor="test")

    remove(world)

    assert [one.stage for one in world.bridge.signing_keys("ehr")] == [Stage.RETIRED]
    assert [one.stage for one in world.bridge.signing_keys("other")] == [Stage.USED]
    assert len(world.bridge.jwks()["keys"]) == 1


def test_r27_its_pauses_and_alerts_end_with_it(world: World) -> None:
    world.accept(a_short_visit())
    world.bridge.pause(Stopped("ehr", ""), actor="test")
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    world.bridge.check_alerts()

    remove(world, give_up="closed down")
    world.bridge.check_alerts()

    assert world.bridge.pauses() == []
    assert [one for one in world.bridge.status().alerts if one["destination"] == "ehr"] == []


def test_r27_a_removal_that_was_stopped_half_way_is_finished_by_asking_again(
    world: World,
) -> None:
    world.accept(a_short_visit())
    with world.store.begin() as tx:
        removal.begin(tx, "ehr")
        removal.give_up(tx, world.bridge._settlement, "ehr", actor="test")
    world.sync()
    assert world.ehr.transport.sent == []

    remove(world, give_up="closed down")

    assert [one.name for one in world.bridge.removed_destinations()] == ["ehr"]


def test_safety_13_what_a_removed_ehr_holds_of_a_wrong_chart_is_a_persons_task(
    world: World,
) -> None:
    receipt = world.take(a_short_visit())
    remove(world)
    chart = chart_of(world, receipt.id)

    listed = world.bridge.incident(chart, actor="test")
    done = world.bridge.retract_chart(chart, reason="wrong chart", actor="test")

    there = [one for one in listed["there"] if one["destination"] == "ehr"]
    tasks = {one["resource"] for one in there if "destination was removed" in one["way_back"]}
    assert tasks
    assert tasks <= {one["resource"] for one in done.by_hand if one["destination"] == "ehr"}
    assert {one["destination"] for one in done.retracted} == {"other"}


def lose_an_answer(world: World) -> None:
    """The first request arrives and its answer does not, nor does any request after it."""
    world.ehr.transport.script = [Fault.LOST]
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    world.sync()
