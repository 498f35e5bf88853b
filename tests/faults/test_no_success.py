"""O13, O14 and O20: answers that are no success, though they may look like one."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.deliver.refusing import outcome
from tests.egress import fake_server
from tests.egress.fake_server import HTML_200, http
from tests.factories import a_short_visit, amended, rate, retracted
from tests.faults.front import written
from tests.faults.place import Place
from tests.faults.test_answers import (
    FHIR,
    READ_BACK_AND_OURS,
    READ_BACK_AND_SENT_AGAIN,
    says,
)

# --- O13, O14: no success -----------------------------------------------------------------------

BROKEN = ["500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout"]


@pytest.mark.parametrize("status", BROKEN)
@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
def test_o13_a_server_error_is_unknown_and_read_back(
    place: Place, status: str, *, done: bool
) -> None:
    step = says(status)
    place.order(place.front.after_commit(step) if done else step)

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == (READ_BACK_AND_OURS if done else READ_BACK_AND_SENT_AGAIN)
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


def of_entry(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Change the first entry of a Bundle."""
    return lambda bundle: change(bundle["entry"][0])


def respond(**response: Any) -> Callable[[dict[str, Any]], None]:
    return of_entry(lambda entry: entry["response"].update(response))


def forget_version(entry: dict[str, Any]) -> None:
    for name in ("etag", "location"):
        entry["response"].pop(name, None)


ELSEWHERE = "1234/_history/1"
SAID_WRONGLY: dict[str, Callable[[dict[str, Any]], None]] = {
    "another id": respond(location=f"Patient/{ELSEWHERE}"),
    "another type": respond(location=f"Group/{ELSEWHERE}"),
    "no version": of_entry(forget_version),
    "a version that is none": respond(location="Patient", etag="*"),
    "one entry failed": respond(status="422 Unprocessable Content"),
    "no entries": lambda bundle: bundle.pop("entry"),
    "an entry less": lambda bundle: bundle["entry"].pop(),
    "an entry more": lambda bundle: bundle["entry"].append(bundle["entry"][0]),
    "an entry twice": lambda bundle: bundle["entry"].__setitem__(0, bundle["entry"][1]),
    "another order": lambda bundle: bundle["entry"].reverse(),
    "not entries": lambda bundle: bundle.update(entry=[None] * len(bundle["entry"])),
    "no Bundle": lambda bundle: bundle.update(resourceType="Parameters"),
}


@pytest.mark.parametrize("wrong", SAID_WRONGLY)
def test_o14_o20_an_answer_that_does_not_account_for_each_entry_is_read_back(
    place: Place, wrong: str
) -> None:
    place.order(place.front.reworded(SAID_WRONGLY[wrong]))

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == READ_BACK_AND_OURS
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


NO_SUCCESS = {
    "an outcome of errors": http(outcome(), FHIR),
    "nothing": http(b""),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "202": http(b"{}", FHIR, status="202 Accepted"),
    "a page": HTML_200,
    "a patient": http(b'{"resourceType":"Patient","id":"1234"}', FHIR),
    "a list": http(b"[]", FHIR),
    "half a Bundle": http(b'{"resourceType":"Bundle","entry":[', FHIR),
}


@pytest.mark.parametrize("said", NO_SUCCESS)
def test_o14_a_200_that_is_no_answer_is_no_success(place: Place, said: str) -> None:
    place.order(fake_server.answer(NO_SUCCESS[said]))

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == READ_BACK_AND_SENT_AGAIN
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


def test_o14_a_page_said_for_ever_parks_after_five_times(place: Place) -> None:
    place.front.choose = lambda seen: fake_server.answer(HTML_200) if written(seen) else None

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == READ_BACK_AND_OURS * 5
    assert place.delivery(receipt).state == "parked"
    assert place.versions(receipt) == {0}


