"""O28: an EHR that is down for three days."""

from datetime import timedelta

from tests.egress.fake_resolver import FakeResolver
from tests.factories import a_short_visit
from tests.faults.place import HERE, NOBODY, Place

HOURS = 72
EVERY = 6  # hours between two rounds of visits
MOST_IN_AN_HOUR = 30


def test_o28_after_three_days_all_goes_in_order_and_once(place: Place) -> None:
    down = FakeResolver(NOBODY)
    place.names = down
    place.drop_connections()
    owed: list[str] = []

    for number in range(1, HOURS // EVERY + 1):
        for patient in ("pt-1", "pt-2"):
            visit = a_short_visit(number, patient=patient)
            owed.append(place.delivery(place.accept(visit)).id)
        if number == 1:
            place.pass_time(timedelta(hours=1))
            assert len(down.asked) <= MOST_IN_AN_HOUR
        else:
            place.sync()
        place.clock.advance(timedelta(hours=EVERY) / 2)
        place.sync()
        place.clock.advance(timedelta(hours=EVERY) / 2)

    assert place.server.seen == []
    assert {row.state for row in place.rows() if row.id in owed} == {"pending"}
    assert {"down: ", "backlog: "} <= set(place.alarms())

    place.names = FakeResolver(HERE)
    place.sync()
    place.settle()

    assert set(place.states()) == {"delivered"}
    assert place.differing() == []
    assert place.front.asked() == ["send"] * len(owed)
    told = [row.delivery_id for row in place.evidence("delivery.answered") if row.outcome == "ok"]
    assert [one for one in told if one in owed[0::2]] == owed[0::2]
    assert [one for one in told if one in owed[1::2]] == owed[1::2]
    assert place.alarms().count("down: ") == 1
