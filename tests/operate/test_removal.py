"""R27 through the command line: a destination is removed, and what is shown of it after."""

from tests.factories import a_short_visit
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

WHY = "the clinic left that hospital"


def test_r27_a_destination_is_removed_by_name_and_not_by_mistake(
    desk: Desk, ehr: EhrAtWork
) -> None:
    (record,) = desk.take(a_short_visit())
    unasked = desk.run("destination", "remove", "ehr")
    owed = desk.run("destination", "remove", "ehr", "--yes")
    waits = desk.run("record", "status", record, "--json")

    removed = desk.run("destination", "remove", "ehr", "--yes", "--give-up", WHY, "--json")
    again = desk.run("destination", "add", "ehr", ehr.url)
    desk.run("sync", "run")

    assert (unasked.status, owed.status, waits.status) == (64, 1, 3)
    assert "--give-up" in owed.err
    assert (removed.status, removed.data["given_up"]) == (0, {"pending": 2})
    assert again.status == 1
    assert "choose another name" in again.err
    assert ehr.asked == []
    assert desk.json("destination", "list") == []
    assert [one["name"] for one in desk.json("destination", "list", "--removed")] == ["ehr"]
    (said,) = desk.json("destination", "show", "ehr", "--reasons")
    assert (said["action"], said["reason"]) == ("destination.removed", WHY)
    (reached,) = desk.json("record", "status", record)
    assert (reached["deliveries"], bool(reached["removed_at"])) == ({"superseded": 2}, True)


def test_a_record_tells_how_far_it_got_by_destination(desk: Desk, ehr: EhrAtWork) -> None:
    (record,) = desk.take(a_short_visit())
    desk.run("sync", "run")

    done = desk.run("record", "status", record, "--json")
    unknown = desk.run("record", "status", "no-such-id")

    (reached,) = done.data
    assert (done.status, unknown.status) == (0, 1)
    assert reached["deliveries"] == {"delivered": 2}
    assert reached["there"] == reached["as_made"] == 3
    assert len(ehr.versions()) == 4  # with the Provenance, which no record makes
    assert (
        a_short_visit()["patient"]["name"]["family"] not in desk.run("record", "status", record).out
    )
