"""A page of a list costs a page, however long the list is."""

from typing import Any

import pytest

from fhirbridge.overview.lists import Sought
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings
from tests.outbox.test_growth import Asked

SORTED = "USE TEMP B-TREE FOR ORDER BY"


@pytest.mark.parametrize(
    ("name", "filtered"),
    [
        ("list_records", {}),
        ("list_records", {"destination": "ehr"}),
        ("list_records", {"state": "current"}),
        ("list_deliveries", {}),
        ("list_deliveries", {"destination": "ehr"}),
        ("list_deliveries", {"state": "pending"}),
        ("list_deliveries", {"state": "delivered"}),
        ("list_deliveries", {"state": "delivered", "destination": "ehr"}),
    ],
)
def test_each_page_begins_at_its_place_and_sorts_nothing_that_most_rows_are(
    name: str, filtered: dict[str, Any]
) -> None:
    world = World(mapped=few_mappings)
    world.connect()
    for number in range(3):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    if filtered.get("state") == "delivered":
        world.settle()
    asked = Asked(world)
    ask = getattr(world.bridge, name)

    first = ask(Sought(limit=1, **filtered))
    ask(Sought(limit=1, cursor=first.next, **filtered))

    plans = [plan for plans in asked.plans().values() for plan in plans]
    begun = [plan for plan in plans if "_at<?)" in plan]
    world.store.close()
    assert (SORTED in plans) == (filtered == {"state": "pending"})  # of these there are few
    assert len(begun) == (0 if filtered == {"state": "pending"} else 1)


def test_the_deliveries_of_one_record_are_found_by_it() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    receipt = world.accept(a_short_visit())
    asked = Asked(world)

    world.bridge.list_deliveries(Sought(record=receipt.id))

    plans = [plan for plans in asked.plans().values() for plan in plans]
    world.store.close()
    assert any("delivery_record" in plan for plan in plans)
    assert not any(plan.startswith("SCAN") for plan in plans)
