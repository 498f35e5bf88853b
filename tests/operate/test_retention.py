"""What an administrator says of retention and versions, at the command line."""

from tests.factories import a_short_visit, amended, rate
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

WORDS = ("--reason", "Synthetic lawsuit", "--by", "Synthetic Counsel")


def test_a_hold_is_placed_listed_and_lifted_and_says_nothing_unasked(
    desk: Desk,
    ehr: EhrAtWork,  # noqa: ARG001  where charts go
) -> None:
    (record,) = desk.take(a_short_visit())

    (hold,) = desk.json("retention", "hold", "--record", record, *WORDS)["holds"]

    listed = desk.run("retention", "list")
    assert hold in listed.out
    assert "Counsel" not in listed.out
    assert "Counsel" in desk.run("retention", "list", "--reasons").out
    assert desk.run("retention", "lift", hold, *WORDS).status == 0
    assert desk.run("retention", "lift", hold, *WORDS).status == 1
    assert desk.run("retention", "hold", "--record", record).status == 1
    assert desk.run("retention", "hold", *WORDS).status == 64


def test_what_is_young_does_not_go(desk: Desk) -> None:
    desk.take(a_short_visit())

    said = desk.run("retention", "plan")
    assert said.status == 0
    assert "Nothing would go" in said.err
    assert desk.json("retention", "apply", "--yes")["records"] == 0


def test_two_versions_are_compared_by_command(desk: Desk) -> None:
    visit = a_short_visit()
    _, second = desk.take(visit, amended(visit, rate(88)))

    said = desk.run("record", "diff", second)

    assert said.status == 0
    assert "vitals[v-1].heart_rate.value" in said.out
    assert desk.json("record", "diff", second, "--from", "1", "--to", "2")["to"]["version"] == 2
    assert desk.run("record", "diff", second, "--from", "7").status == 1
    assert desk.run("record", "diff", "none").status == 1