def lost_and_then(place: Place, change: Callable[[dict[str, Any]], None]) -> Any:
    """Lose an amendment's answer; let every read-back show the EHR's copy changed so."""
    first = place.take(a_short_visit())
    place.forget()
    place.order(place.front.after_commit(fake_server.commit_then_reset))
    place.front.choose = lambda _seen: place.front.reworded(change)
    second = place.take(amended(a_short_visit(), rate(90)))
    place.pass_time(timedelta(minutes=70))
    assert len(place.ehr.history(place.pulse(first))) == 2
    return place.delivery(second)


def each_resource(bundle: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (entry["resource"] for entry in bundle.get("entry", []))


def test_o14_a_read_back_of_another_patient_is_held_and_told(place: Place) -> None:
    def of_another(bundle: dict[str, Any]) -> None:
        for one in each_resource(bundle):
            if "subject" in one:
                one["subject"]["reference"] = "Patient/1234"

    delivery = lost_and_then(place, of_another)

    assert delivery.state == "held"
    assert delivery.reason.startswith("edited: Observation/")
    assert place.front.asked() == READ_BACK_AND_OURS
    assert "held: edited" in place.alarms()


OF_ANOTHER = {"id": "1234", "resourceType": "Group"}


def of_another(name: str) -> Callable[[dict[str, Any]], None]:
    def change(bundle: dict[str, Any]) -> None:
        for one in each_resource(bundle):
            one[name] = OF_ANOTHER[name]

    return change


@pytest.mark.parametrize("name", OF_ANOTHER)
def test_o14_a_read_back_of_something_else_is_read_once_more_then_held_and_told(
    place: Place, name: str
) -> None:
    delivery = lost_and_then(place, of_another(name))

    assert delivery.state == "held"
    assert delivery.reason.startswith("mismatch: Observation/")
    assert place.front.asked() == [*READ_BACK_AND_OURS, "read back"]
    assert place.alarms() == ["held: mismatch"]


@pytest.mark.parametrize("name", OF_ANOTHER)
def test_o14_a_proxy_that_mixes_answers_up_once_holds_nothing(place: Place, name: str) -> None:
    first = place.take(a_short_visit())
    place.forget()
    lost = place.front.after_commit(fake_server.commit_then_reset)
    place.order(lost, place.front.reworded(of_another(name)))

    second = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    assert place.front.asked() == [*READ_BACK_AND_OURS, "read back"]
    assert place.delivery(second).state == "delivered"
    assert len(place.ehr.history(place.pulse(first))) == 2
    assert place.alarms() == []


def test_o14_what_was_held_for_it_is_read_back_first_when_it_is_released(place: Place) -> None:
    delivery = lost_and_then(place, of_another("id"))
    place.front.choose = lambda _seen: None
    place.forget()

    place.retry(delivery.id)
    place.settle()

    assert place.front.asked() == ["read back"]
    assert set(place.states()) == {"delivered"}


def test_o14_what_was_held_for_it_is_taken_back_when_its_record_was_an_error(place: Place) -> None:
    """What nobody knows to be there may be there: a retraction looks first."""
    place.take(a_short_visit(1))
    place.order(place.front.after_commit(fake_server.commit_then_reset))
    mixed_up = place.front.reworded(of_another("id"))
    place.front.choose = lambda seen: None if written(seen) else mixed_up
    second = place.take(a_short_visit(2))
    place.pass_time(timedelta(minutes=70))
    held = place.delivery(second).state
    place.front.choose = lambda _seen: None

    place.take(retracted(a_short_visit(2)))
    place.settle()

    assert held == "held"
    assert place.ehr.read(place.pulse(second))["status"] == "entered-in-error"


def test_o14_what_names_another_patient_of_ours_is_never_sent(place: Place) -> None:
    receipt = place.accept(a_short_visit())
    place.mix_up(receipt)

    place.settle()

    assert place.delivery(receipt).state == "held"
    assert place.delivery(receipt).reason.startswith("wrong-patient:")
    assert place.server.seen == []
    assert "held: wrong-patient" in place.alarms()
