"""O3 to O7 and O9 to O12: answers that are lost, refuse, conflict, or ask to wait."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from fhirbridge.deliver import traffic
from fhirbridge.fhir import codec
from fhirbridge.outbox.claim import LaneName
from tests.deliver.refusing import outcome
from tests.egress import fake_server
from tests.egress.fake_server import Seen, Step, http
from tests.factories import A_DAY, a_short_visit, amended, rate
from tests.fakes import START
from tests.faults.front import written
from tests.faults.place import SHORT, Place

ONCE = ["send"]
READ_BACK_AND_OURS = ["send", "read back"]
READ_BACK_AND_SENT_AGAIN = ["send", "read back", "send"]
NOTE = [{"text": "Synthetic note: confirmed by phone"}]
FHIR = f"Content-Type: {codec.FHIR_JSON}"


def says(status: str, *headers: str, body: bytes = outcome()) -> Step:
    """Do nothing and answer so; the body holds what must never be repeated."""
    return fake_server.answer(http(body, FHIR, *headers, status=status))


# --- O3, O4: nobody knows -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [fake_server.commit_then_reset, fake_server.commit_then_drop, fake_server.silence]
)
def test_o03_an_answer_lost_after_commit_is_read_back(place: Place, step: Step) -> None:
    place.order(place.front.after_commit(step))
    place.deadlines = [SHORT] if step is fake_server.silence else []

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == READ_BACK_AND_OURS
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}
    place.take(amended(a_short_visit(), rate(90)))  # under the version that was adopted
    assert place.front.asked() == [*READ_BACK_AND_OURS, "send"]
    assert len(place.ehr.history(place.pulse(receipt))) == 2


def test_o03_what_was_never_done_is_made_under_its_guard(place: Place) -> None:
    place.order(fake_server.commit_then_reset)

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == READ_BACK_AND_SENT_AGAIN
    assert b'"ifMatch":"W/\\"0\\""' in place.server.seen[-1].body
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


def test_o03_what_somebody_changed_meanwhile_waits_for_a_person(place: Place) -> None:
    first = place.take(a_short_visit())
    pulse = place.pulse(first)
    place.order(fake_server.commit_then_reset)
    second = place.accept(amended(a_short_visit(), rate(90)))
    lane = LaneName("ehr", place.delivery(second).lane)
    for step in place.drain(lane):
        if step == "answered":
            place.ehr.edit(pulse, note=NOTE)
    place.settle()

    assert place.delivery(second).state == "held"
    assert place.delivery(second).reason.startswith(f"edited: {pulse}")
    assert place.ehr.read(pulse)["note"] == NOTE
    assert len(place.ehr.history(pulse)) == 2
    assert "held: edited" in place.alarms()


@pytest.mark.parametrize("exists", [True, False], ids=["update", "create"])
def test_o04_a_late_copy_changes_nothing(place: Place, *, exists: bool) -> None:
    record = a_short_visit()
    if exists:
        place.take(record)
        record = amended(record, rate(90))
    place.order(place.front.delayed)
    second = place.take(record)
    place.settle()
    place.take(amended(record, rate(95)))
    before = place.ehr.model.snapshot()

    statuses = place.front.land_late()

    assert statuses == [409]
    assert place.ehr.model.snapshot() == before
    assert place.ehr.read(place.pulse(second))["valueQuantity"]["value"] == 95
    assert set(place.states()) == {"delivered"}


# --- O5 to O7, O11: refused ---------------------------------------------------------------------

OUR_MISTAKE = {
    "400 Bad Request": 5,  # the whole, then one by one
    "404 Not Found": 5,
    "405 Method Not Allowed": 1,
    "406 Not Acceptable": 1,
    "415 Unsupported Media Type": 1,
}


@pytest.mark.parametrize("status", OUR_MISTAKE)
def test_o05_our_own_mistake_parks_and_the_breaker_counts_it(place: Place, status: str) -> None:
    place.always(says(status))

    receipt = place.take(a_short_visit())
    place.settle()

    parked = place.delivery(receipt)
    assert parked.state == "parked"
    assert parked.reason.startswith("refused: the EHR ")
    assert status[:3] in parked.reason
    assert 1 <= len(place.server.seen) <= OUR_MISTAKE[status]
    assert "read back" not in place.front.asked()
    assert place.versions(receipt) == {0}
    assert "parked: refused" in place.alarms()
    with place.store.read() as tx:
        assert traffic.load(tx, "ehr").breaker.in_a_row == len(place.server.seen)


def test_o05_ten_mistakes_in_a_row_leave_the_ehr_alone(place: Place) -> None:
    place.always(says("415 Unsupported Media Type"))

    for number in range(1, 16):
        place.accept(a_short_visit(patient=f"pt-{number}"))
    place.sync()

    assert len(place.server.seen) == 10
    assert "down: " in place.alarms()


def test_o06_a_refused_sign_in_stops_the_destination_and_not_the_record(place: Place) -> None:
    place.always(says("401 Unauthorized"))

    receipt = place.take(a_short_visit())
    place.accept(a_short_visit(patient="pt-2"))
    place.settle()

    assert place.front.asked() == ONCE
    assert place.paused().startswith("the EHR refused our sign-in")
    assert place.delivery(receipt).state == "pending"
    assert "auth: " in place.alarms()
    place.always(None)
    place.resume()
    place.settle()
    assert set(place.states()) == {"delivered"}
    assert place.versions(receipt) == {1}


def test_o07_a_403_parks_its_record_and_is_not_asked_again(place: Place) -> None:
    place.order(says("403 Forbidden"))

    receipt = place.take(a_short_visit())
    other = place.take(a_short_visit(patient="pt-2"))
    place.settle()

    assert place.front.asked() == ["send", "send"]
    assert place.delivery(receipt).state == "parked"
    assert place.delivery(receipt).reason.startswith("refused: the EHR answered 403")
    assert place.delivery(other).state == "delivered"
    assert place.paused() == ""


def test_o07_several_patients_in_a_row_stop_the_destination(place: Place) -> None:
    place.always(says("403 Forbidden"))

    for number in range(1, 7):
        place.accept(a_short_visit(patient=f"pt-{number}"))
    place.settle()

    assert place.front.asked() == ["send"] * 3
    assert place.paused().startswith("the EHR refuses access")
    assert [row.state for row in place.patient_rows()].count("parked") == 2


def test_o11_a_422_parks_what_it_is_about_and_what_points_to_it_waits(place: Place) -> None:
    def refuse(seen: Seen) -> Step | None:
        bad = any(one["resourceType"] == "Observation" for one in written(seen))
        return says("422 Unprocessable Content") if bad else None

    place.front.choose = refuse
    receipt = place.take(a_short_visit())
    place.settle()

    parked = place.delivery(receipt)
    items = {one.type: one.outcome for one in place.items(parked.id)}
    assert parked.state == "parked"
    assert items == {"Patient": "created", "Observation": "refused", "Provenance": "blocked"}
    assert "vital-heart-rate.yaml" in parked.reason
    assert parked.reason.endswith("(invalid); 1 waits for it")
    assert place.ehr.history(place.pulse(receipt)) == []
    place.front.choose = lambda _seen: None
    other = place.take(a_short_visit(patient="pt-2"))
    assert place.delivery(other).state == "delivered"
    assert place.retry() == 1
    place.settle()
    assert place.versions(receipt) == {1}


# --- O9, O10: conflicts -------------------------------------------------------------------------

CONFLICTS = ["409 Conflict", "412 Precondition Failed"]


@pytest.mark.parametrize("status", CONFLICTS)
def test_o09_o10_a_conflict_that_is_our_own_write_is_adopted(place: Place, status: str) -> None:
    place.order(place.front.after_commit(says(status)))

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == READ_BACK_AND_OURS
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


@pytest.mark.parametrize("status", CONFLICTS)
def test_o09_o10_a_conflict_over_our_base_is_sent_again_five_times_at_most(
    place: Place, status: str
) -> None:
    place.take(a_short_visit())
    place.forget()
    place.front.choose = lambda seen: says(status) if written(seen) else None

    receipt = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    asked = place.front.asked()
    assert asked == READ_BACK_AND_OURS * 5
    assert place.delivery(receipt).state == "parked"
    assert status[:3] in place.delivery(receipt).reason
    assert len(place.ehr.history(place.pulse(receipt))) == 1


def test_o10_a_conflict_over_somebody_elses_edit_is_held(place: Place) -> None:
    pulse = place.pulse(place.take(a_short_visit()))
    place.ehr.edit(pulse, note=NOTE)
    place.forget()

    receipt = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    assert place.front.asked() == READ_BACK_AND_OURS
    assert place.delivery(receipt).state == "held"
    assert place.delivery(receipt).reason == f"edited: {pulse} changed in the EHR"
    assert place.ehr.read(pulse)["note"] == NOTE


# --- O12: asked to wait -------------------------------------------------------------------------

MINUTE = timedelta(minutes=1)
A_WHILE = timedelta(seconds=1)  # the first backoff

UNAVAILABLE, TOO_MANY = "503 Service Unavailable", "429 Too Many Requests"
WAITS = {
    "seconds": ("120", 2 * MINUTE),
    "a date": (format_datetime(START + 5 * MINUTE, usegmt=True), 5 * MINUTE),
    "ten years in seconds": ("315360000", A_DAY),
    "ten years as a date": ("Fri, 01 May 2036 00:00:00 GMT", A_DAY),
    "more digits than a clock has": ("9" * 400, A_DAY),
    "negative": ("-5", None),
    "nothing": ("0", None),
    "a date that is over": ("Fri, 01 May 1998 00:00:00 GMT", None),
    "a fraction": ("1.5", None),
    "junk": ("soon, Synthetic-Alvarez", None),
    "empty": ("", None),
}


@pytest.mark.parametrize(
    ("asked", "status"), [*((one, UNAVAILABLE) for one in WAITS), ("seconds", TOO_MANY)]
)
def test_o12_retry_after_is_heeded_within_a_day(place: Place, asked: str, status: str) -> None:
    value, wait = WAITS[asked]
    place.order(says(status, f"Retry-After: {value}"))
    began = place.clock.now()

    receipt = place.accept(a_short_visit())
    others = place.accept(a_short_visit(patient="pt-2"))
    place.sync()

    if wait is None:
        assert place.clock.now() - began <= A_WHILE
        assert place.front.asked() == ["send"] * 3
    else:
        assert place.bridge.next_due() == began + wait
        longer = ["; it asks to wait longer than" in row.reason for row in place.rows("pending")]
        assert any(longer) is (wait == A_DAY)
        place.clock.advance(began + wait - MINUTE - place.clock.now())
        place.sync()
        assert place.front.asked() == ONCE  # the other one waits too: it is the server that asked
    place.settle()
    assert place.front.asked() == ["send"] * 3
    assert place.versions(receipt) == place.versions(others) == {1}
