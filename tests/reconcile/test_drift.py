"""What people at the EHR do is found, told apart, and never undone without somebody's word."""

from dataclasses import asdict
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.reconcile.findings import DriftError
from fhirbridge.reconcile.weigh import Choice
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import Fault
from tests.reconcile.looking import LATER, NOTE, a_pulse_there, look, one_finding


@pytest.mark.parametrize("full", [False, True])
def test_r24_where_nothing_changed_nothing_is_found_and_nothing_is_written(
    world: World, *, full: bool
) -> None:
    a_pulse_there(world)
    before = world.ehr.model.snapshot()

    report = look(world, full=full)

    assert (report.kinds, report.waiting, report.repaired) == ({}, 0, 0)
    assert report.compared > 0
    assert world.ehr.model.snapshot() == before


def test_a_report_can_be_shown_as_json(world: World) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)

    assert b'"kinds":{"edited":1}' in codec.encode(asdict(look(world)))


@pytest.mark.parametrize("full", [False, True])
def test_r24_an_edit_is_found_with_its_elements_and_waits(world: World, *, full: bool) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE, status="amended")
    world.clock.advance(LATER)

    report = look(world, full=full)

    found = one_finding(world)
    assert (report.kinds, report.waiting) == ({"edited": 1}, 1)
    assert f"{found['type']}/{found['resource_id']}" == pulse
    assert (found["kind"], found["state"]) == ("edited", "open")
    assert found["elements"] == ["note[0].text", "status"]
    sides = world.bridge.drift_sides(found["id"], actor="test")
    assert sides["theirs"]["status"] == "amended"
    assert sides["base"]["status"] == sides["ours"]["status"] == "final"
    assert world.ehr.read(pulse)["note"] == NOTE


def test_the_same_edit_is_told_once(world: World) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)

    for _ in range(3):
        look(world)
        world.clock.advance(LATER)

    assert len(world.bridge.drift("ehr")) == 1
    assert len(world.evidence("drift.found")) == 1


def test_an_edit_that_is_taken_back_waits_for_nobody(world: World) -> None:
    record, pulse = a_pulse_there(world)
    before = world.ehr.read(pulse)
    world.ehr.edit(pulse, note=NOTE)
    world.take(amended(record, rate(90)))
    world.settle()
    assert look(world).waiting == 1

    put(world, pulse, before)
    look(world)
    world.settle()

    assert world.bridge.drift("ehr") == []
    assert set(world.states()) == {"delivered"}
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == 90


def put(world: World, reference: str, body: dict[str, Any]) -> None:
    kind, _, own = reference.partition("/")
    with world.ehr.storage.atomically():
        world.ehr.model._interactions._store.write(kind, own, body)


@pytest.mark.parametrize("with_a_held_delivery", [True, False])
def test_ours_goes_once_more_when_somebody_says_so(
    world: World, *, with_a_held_delivery: bool
) -> None:
    record, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    if with_a_held_delivery:
        world.take(amended(record, rate(90)))
        world.settle()
        assert len(world.rows("held")) == 1
    look(world)

    found = one_finding(world)
    world.bridge.decide(found["id"], Choice.OURS, reason="typed in by mistake", actor="ann")
    assert look(world).waiting == 0
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == (90 if with_a_held_delivery else 72)
    assert world.ehr.read(pulse)["note"] != NOTE
    assert world.bridge.drift("ehr") == []
    (kept,) = world.bridge.drift("ehr", every=True)
    sides = world.bridge.drift_sides(kept["id"], actor="test")
    assert (kept["choice"], kept["actor"]) == ("ours", "ann")
    assert (sides["reason"], sides["theirs"]["note"]) == ("typed in by mistake", NOTE)


@pytest.mark.parametrize("with_a_held_delivery", [True, False])
def test_theirs_stays_when_somebody_says_so_and_is_not_asked_about_again(
    world: World, *, with_a_held_delivery: bool
) -> None:
    record, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    if with_a_held_delivery:
        world.take(amended(record, rate(90)))
        world.settle()
    look(world)

    world.bridge.decide(one_finding(world)["id"], Choice.THEIRS, reason="right", actor="ann")
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.ehr.read(pulse)["note"] == NOTE
    assert look(world, full=True).waiting == 0
    assert world.bridge.drift("ehr") == []


def test_what_was_left_to_them_waits_again_when_the_record_changes_it(world: World) -> None:
    record, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    look(world)
    world.bridge.decide(one_finding(world)["id"], Choice.THEIRS, reason="right", actor="ann")

    world.take(amended(record, rate(90)))
    world.settle()
    look(world)

    assert one_finding(world)["elements"] == ["note[0].text"]
    assert world.ehr.read(pulse)["note"] == NOTE


def test_an_edit_after_ours_was_chosen_is_no_more_overwritten_than_the_first(
    world: World,
) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    look(world)
    world.bridge.decide(one_finding(world)["id"], Choice.OURS, reason="a mistake", actor="ann")
    second = [{"text": "Synthetic note: and again"}]
    world.ehr.edit(pulse, note=second)

    world.settle()
    look(world)

    assert world.ehr.read(pulse)["note"] == second
    assert [row.reason.split(":")[0] for row in world.rows("held")] == ["edited"]
    world.bridge.decide(one_finding(world)["id"], Choice.THEIRS, reason="right", actor="ann")
    world.settle()
    assert set(world.states()) == {"delivered"}


