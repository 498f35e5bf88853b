"""O25: an EHR that writes what is ours in its own way."""

from collections.abc import Callable
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.reconcile.weigh import Choice
from tests.egress import fake_server
from tests.factories import Record, a_short_visit, amended, rate
from tests.faults.front import Front
from tests.faults.place import Place
from tests.faults.test_what_it_holds import HOUR, SEND_AND_READ_BACK, look

Alter = Callable[[dict[str, Any]], None]


def adds_meta(resource: dict[str, Any]) -> None:
    resource["meta"] = {"tag": [{"system": "urn:x", "code": "seen"}], "profile": ["urn:y"]}
    resource["text"] = {"status": "generated", "div": "<div/>"}


def reorders(resource: dict[str, Any]) -> None:
    for name, value in [*resource.items()]:
        resource[name] = resource.pop(name)
        if name == "identifier" and isinstance(value, list):
            value.reverse()


def writes_time_anew(resource: dict[str, Any]) -> None:
    if "effectiveDateTime" in resource:
        at = resource["effectiveDateTime"]
        resource["effectiveDateTime"] = at.replace("T09:10:00-05:00", "T14:10:00.000Z")


def rounds(resource: dict[str, Any]) -> None:
    if "valueQuantity" in resource:
        resource["valueQuantity"]["value"] = int(resource["valueQuantity"]["value"])


def drops_identifiers(resource: dict[str, Any]) -> None:
    if resource["resourceType"] == "Observation":
        del resource["identifier"]


NOISE = [adds_meta, reorders, writes_time_anew]
CHANGES: dict[Alter, str] = {
    rounds: "Observation.valueQuantity.value",
    drops_identifiers: "Observation.identifier",
}


@pytest.mark.parametrize("alter", NOISE)
def test_o25_what_a_server_writes_differently_is_no_difference(place: Place, alter: Alter) -> None:
    place.front.alter = alter
    place.order(place.front.after_commit(fake_server.commit_then_reset))

    receipt = place.take(a_short_visit())
    place.settle()
    place.clock.advance(HOUR)
    report = look(place)

    assert place.front.asked()[:2] == SEND_AND_READ_BACK
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}
    assert (report.kinds, report.altered) == ({}, {})


@pytest.mark.parametrize("alter", CHANGES)
def test_o25_what_a_server_changes_of_ours_is_listed_and_is_nobodys_edit(
    place: Place, alter: Alter
) -> None:
    place.front.alter = alter
    record = a_short_visit()
    record["vitals"][0]["heart_rate"]["value"] = codec.decode(b"72.5")

    receipt = place.take(record)
    report = look(place)
    place.clock.advance(HOUR)
    place.take(amended(record, rate(90)))
    place.settle()

    assert report.altered == {CHANGES[alter]: 1}
    assert (report.kinds, report.waiting) == ({"altered": 1}, 0)
    assert place.bridge.drift("ehr") == []
    assert set(place.states()) == {"delivered"}
    assert len(place.ehr.history(place.pulse(receipt))) == 2


@pytest.mark.parametrize(
    "date",
    ["Mon, 04 May 2026 09:00:00 -0000", "Sat, 31 Dec 2016 23:59:60 GMT", "yesterday", ""],
)
def test_p05_a_date_that_says_no_moment_is_no_date(
    place: Place, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    """A zone of -0000 says that nobody knows the zone, and a leap second has no place here."""
    monkeypatch.setattr(Front, "date", f"Date: {date}")
    place.take(a_short_visit())

    report = look(place)

    assert (report.kinds, report.waiting) == ({}, 0)
    assert set(place.states()) == {"delivered"}


def a_visit_with_digits() -> Record:
    record = a_short_visit()
    record["vitals"][0]["heart_rate"]["value"] = codec.decode(b"72.5")
    return record


@pytest.mark.parametrize("alter", CHANGES)
def test_o25_what_a_server_changed_of_a_write_that_nobody_heard_of_waits_for_a_person(
    place: Place, alter: Alter
) -> None:
    """Nothing tells it from an edit: it is not overwritten, and not taken for ours."""
    place.front.alter = alter
    place.order(place.front.after_commit(fake_server.commit_then_reset))

    receipt = place.take(a_visit_with_digits())
    place.settle()
    place.clock.advance(HOUR)
    look(place)

    assert place.front.asked()[:2] == SEND_AND_READ_BACK
    assert "send" not in place.front.asked()[2:]
    assert place.delivery(receipt).reason.startswith("edited: Observation/")
    assert place.versions(receipt) == {1}
    assert place.alarms() == ["held: edited"]
    (found,) = place.bridge.drift("ehr")
    assert found["elements"] == [CHANGES[alter].removeprefix("Observation.")]


@pytest.mark.parametrize("choice", [Choice.OURS, Choice.THEIRS])
@pytest.mark.parametrize("alter", CHANGES)
def test_o25_whatever_the_person_says_of_it_ends_the_wait(
    place: Place, alter: Alter, choice: Choice
) -> None:
    place.front.alter = alter
    place.order(place.front.after_commit(fake_server.commit_then_reset))
    place.take(a_visit_with_digits())
    place.settle()
    look(place)

    for found in place.bridge.drift("ehr"):
        place.bridge.decide(found["id"], choice, reason="asked the ward", actor="ann")
    place.settle()
    place.clock.advance(HOUR)
    look(place)

    assert set(place.states()) == {"delivered"}
    assert place.bridge.drift("ehr") == []


@pytest.mark.parametrize("alter", CHANGES)
def test_o25_an_amendment_whose_answer_is_lost_is_held_where_it_was_changed(
    place: Place, alter: Alter
) -> None:
    place.front.alter = alter
    first = place.take(a_visit_with_digits())
    place.forget()
    place.order(place.front.after_commit(fake_server.commit_then_reset))

    second = place.take(amended(a_visit_with_digits(), rate(codec.decode(b"90.5"))))
    place.settle()

    assert place.front.asked() == SEND_AND_READ_BACK
    assert place.delivery(second).reason.startswith("edited: Observation/")
    assert len(place.ehr.history(place.pulse(first))) == 2
