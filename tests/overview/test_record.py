"""One record version with all that became of it, at each destination."""

from typing import Any

import pytest
from sqlalchemy import func, select

from fhirbridge.fhir import codec
from fhirbridge.overview import record as record_view
from fhirbridge.store.tables import metadata
from tests.factories import Record, World, a_pulse, a_short_visit, amended, retracted
from tests.journey.canaries import hits, record_with_canaries


@pytest.fixture
def world() -> World:
    made = World()
    made.connect()
    return made


def view(world: World, record_id: str) -> dict[str, Any]:
    with world.store.read() as tx:
        found = record_view.view(
            tx, vault=world.vault, body=world.bridge._contents.body, record_id=record_id
        )
    assert found is not None
    return found


def pulse(seen: dict[str, Any]) -> dict[str, Any]:
    (one,) = [each for each in seen["resources"] if each["resource"].startswith("Observation/")]
    return dict(one)


def with_pulse(rate: int) -> Any:
    def change(record: Record) -> None:
        record["vitals"] = [a_pulse("v-1", rate)]

    return change


def test_before_delivery_everything_waits_and_is_nowhere(world: World) -> None:
    seen = view(world, world.accept(a_short_visit()).id)

    assert (seen["version"], seen["state"], seen["translation"]) == (1, "current", "done")
    assert {one["lane"] for one in seen["deliveries"]} == {"shared", "patient"}
    assert {one["state"] for one in seen["deliveries"]} == {"pending"}
    outcomes = {item["outcome"] for one in seen["deliveries"] for item in one["items"]}
    assert outcomes == {"waiting"}
    assert [one["at"] for one in seen["resources"]] == [[]] * len(seen["resources"])


def test_after_delivery_each_resource_says_where_it_is_and_in_which_version(world: World) -> None:
    seen = view(world, world.take(a_short_visit()).id)

    assert {one["state"] for one in seen["deliveries"]} == {"delivered"}
    for one in seen["resources"]:
        (at,) = one["at"]
        assert (at["destination"], at["version"], at["same"]) == ("ehr", "1", True)
        assert at["ehr_id"] == one["body"]["id"]
        assert one["counts"] is True
        assert world.ehr.read(one["resource"])["id"] == one["body"]["id"]


def test_the_body_that_is_shown_is_the_body_that_was_sent(world: World) -> None:
    seen = pulse(view(world, world.take(a_short_visit()).id))

    theirs = world.ehr.read(seen["resource"])

    assert seen["body"]["valueQuantity"] == theirs["valueQuantity"]
    assert seen["body"]["subject"] == theirs["subject"]


def test_an_old_version_says_that_it_counts_no_more_and_that_the_ehr_holds_another(
    world: World,
) -> None:
    first = world.take(a_short_visit())
    second = world.take(amended(a_short_visit(), with_pulse(80)))

    old, new = view(world, first.id), view(world, second.id)

    assert (old["state"], new["state"]) == ("superseded", "current")
    assert (pulse(old)["counts"], pulse(new)["counts"]) == (False, True)
    assert [at["same"] for at in pulse(old)["at"]] == [False]
    assert [at["same"] for at in pulse(new)["at"]] == [True]
    assert pulse(old)["body"] != pulse(new)["body"]


def test_a_late_older_version_is_shown_and_was_never_sent(world: World) -> None:
    newer = amended(a_short_visit(), with_pulse(80))
    kept = pulse(view(world, world.take(newer).id))

    seen = view(world, world.take(a_short_visit()).id)

    assert (seen["state"], seen["deliveries"], seen["resources"]) == ("older", [], [])
    assert world.ehr.read(kept["resource"])["valueQuantity"]["value"] == 80


def test_a_retraction_is_a_version_of_its_own(world: World) -> None:
    world.take(a_short_visit())

    seen = view(world, world.take(retracted(a_short_visit())).id)

    assert (seen["version"], seen["state"]) == (2, "current")


def test_each_destination_has_its_own_deliveries(world: World) -> None:
    world.connect("second")

    seen = view(world, world.take(a_short_visit()).id)

    assert {one["destination"] for one in seen["deliveries"]} == {"ehr", "second"}
    assert {at["destination"] for one in seen["resources"] for at in one["at"]} == {
        "ehr",
        "second",
    }


def test_what_was_found_in_the_record_is_shown_without_the_value(world: World) -> None:
    visit = a_short_visit(vitals=[a_pulse("v-1", 72), a_pulse("v-2", 4711)])

    seen = view(world, world.accept(visit).id)

    assert seen["findings"]
    assert {"level", "code", "pointer", "message"} <= set(seen["findings"][0])
    assert "4711" not in codec.encode(seen["findings"]).decode()


def test_outside_the_bodies_nothing_is_a_patients(world: World) -> None:
    given, tokens = record_with_canaries()
    seen = view(world, world.take(given).id)

    bare = {**seen, "resources": [{**one, "body": {}} for one in seen["resources"]]}

    assert hits(codec.encode(bare), tokens) == []
    assert hits(codec.encode(seen), tokens)


@pytest.mark.parametrize("record_id", ["", "none", "' OR 1=1 --", "%"])
def test_a_record_that_is_not_there_is_none(world: World, record_id: str) -> None:
    world.accept(a_short_visit())

    with world.store.read() as tx:
        found = record_view.view(
            tx, vault=world.vault, body=world.bridge._contents.body, record_id=record_id
        )

    assert found is None


def test_looking_writes_nothing(world: World) -> None:
    record_id = world.take(a_short_visit()).id
    before = counts(world)

    view(world, record_id)

    assert counts(world) == before


def test_holdings_are_counted_by_type(world: World) -> None:
    world.take(a_short_visit())
    world.take(a_short_visit(2, vitals=[a_pulse("v-1", 72), a_pulse("v-2", 74, hour=10)]))

    with world.store.read() as tx:
        held = {one["type"]: one["resources"] for one in record_view.table_of(tx, "ehr")}
        elsewhere = record_view.table_of(tx, "nowhere")

    assert (held["Patient"], held["Encounter"], held["Observation"]) == (1, 2, 3)
    assert list(held) == sorted(held)
    assert elsewhere == []


def counts(world: World) -> dict[str, int]:
    with world.store.read() as tx:
        return {
            name: tx.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }
