"""O8 and O21 to O27: what an EHR does, or has done to it, beside what we ask."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import Identity
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.watch import Watch
from tests.egress import fake_server
from tests.egress.fake_server import Seen, Step, http
from tests.factories import a_short_visit, amended, rate
from tests.faults.front import written
from tests.faults.place import Place

HOUR = timedelta(hours=1)
NOTE = [{"text": "Synthetic note: confirmed by phone"}]
SEND_AND_READ_BACK = ["send", "read back"]


def look(place: Place, *, full: bool = True) -> Report:
    return place.bridge.reconcile("ehr", full=full, actor="test")


def quietly(place: Place) -> str:
    """Deliver a visit, let an hour pass; return the reference of its pulse."""
    pulse = place.pulse(place.take(a_short_visit()))
    place.clock.advance(HOUR)
    place.forget()
    return pulse


def put(place: Place, reference: str, body: Mapping[str, Any]) -> None:
    """Write as somebody at the EHR, over the socket's far end."""
    headers = {"Content-Type": codec.FHIR_JSON}
    answer = place.ehr.model.handle("PUT", f"/{reference}", headers, codec.encode(body))
    assert answer.status in (200, 201), answer


# --- O8: deleted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "requests"), [("", 2), ("410 Gone", 2), ("404 Not Found", 3)], ids=repr
)
def test_o08_what_was_deleted_there_is_held_and_not_made_again(
    place: Place, status: str, requests: int
) -> None:
    pulse = quietly(place)
    place.ehr.delete(pulse)
    gone = fake_server.answer(http(b"", status=status))
    place.front.choose = lambda seen: gone if status and written(seen) else None

    receipt = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    assert place.delivery(receipt).state == "held"
    assert place.delivery(receipt).reason.startswith("gone: ")
    assert len(place.server.seen) == requests
    assert place.ehr.history(pulse)[1:] == [{}]
    assert "held: gone" in place.alarms()


# --- O21, O22, O24: lost, edited, doubled -------------------------------------------------------


def test_o21_what_a_backup_lost_is_owed_again_in_order_and_counted(place: Place) -> None:
    for number in range(1, 7):
        place.take(a_short_visit(patient=f"pt-{number}"))
    backup = place.ehr.model.snapshot()
    record = a_short_visit(patient="pt-1")
    place.take(amended(record, rate(90)))
    later = amended(amended(record, rate(90)), rate(95))
    receipt = place.take(later)
    place.clock.advance(HOUR)
    place.ehr.model.restore(backup)
    pulse = place.pulse(receipt)

    report = look(place)
    place.settle()

    assert report.kinds == {"older": 1, "missing": 2}
    assert (report.repaired, report.waiting, report.stop) == (3, 0, "")
    assert place.differing() == []
    assert place.ehr.read(pulse)["valueQuantity"]["value"] == 95
    assert set(place.states()) == {"delivered"}


def test_o21_a_version_that_comes_again_proves_nothing(place: Place) -> None:
    pulse = quietly(place)
    backup = place.ehr.model.snapshot()
    receipt = place.take(amended(a_short_visit(), rate(90)))
    place.ehr.model.restore(backup)
    place.clock.advance(HOUR)
    place.ehr.edit(pulse, note=NOTE)  # version 2, as ours was

    report = look(place)
    place.settle()

    assert place.ledger()[identity(pulse)].ehr_version == "2"
    assert report.kinds["edited"] == 1
    assert place.ehr.read(pulse)["note"] == NOTE
    assert place.delivery(receipt).state == "delivered"


def identity(reference: str) -> Identity:
    return Identity(*reference.split("/"))


def test_o22_a_clinicians_edit_is_held_with_both_sides(place: Place) -> None:
    pulse = quietly(place)
    place.ehr.edit(pulse, note=NOTE)

    report = look(place, full=False)
    receipt = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    (found,) = place.bridge.drift("ehr")
    sides = place.bridge.drift_sides(found["id"], actor="test")
    assert (report.kinds, report.waiting) == ({"edited": 1}, 1)
    assert place.delivery(receipt).state == "held"
    assert sides["theirs"]["note"] == NOTE
    assert sides["base"]["valueQuantity"]["value"] == 72
    assert place.ehr.read(pulse)["note"] == NOTE
    assert len(place.ehr.history(pulse)) == 2


def test_o24_a_second_one_with_our_identifier_is_reported_and_never_removed(place: Place) -> None:
    pulse = quietly(place)
    second = {**place.ehr.read(pulse), "id": "copy"}
    put(place, "Observation/copy", second)

    report = look(place)

    (found,) = place.bridge.drift("ehr")
    assert report.kinds == {"duplicated": 1}
    assert (found["kind"], found["resource_id"]) == ("duplicated", identity(pulse).id)
    assert place.ehr.history("Observation/copy") == [place.ehr.read("Observation/copy")]
    assert [one.method for one in place.server.seen if one.method == "DELETE"] == []


# --- O23: another patient -----------------------------------------------------------------------

SURVIVOR = {"resourceType": "Patient", "id": "survivor"}


def replaced_by(own: str) -> dict[str, Any]:
    return {"link": [{"type": "replaced-by", "other": {"reference": f"Patient/{own}"}}]}


OUT_OF_USE: dict[str, tuple[dict[str, Any], str]] = {
    "replaced": ({"active": False, **replaced_by("survivor")}, "Patient/survivor"),
    "replaced but active": (replaced_by("survivor"), "Patient/survivor"),
    "inactive": ({"active": False}, "not certain"),
    "replaced in a circle": (replaced_by("circle"), "not certain"),
}


