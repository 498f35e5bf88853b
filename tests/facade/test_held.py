"""Safety 3 over this way out: consent, labels and pauses are asked when a facade is read."""

from datetime import timedelta

import pytest

from fhirbridge.facade.held import AT_ONCE, Chosen
from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import ANY, Stopped
from tests.facade.reading import Reading
from tests.factories import Record, a_pulse, a_short_visit, a_visit, amended, rate

SHARED = {"Practitioner", "PractitionerRole", "Organization", "Location", "Provenance"}
NO_CONSENT: list[Record] = []


def kinds(reading: Reading, chosen: Chosen | None = None) -> set[str]:
    return {one.identity.type for one in reading.held(chosen)}


def consent(status: str, kind: str = "sharing") -> Record:
    said: Record = {"id": f"cs-{kind}", "kind": kind, "status": status}
    moment = "signed_at" if status == "active" else "withdrawn_at"
    return {**said, moment: "2026-03-01T08:00:00-05:00"}


def test_r32_without_consent_nothing_of_a_patient_is_even_put_there() -> None:
    reading = Reading(requires_consent=True)

    reading.take(a_short_visit(consents=NO_CONSENT))

    assert kinds(reading) <= SHARED
    assert "held" in reading.states()


def test_r32_safety_3_a_withdrawn_consent_hides_what_was_readable_before(
    reading: Reading,
) -> None:
    visit = a_short_visit()
    reading.take(visit)
    assert "Observation" in kinds(reading)

    reading.take(amended(visit, lambda new: new.update(consents=[consent("withdrawn")])))

    assert kinds(reading) <= SHARED
    assert kinds(reading, Chosen(history=True)) <= SHARED


def test_s36_safety_3_a_part_2_label_is_readable_only_with_a_consent_for_it() -> None:
    reading = Reading()
    agreed = [consent("active"), consent("active", "part-2")]
    visit = a_short_visit(labels=["part-2"], consents=agreed)
    reading.take(visit)
    assert "Observation" in kinds(reading)

    ended = [consent("active"), consent("withdrawn", "part-2")]
    reading.take(amended(visit, lambda new: new.update(consents=ended)))

    assert kinds(reading, Chosen(history=True)) <= SHARED


def test_s36_safety_3_of_one_patient_only_the_labelled_visit_is_hidden() -> None:
    reading = Reading()
    labelled = a_short_visit(
        1, labels=["part-2"], consents=[consent("active"), consent("active", "part-2")]
    )
    reading.take(labelled)
    reading.take(a_short_visit(2, vitals=[a_pulse("v-9", 61, day="2026-03-02")]))
    ended = [consent("active"), consent("withdrawn", "part-2")]
    reading.take(amended(labelled, lambda new: new.update(consents=ended)))

    pulses = reading.bodies(Chosen(kinds=["Observation"]))

    assert [one["valueQuantity"]["value"] for one in pulses] == [61]


def test_safety_3_a_psychotherapy_note_is_on_no_shelf(reading: Reading) -> None:
    told = "Told in therapy alone"
    note = {"id": "n-1", "time": "2026-03-02T11:00:00-05:00", "text": told, "psychotherapy": True}

    reading.take(a_visit(1, notes=[note]))

    whole = b"".join(one.body for one in reading.held(Chosen(history=True)))
    assert b"MedicationAdministration" in whole
    assert told.encode() not in whole


@pytest.mark.parametrize("where", ["portal", ANY])
def test_r18_a_paused_patient_is_read_by_nobody_until_he_is_resumed(
    reading: Reading, where: str
) -> None:
    reading.take(a_short_visit())
    lane = reading.patient_lane().lane
    before = kinds(reading)

    reading.bridge.pause(Stopped(where, lane), actor="test")
    while_paused = kinds(reading)
    reading.bridge.resume(Stopped(where, lane), actor="test")

    assert while_paused <= SHARED < before
    assert kinds(reading) == before


def test_what_was_erased_with_its_record_is_left_out_of_every_list(reading: Reading) -> None:
    receipt = reading.take(a_short_visit())

    with reading.store.begin() as tx:
        reading.vault.shred(tx, receipt.id, "2026-05-04T09:00:00.000000Z")

    assert reading.held(Chosen(history=True)) == []


def test_a_walk_is_as_all_stood_at_its_beginning_and_goes_on_where_it_stopped(
    reading: Reading,
) -> None:
    visit = a_visit(1)
    reading.take(visit)
    before = reading.held()
    half = before[len(before) // 2].number
    reading.clock.advance(timedelta(hours=1))
    reading.take(amended(visit, rate(99)))

    with reading.store.read() as tx:
        held = reading.shelf(tx)
        upto = before[-1].number
        rest = list(held.walk(Chosen(), upto=upto, after=half))
        count = held.count(Chosen(), upto=upto)

    assert rest == [one for one in before if one.number > half]
    assert count == len(before)


def test_nothing_that_is_searched_by_stands_in_the_clear(reading: Reading) -> None:
    reading.take(a_visit(1))
    (patient,) = reading.bodies(Chosen(kinds=["Patient"]))

    with reading.store.read() as tx:
        rows = tx.exec_driver_sql("SELECT * FROM facade_word").fetchall()

    words = {str(row) for row in rows}
    secret = [patient["birthDate"], *(one["value"] for one in patient["identifier"])]
    assert len(words) > 10
    assert not [one for one in secret if any(one in word for word in words)]


def test_only_so_many_rows_are_held_at_a_time(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.take(a_visit(1))
    whole = reading.held()
    monkeypatch.setattr("fhirbridge.facade.held.AT_ONCE", 7)

    with reading.store.read() as tx:
        held = reading.shelf(tx)
        walked = held.walk(Chosen(), upto=held.last()[0])
        asked = [codec.decode(one.body)["id"] for one in walked]

    assert AT_ONCE > 7
    assert asked == [one.identity.id for one in whole]
