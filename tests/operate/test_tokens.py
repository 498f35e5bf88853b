"""Who may use the API, by command: for how long, for what, and when it was last used."""

import pytest

from fhirbridge.access.tokens import Room
from fhirbridge.web.openapi import ROOMS
from tests.operate.conftest import Desk


def test_a_token_is_made_for_a_while_and_for_a_part_and_shown_without_its_secret(
    desk: Desk,
) -> None:
    made = desk.run(
        "token", "make", "prometheus", "--role", "auditor", "--only", "status", "--days", "7"
    )
    desk.run("token", "make", "clinic")

    listed = {one["name"]: one for one in desk.json("token", "list")}
    assert made.status == 0
    assert "auditor, only status), good for 7 days" in made.err
    assert made.out.startswith("fhirbridge_")
    assert listed["prometheus"]["rooms"] == "status"
    assert (listed["clinic"]["rooms"], listed["clinic"]["last_used_at"]) == ("", "")
    assert made.out.strip() not in str(listed)
    (noted,) = [one for one in desk.evidence("token.made") if "prometheus" in one.detail]
    assert '"rooms":["status"]' in noted.detail


@pytest.mark.parametrize("wrong", [("--days", "0"), ("--days", "4000"), ("--only", "everything")])
def test_a_token_for_ever_or_for_what_is_not_there_is_refused(
    desk: Desk, wrong: tuple[str, str]
) -> None:
    refused = desk.run("token", "make", "clinic", *wrong)

    assert refused.status == 64
    assert "clinic" not in [one["name"] for one in desk.json("token", "list")]


def test_a_token_may_be_narrowed_to_each_room_that_tokens_open() -> None:
    without_a_token = {"webhooks", "keys"}
    for_readers = {"fhir"}  # whose tokens open one facade and nothing else

    assert {str(room) for room in Room} == set(ROOMS) - without_a_token - for_readers
