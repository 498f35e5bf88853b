"""What an operator does by the API: once, noted, and refused where there is nothing to do."""

from typing import Any

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.outbox.states import State
from tests.deliver.refusing import refuse
from tests.factories import a_short_visit
from tests.web.service import DELIVERIES, DESTINATIONS
from tests.web.test_lists import Listed


@pytest.fixture
def listed() -> Listed:
    return Listed()


def a_parked_one(listed: Listed) -> str:
    """Let the EHR refuse a patient until it is asked again; return the parked delivery."""
    receipt = listed.world.accept(a_short_visit())
    (bad,) = listed.world.of_mapping(receipt, "patient")
    refuse(listed.world, lambda body: f"{body['resourceType']}/{body['id']}" == bad)
    listed.world.settle()
    listed.world.ehr.transport.choose = lambda _request: None
    (parked,) = listed.world.rows("parked")
    return str(parked.id)


def noted(listed: Listed, action: str) -> list[Any]:
    actor = "token:a-operator"
    return [one for one in listed.world.evidence(action) if one.actor == actor]


def test_r18_a_parked_delivery_goes_again_and_arrives(listed: Listed) -> None:
    parked = a_parked_one(listed)

    status, told = listed.post(f"{DELIVERIES}/{parked}/retry")
    listed.world.settle()

    assert (status, told["id"], told["state"]) == (200, parked, "pending")
    assert listed.ask(f"{DELIVERIES}/{parked}")[1]["state"] == "delivered"
    assert set(listed.world.states()) == {"delivered"}


def test_what_is_not_parked_is_not_retried_and_what_is_not_held_not_released(
    listed: Listed,
) -> None:
    parked = a_parked_one(listed)

    refused = [
        listed.post(f"{DELIVERIES}/{parked}/release"),
        *(listed.post(f"{DELIVERIES}/{row.id}/retry") for row in listed.world.rows("pending")),
    ]

    assert {(status, told["code"]) for status, told in refused} == {(409, "E919")}
    assert [str(row.id) for row in listed.world.rows("parked")] == [parked]


def test_s27_a_retry_under_a_key_is_done_once_and_answered_alike(listed: Listed) -> None:
    parked = a_parked_one(listed)
    first = listed.post(f"{DELIVERIES}/{parked}/retry", Idempotency_Key="k-1")
    listed.world.settle()

    again = listed.post(f"{DELIVERIES}/{parked}/retry", Idempotency_Key="k-1")
    without = listed.post(f"{DELIVERIES}/{parked}/retry")

    assert again == first
    assert first[0] == 200
    assert without[0] == 409
    assert listed.world.rows(State.DELIVERED)


def test_s27_a_key_belongs_to_the_delivery_for_which_it_was_used(listed: Listed) -> None:
    parked = a_parked_one(listed)
    listed.post(f"{DELIVERIES}/{parked}/retry", Idempotency_Key="k-1")

    other = listed.post(f"{DELIVERIES}/{'0' * 32}/retry", Idempotency_Key="k-1")

    assert (other[0], other[1]["code"]) == (409, "E240")


def test_r18_a_destination_is_stopped_and_goes_on(listed: Listed) -> None:
    status, told = listed.post(f"{DESTINATIONS}/ehr/pause")
    listed.take(2)
    listed.world.settle(days=0)
    stopped = list(listed.world.ehr.transport.sent)
    _, resumed = listed.post(f"{DESTINATIONS}/ehr/resume")
    listed.world.settle()

    assert status == 200
    assert "paused by an operator" in told["paused"]
    assert stopped == []
    assert resumed["paused"] == ""
    assert set(listed.world.states()) == {"delivered"}
    assert len(noted(listed, "deliveries.paused")) == 1
    assert len(noted(listed, "deliveries.resumed")) == 1


def test_r18_a_pause_that_is_said_twice_is_one_and_a_resume_of_nothing_is_none(
    listed: Listed,
) -> None:
    for verb in ("pause", "pause", "resume", "resume"):
        assert listed.post(f"{DESTINATIONS}/ehr/{verb}")[0] == 200

    assert len(noted(listed, "deliveries.paused")) == 1
    assert len(noted(listed, "deliveries.resumed")) == 1


@pytest.mark.parametrize("role", [Role.INTEGRATOR, Role.AUDITOR])
def test_r71_who_only_reads_or_sends_changes_nothing(listed: Listed, role: Role) -> None:
    parked = a_parked_one(listed)
    paths = [f"{DELIVERIES}/{parked}/{verb}" for verb in ("retry", "release")]
    paths += [f"{DESTINATIONS}/ehr/{verb}" for verb in ("pause", "resume")]

    statuses = [listed.ask(path, role, method="POST")[0] for path in paths]

    assert statuses == [403] * 4
    assert len(listed.world.rows("parked")) == 1
    assert listed.world.bridge.pauses() == []
