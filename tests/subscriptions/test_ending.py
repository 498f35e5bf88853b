"""An EHR is asked to call us no more; and what cannot be asked for at all."""

import pytest

from fhirbridge.destinations import registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.subscriptions.keep import NotSubscribedError
from tests.factories import World
from tests.fakes import Fault, Says
from tests.subscriptions.telling import (
    ask,
    check,
    only,
    secrets_of,
    state,
    subscribed,
    there,
)


def test_unsubscribed_its_calls_are_refused_and_nothing_of_ours_is_left(world: World) -> None:
    subscribed(world)
    token, secret = secrets_of(there(world)["Patient"])
    count = len(there(world))

    assert world.bridge.subscriptions.end("ehr", actor="test") == count

    assert there(world) == {}
    assert world.bridge.subscriptions.caller(token, secret) == ""
    assert state(world)["state"] == "off"
    assert [row.outcome for row in world.evidence("subscription.ended")] == ["begun", "ok"]


def test_what_may_not_be_deleted_is_turned_off(world: World) -> None:
    subscribed(world)
    world.ehr.transport.choose = only("DELETE", Says(status=405))

    world.bridge.subscriptions.end("ehr", actor="test")

    assert {one["status"] for one in there(world).values()} == {"off"}


def test_an_ehr_that_does_not_answer_is_unsubscribed_here_and_later_there(world: World) -> None:
    subscribed(world)
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    with pytest.raises(NotSubscribedError):
        world.bridge.subscriptions.end("ehr", actor="test")
    assert state(world)["state"] == "off"
    world.ehr.transport.choose = lambda _request: None

    world.bridge.subscriptions.end("ehr", actor="test")

    assert there(world) == {}


@pytest.mark.parametrize("answers", [True, False])
def test_a_destination_that_is_removed_calls_no_more(world: World, *, answers: bool) -> None:
    subscribed(world)
    token, secret = secrets_of(there(world)["Patient"])
    world.ehr.transport.choose = lambda _request: None if answers else Fault.NOT_SENT

    world.bridge.remove_destination("ehr", actor="test")

    assert world.bridge.subscriptions.caller(token, secret) == ""
    assert (there(world) == {}) == answers


def test_a_copy_that_is_put_back_has_new_secrets_and_the_ehr_is_told_them(world: World) -> None:
    subscribed(world)
    old = secrets_of(there(world)["Patient"])

    world.bridge.note_restore(made_at="2026-05-04T09:00:00.000000Z", actor="test")
    assert world.bridge.subscriptions.caller(*old) == ""
    check(world)

    assert world.bridge.subscriptions.caller(*secrets_of(there(world)["Patient"])) == "ehr"


@pytest.mark.parametrize(
    "address",
    [
        "http://bridge.example.org",
        "ftp://bridge.example.org",
        "https://user:pw@bridge.example.org",
        "https://bridge.example.org?x=1",
        "bridge.example.org",
        "",
    ],
)
def test_an_address_that_cannot_be_called_safely_is_refused(world: World, address: str) -> None:
    with pytest.raises(DestinationError) as refused:
        world.bridge.subscriptions.ask_for("ehr", address, (), actor="test")

    assert "--address" in refused.value.message
    assert state(world)["state"] == "off"


def test_nothing_is_written_at_an_ehr_that_is_not_proven(world: World) -> None:
    with world.store.begin() as tx:
        registry.note_probe(tx, "ehr", {})
    world.ehr.transport.sent.clear()

    with pytest.raises(DestinationError):
        ask(world)

    assert world.ehr.transport.sent == []
