"""What scripts rely on: the keys of every JSON, exit statuses, silence where nobody sits."""

from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_short_visit, amended, rate
from tests.operate.conftest import Desk

pytestmark = pytest.mark.slow  # dozens of commands, each with a database of its own

WAITING = "attempts destination due_at id lane problems reason record_id sequence state"
DESTINATION = (
    "name base_url mode guard weak paused waits_until waits_for limits deliveries resources "
    "not_as_itself lag subscription"
)
STATUS = {
    "records": "",
    "held_elements": "",
    "quarantined": "",
    "mappings": {"digest", "since", "refused", "refused_at", "mistakes"},
    "destinations": set(DESTINATION.split()),
    "waiting": set(WAITING.split()),
    "tasks": "",
    "alerts": "",
    "webhooks": "",
    "disk": {"free_mb", "least_mb", "lasts_days"},
    "pauses": {"destination", "patient", "at", "actor"},
}
PLAN_STEPS = {
    "create", "change", "retract", "read-back", "skip", "not-sent", "wait", "hold", "conflict",
}  # fmt: skip


def keys(found: Any) -> set[str]:
    """The keys of an object, or of every object of a list, which must agree."""
    if isinstance(found, list):
        assert found
        (agreed,) = {frozenset(one) for one in found}
        return set(agreed)
    return set(found)


@pytest.mark.usefixtures("ehr")
def test_r31_the_keys_of_a_plan(desk: Desk) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    desk.take(amended(a_short_visit(), rate(91)))

    plain, open_ = desk.json("sync", "plan"), desk.json("sync", "plan", "--show-values")

    assert keys(plain) == keys(open_) == {"made_at", "state", "summary", "deliveries"}
    assert keys(plain["summary"]) == PLAN_STEPS
    assert keys(plain["deliveries"]) == {
        "delivery", "destination", "guard", "patient", "record", "step", "reason", "resources",
    }  # fmt: skip
    resources = [r for one in plain["deliveries"] for r in one["resources"]]
    assert keys(resources) == {"resource", "step", "reason", "changes"}
    assert keys([c for r in resources for c in r["changes"]]) == {"path"}
    shown = [c for one in open_["deliveries"] for r in one["resources"] for c in r["changes"]]
    assert keys(shown) == {"path", "before", "after"}


@pytest.mark.usefixtures("ehr")
def test_the_keys_of_what_was_applied(desk: Desk, tmp_path: Path) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "plan", "--out", str(tmp_path / "a.plan"))

    found = desk.json("sync", "apply", str(tmp_path / "a.plan"))

    assert keys(found) == {"plan", "resumed", "settled", "deliveries"}
    assert keys(found["deliveries"]) == {"delivery", "state", "reason"}


@pytest.mark.usefixtures("ehr")
def test_the_keys_of_a_status_and_of_a_run(desk: Desk) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "pause", "--destination", "ehr")

    status, run = desk.json("sync", "status"), desk.json("sync", "run")

    assert keys(status) == set(STATUS)
    assert keys(run) == set(STATUS) | {"settled", "holdings"}
    for part, expected in STATUS.items():
        if expected:
            assert keys(status[part]) == expected, part


@pytest.mark.usefixtures("ehr")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sync retry --all", "put_back"),
        ("sync release --all", "put_back"),
        ("sync cancel --all --yes", "cancelled under_way"),
        ("sync replay --all", "considered translated failed put_back"),
        ("sync pause --destination ehr", "changed destination patient"),
        ("sync resume --destination ehr", "changed still_paused destination patient"),
        (
            "destination list",
            (
                "name base_url mode traits requires_consent test_server overlay networks paused "
                "guard weak declared limits patients patient_systems types theirs pull removed_at"
            ),
        ),
        ("destination test ehr", "name good answers signed_in unchanged reason steps"),
        ("doctor", "good checks"),
    ],
)
def test_the_keys_of_the_rest(desk: Desk, words: str, expected: str) -> None:
    found = desk.json(*words.split())

    assert keys(found) == set(expected.split())


def test_the_keys_of_a_check(desk: Desk) -> None:
    assert keys(desk.json("doctor")["checks"]) == {"name", "good", "found", "next"}


@pytest.mark.usefixtures("ehr")
@pytest.mark.parametrize(
    ("words", "before", "after"),
    [
        ("sync plan", 2, 0),
        ("sync status", 3, 0),
        ("sync run", 0, 0),
        ("doctor", 0, 0),
        ("sync", 64, 64),
        ("sync nosuch", 64, 64),
        ("sync plan --from yesterday", 64, 64),
        ("sync apply nosuch", 64, 64),
    ],
)
def test_r31_exit_statuses_before_and_after_a_delivery(
    desk: Desk, words: str, before: int, after: int
) -> None:
    desk.take(a_short_visit())

    first = desk.run(*words.split()).status
    desk.run("sync", "run")

    assert (first, desk.run(*words.split()).status) == (before, after)


@pytest.mark.usefixtures("ehr")
@pytest.mark.parametrize(
    "words",
    ["sync plan", "sync run", "sync status", "sync retry --all", "sync release --all",
     "sync replay --all", "sync cancel --all --yes", "sync pause --destination ehr",
     "sync resume --destination ehr", "doctor", "destination test ehr"],
)  # fmt: skip
def test_nothing_is_said_on_standard_error_where_nobody_sits_and_nothing_is_wrong(
    desk: Desk, words: str
) -> None:
    desk.take(a_short_visit())

    assert desk.run(*words.split()).err == ""
