"""Between any two versions: which elements changed, by whom, when, by which mappings."""

from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.overview.changes import UnknownVersionError
from tests.factories import Record, World, a_pulse, a_short_visit, amended, rate, retracted
from tests.mapping_sets import few_mappings
from tests.outbox.test_growth import BY_THE_WHOLE, Asked


@pytest.fixture
def world() -> World:
    made = World()
    made.connect()
    return made


def changes(
    world: World, record_id: str, before: int | None = None, after: int | None = None
) -> dict[str, Any]:
    return world.bridge.record_changes(record_id, before=before, after=after, actor="auditor")


def test_r73_each_element_that_changed_is_named_with_actor_time_and_mapping_set(
    world: World,
) -> None:
    first = world.accept(visit := a_short_visit())
    second = world.bridge.accept(codec.encode(amended(visit, rate(88))), actor="emr")

    found = changes(world, second.id)

    pulses = [one for one in found["record"] if "heart_rate" in one["path"]]
    assert pulses == [{"path": "vitals[v-1].heart_rate.value", "before": 72, "after": 88}]
    assert {one["path"] for one in found["record"]} == {
        "version", "recorded_at", "vitals[v-1].heart_rate.value",
    }  # fmt: skip
    (one,) = [each for each in found["resources"] if each["resource"].startswith("Observation/")]
    values = [each for each in one["elements"] if each["path"].startswith("valueQuantity")]
    assert values == [{"path": "valueQuantity.value", "before": 72, "after": 88}]
    assert one["mapping"]["from"]["set"] == found["from"]["mapping_set"] != ""
    sides = [(one["id"], one["version"], one["actor"]) for one in (found["from"], found["to"])]
    assert sides == [(first.id, 1, "test"), (second.id, 2, "emr")]
    assert found["to"]["received_at"] >= found["from"]["received_at"] != ""


def test_r73_any_two_versions_can_be_compared_and_either_way(world: World) -> None:
    visit = a_short_visit()
    first = world.accept(visit)
    world.accept(amended(visit, rate(80)))
    world.accept(amended(amended(visit, rate(80)), rate(90)))

    there, back = changes(world, first.id, 1, 3), changes(world, first.id, 3, 1)

    assert [(one["before"], one["after"]) for one in _pulses(there)] == [(72, 90)]
    assert [(one["before"], one["after"]) for one in _pulses(back)] == [(90, 72)]
    assert changes(world, first.id, 2, 2)["record"] == []


def test_one_more_row_is_one_change_and_shifts_no_other(world: World) -> None:
    def with_one_more(new: Record) -> None:
        new["vitals"].insert(0, a_pulse("v-0", 60, hour=8))

    world.accept(visit := a_short_visit())
    found = changes(world, world.accept(amended(visit, with_one_more)).id)

    (row,) = [one for one in found["record"] if one["path"].startswith("vitals")]
    assert (row["path"], "before" in row) == ("vitals[v-0]", False)
    assert row["after"]["heart_rate"]["value"] == 60
    added = [one for one in found["resources"] if one["change"] == "added"]
    assert [one["resource"].partition("/")[0] for one in added] == ["Observation"]


def test_what_a_retraction_makes_no_more_is_removed(world: World) -> None:
    world.accept(visit := a_short_visit())
    found = changes(world, world.accept(retracted(visit)).id)

    assert {"path": "status", "before": visit["status"], "after": "entered-in-error"} in (
        found["record"]
    )
    assert found["to"]["in_error"] is True


def test_who_looked_is_noted_of_both_versions(world: World) -> None:
    first = world.accept(visit := a_short_visit())
    second = world.accept(amended(visit, rate(80)))

    changes(world, first.id, after=2)

    rows = world.evidence("record.read")
    assert {(row.actor, row.record_id) for row in rows} == {
        ("auditor", first.id), ("auditor", second.id),
    }  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [(None, None), (1, 7), (0, 1)])
def test_a_version_that_is_not_there_is_refused(
    world: World, before: int | None, after: int | None
) -> None:
    only = world.accept(a_short_visit())

    with pytest.raises(UnknownVersionError):
        changes(world, only.id, before, after)


def test_r73_two_versions_are_found_however_many_there_are() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    world.take(visit := a_short_visit())
    second = world.accept(amended(visit, rate(80)))
    asked = Asked(world)

    changes(world, second.id)

    plans = [plan for plans in asked.plans().values() for plan in plans]
    world.store.close()
    assert plans
    assert [plan for plan in plans if BY_THE_WHOLE.search(plan)] == []


def _pulses(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in found["record"] if "heart_rate" in one["path"]]