@pytest.mark.parametrize("choice", [Choice.OURS, Choice.THEIRS])
def test_a_deletion_waits_and_comes_back_only_when_somebody_says_so(
    world: World, choice: Choice
) -> None:
    record, pulse = a_pulse_there(world)
    world.ehr.delete(pulse)
    world.take(amended(record, rate(90)))
    world.settle()

    assert look(world).kinds == {"deleted": 1}
    found = one_finding(world)
    assert world.ehr.history(pulse)[-1] == {}

    world.bridge.decide(found["id"], choice, reason="asked the ward", actor="ann")
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert (world.ehr.history(pulse)[-1] == {}) is (choice is Choice.THEIRS)
    assert look(world, full=True).waiting == 0


@pytest.mark.parametrize("choice", [Choice.OURS, Choice.THEIRS])
def test_a_policy_decides_beforehand_and_both_sides_are_kept(world: World, choice: Choice) -> None:
    world.bridge.set_drift_policy("ehr", "Observation", choice, actor="ann")
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)

    report = look(world)
    world.settle()

    assert (report.settled, report.waiting) == (1, 0)
    assert (world.ehr.read(pulse)["note"] == NOTE) is (choice is Choice.THEIRS)
    (kept,) = world.bridge.drift("ehr", every=True)
    sides = world.bridge.drift_sides(kept["id"], actor="test")
    assert (kept["choice"], sides["theirs"]["note"]) == (choice.value, NOTE)
    assert look(world, full=True).waiting == 0


def test_a_policy_of_theirs_also_lets_later_versions_of_ours_give_way(world: World) -> None:
    world.bridge.set_drift_policy("ehr", "*", Choice.THEIRS, actor="ann")
    record, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    look(world)

    world.take(amended(record, rate(90)))
    world.settle()
    assert len(world.rows("held")) == 1
    look(world)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.ehr.read(pulse)["note"] == NOTE


def test_a_policy_for_a_type_says_nothing_about_another(world: World) -> None:
    world.bridge.set_drift_policy("ehr", "Patient", Choice.OURS, actor="ann")
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)

    assert look(world).waiting == 1
    assert world.bridge.drift_policies("ehr") == {"*": "hold", "Patient": "ours"}


def test_an_edit_of_what_was_never_acknowledged_can_be_settled_too(world: World) -> None:
    world.accept(a_short_visit())
    for _ in world.drain(world.shared_lane()):
        pass
    world.ehr.transport.script = [Fault.LOST]
    run = world.drain(world.patient_lane())
    assert [next(run), next(run), next(run)] == ["leased", "claimed", "answered"]
    (pulse,) = [one for one in world.ehr.references() if one.startswith("Observation/")]
    world.ehr.edit(pulse, note=NOTE)
    world.settle()
    assert [row.reason for row in world.rows("held")] == [f"edited: {pulse} changed in the EHR"]

    look(world)
    world.bridge.decide(one_finding(world)["id"], Choice.OURS, reason="a mistake", actor="ann")
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.ehr.read(pulse)["note"] != NOTE


@pytest.mark.parametrize(
    ("choice", "reason", "told"),
    [
        (Choice.OURS, "  ", "a choice needs its reason"),
        (Choice.HOLD, "why", "what was found (edited) cannot be settled so"),
    ],
)
def test_a_choice_that_says_nothing_is_refused(
    world: World, choice: Choice, reason: str, told: str
) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    look(world)

    with pytest.raises(DriftError) as refused:
        world.bridge.decide(one_finding(world)["id"], choice, reason=reason, actor="ann")

    assert refused.value.message == told


def test_nothing_is_settled_while_a_request_with_it_may_be_under_way(world: World) -> None:
    record, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    look(world)
    found = one_finding(world)
    world.accept(amended(record, rate(90)))
    world.ehr.transport.script = [Fault.DROPPED]
    run = world.drain(world.patient_lane())
    assert [next(run), next(run), next(run)] == ["leased", "claimed", "answered"]

    with pytest.raises(DriftError, match="under way"):
        world.bridge.decide(found["id"], Choice.OURS, reason="a mistake", actor="ann")

    assert look(world).waiting == 0  # nor does a look act on it
    world.settle()
    world.bridge.decide(found["id"], Choice.OURS, reason="a mistake", actor="ann")
    world.settle()
    assert set(world.states()) == {"delivered"}
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == 90


def test_a_finding_is_settled_once(world: World) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    look(world)
    found = one_finding(world)
    world.bridge.decide(found["id"], Choice.THEIRS, reason="right", actor="ann")

    with pytest.raises(DriftError):
        world.bridge.decide(found["id"], Choice.OURS, reason="no", actor="ann")
    with pytest.raises(DriftError):
        world.bridge.decide("nothing", Choice.OURS, reason="no", actor="ann")


def test_no_finding_shows_a_value_before_somebody_asks_for_its_sides(world: World) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE, **{"Synthetic-Person": "x"})
    look(world)

    shown = repr(world.bridge.drift("ehr")) + repr(
        [
            row.detail
            for action in ("drift.found", "reconcile.run")
            for row in world.evidence(action)
        ]
    )

    assert "Synthetic" not in shown
    world.bridge.drift_sides(one_finding(world)["id"], actor="ann")
    assert [row.actor for row in world.evidence("drift.read")] == ["ann"]