@pytest.mark.parametrize("how", OUT_OF_USE)
def test_o23_nothing_goes_to_a_patient_who_is_out_of_use_there(place: Place, how: str) -> None:
    receipt = place.take(a_short_visit())
    (patient,) = place.of_mapping(receipt, "patient")
    place.clock.advance(HOUR)
    put(place, "Patient/survivor", SURVIVOR)
    back = {"type": "replaced-by", "other": {"reference": patient}}
    put(place, "Patient/circle", {**SURVIVOR, "id": "circle", "link": [back]})
    changes, survivor = OUT_OF_USE[how]
    place.ehr.edit(patient, **changes)
    place.forget()

    look(place, full=False)
    asked = len(place.server.seen)
    amendment = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    (found,) = place.bridge.drift("ehr")
    held = place.delivery(amendment)
    assert (held.state, held.reason.partition(":")[0]) == ("held", "merged")
    assert found["id"] in held.reason
    assert len(place.server.seen) == asked
    assert place.bridge.drift_sides(found["id"], actor="test")["survivor"] == survivor
    assert "held: merged" in place.alarms()


def test_o23_nothing_reaches_a_patient_who_was_deleted_there(place: Place) -> None:
    receipt = place.take(a_short_visit())
    (patient,) = place.of_mapping(receipt, "patient")
    place.clock.advance(HOUR)
    place.ehr.delete(patient)

    report = look(place, full=False)
    amendment = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    assert report.kinds == {"deleted": 1}
    assert place.delivery(amendment).state in ("held", "parked")
    assert len(place.ehr.history(place.pulse(receipt))) == 1


def test_o23_what_waited_goes_on_when_the_patient_is_in_use_again(place: Place) -> None:
    receipt = place.take(a_short_visit())
    (patient,) = place.of_mapping(receipt, "patient")
    before = place.ehr.read(patient)
    place.clock.advance(HOUR)
    place.ehr.edit(patient, active=False)
    look(place)
    amendment = place.take(amended(a_short_visit(), rate(90)))
    assert place.delivery(amendment).state == "held"

    put(place, patient, before)
    look(place)
    place.settle()

    assert place.delivery(amendment).state == "delivered"
    assert place.bridge.drift("ehr") == []


# --- O26: an index that lags --------------------------------------------------------------------


def test_o26_what_no_search_finds_yet_is_read_by_its_id(place: Place) -> None:
    nothing = http(b'{"resourceType":"Bundle","type":"searchset","total":0}')

    def lag(seen: Seen) -> Step | None:
        lags = seen.target.endswith("/_search") or "/_history" in seen.target
        return fake_server.answer(nothing) if lags else None

    place.front.choose = lag
    place.order(place.front.after_commit(fake_server.commit_then_reset))
    receipt = place.take(a_short_visit())
    place.settle()
    asked = place.front.asked()
    before = place.ehr.model.snapshot()

    reports = [look(place, full=full) for full in (True, False)]
    place.settle()

    assert asked == SEND_AND_READ_BACK
    assert place.versions(receipt) == {1}
    assert [one.kinds for one in reports] == [{}, {}]
    assert all(one.compared for one in reports)
    assert place.ehr.model.snapshot() == before


# --- O27: another server than was probed --------------------------------------------------------


def test_o27_a_server_that_promises_something_else_is_paused_and_told(
    place: Place,
) -> None:
    place.bridge.probe_destination("ehr", actor="test")
    watch = place.bridge.watch(seconds=60)
    rounds_of(place, watch, 1)
    place.front.choose = upgraded(place)
    assert place.paused() == ""
    place.clock.advance(timedelta(minutes=30))
    rounds_of(place, watch, 1)
    assert place.paused() == ""

    place.clock.advance(timedelta(minutes=31))
    rounds_of(place, watch, 3)
    place.bridge.check_alerts()

    receipt = place.take(a_short_visit())
    assert place.paused().startswith("the server is not what was probed")
    assert "paused: " in place.alarms()
    assert len(place.evidence("destination.paused")) == 1
    assert place.delivery(receipt).state == "pending"
    assert "send" not in place.front.asked()
    place.forget()
    place.bridge.probe_destination("ehr", actor="test")
    rounds_of(place, watch, 1)
    place.settle()
    assert place.paused() == ""
    assert place.delivery(receipt).state == "delivered"


def rounds_of(place: Place, watch: Watch, count: int) -> None:
    for _ in range(count):
        place.forget()
        watch.round()
        place.clock.advance(timedelta(seconds=60))


def upgraded(place: Place) -> Callable[[Seen], Step | None]:
    """Let the CapabilityStatement list another profile than before."""

    def promise(statement: dict[str, Any]) -> None:
        statement["rest"][0]["resource"][0]["supportedProfile"] = ["https://ehr.invalid/new"]

    def step(seen: Seen) -> Step | None:
        return place.front.reworded(promise) if seen.target.endswith("/metadata") else None

    return step


@pytest.mark.parametrize("said", ["the same", "a new date", "nothing", "a page"])
def test_o27_what_says_nothing_new_pauses_nothing(place: Place, said: str) -> None:
    def later(statement: dict[str, Any]) -> None:
        statement["date"] = "2031-01-01"

    steps: dict[str, Step | None] = {
        "the same": None,
        "a new date": place.front.reworded(later),
        "nothing": fake_server.commit_then_reset,
        "a page": fake_server.answer(fake_server.HTML_200),
    }
    place.bridge.probe_destination("ehr", actor="test")
    place.forget()
    watch = place.bridge.watch(seconds=60)
    place.front.choose = lambda seen: steps[said] if seen.target.endswith("/metadata") else None

    for _ in range(3):
        rounds_of(place, watch, 1)
        assert place.front.asked().count("GET /fhir/metadata") == 1
        place.clock.advance(HOUR)

    assert place.paused() == ""
