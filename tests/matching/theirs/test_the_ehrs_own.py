"""Ours point to the Encounter, order, clinician and place that the EHR has itself, or to none."""

from typing import Any

import pytest

from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.registry import OUR_PATIENTS
from fhirbridge.fhir import codec
from fhirbridge.matching.theirs.crosswalk import Kind
from tests.factories import amended, retracted
from tests.fakes import Fault, Says
from tests.matching.theirs.hospital import (
    ALL_TYPES,
    NUMBER,
    ORDER,
    ORDERS,
    VISITS,
    Hospital,
    a_numbered_visit,
    a_practitioner,
    an_encounter,
    an_order,
)

DAY_BEFORE: dict[str, Any] = {
    "period": {"start": "2026-03-01T09:00:00-05:00", "end": "2026-03-01T11:00:00-05:00"}
}


def pulse(new: dict[str, Any]) -> None:
    """Something of a visit changes."""
    new["vitals"][0]["heart_rate"]["value"] += 1


def test_safety_10_ours_point_to_the_ehrs_own_encounter_and_make_no_second_one() -> None:
    hospital = Hospital(an_encounter(), an_encounter("enc-2", number="EHR-ENC-2"))

    hospital.take(a_numbered_visit())

    assert set(hospital.states()) == {"delivered"}
    assert hospital.visits() == {"Encounter/enc-1"}
    assert {one["id"] for one in hospital.ehr.all_of("Encounter")} == {"enc-1", "enc-2"}
    assert len(hospital.ehr.history("Encounter/enc-1")) == 1
    (link,) = hospital.decided()
    assert (link["state"], link["ehr_id"], link["how"]) == ("linked", "enc-1", "identifier")


LEFT_OUT: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "none": ([], ["none"]),
    "the number of another visit": ([an_encounter(number="EHR-ENC-9")], ["none"]),
    "two": ([an_encounter(), an_encounter("enc-2")], ["several"]),
    "another patient's of the same number": ([an_encounter(patient="ehr-2")], ["other-patient"]),
    "of the day before": ([an_encounter(**DAY_BEFORE)], ["other-day"]),
    "in error": ([an_encounter(status="entered-in-error")], ["status"]),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_safety_10_what_is_not_certain_is_left_out_and_stops_nothing(case: str) -> None:
    there, why = LEFT_OUT[case]
    hospital = Hospital(*there)

    hospital.take(a_numbered_visit())

    assert set(hospital.states()) == {"delivered"}
    assert hospital.visits() == {""}
    assert hospital.why() == why
    assert hospital.ours("Encounter") == []
    named = codec.encode(hospital.ours("Provenance") + hospital.ours("DocumentReference")).decode()
    assert "Encounter/" not in named
    assert hospital.bridge.reconcile("ehr", full=True, actor="test").kinds == {}


def test_safety_10_a_wrong_patients_encounter_is_refused_and_told_though_a_table_names_it() -> None:
    hospital = Hospital(an_encounter("enc-2", patient="ehr-2"), matched={"Encounter": ""})
    hospital.load(Kind.VISIT, (NUMBER, "enc-2"))

    hospital.take(a_numbered_visit())

    assert hospital.why() == ["other-patient"]
    assert hospital.visits() == {""}
    (told,) = hospital.evidence("theirs.decided")
    assert (told.outcome, "other-patient" in told.detail) == ("left-out", True)
    assert NUMBER not in told.detail
    assert [(one["kind"], one["cause"]) for one in hospital.told] == [
        ("wrong-patient", "Encounter")
    ]


def test_safety_10_the_wrong_order_is_left_out_and_the_right_one_is_named() -> None:
    matched = {"MedicationRequest": ORDERS}
    right = Hospital(an_order(), matched=matched)
    wrong = Hospital(an_order(patient="ehr-2"), matched=matched)

    right.take(a_numbered_visit())
    wrong.take(a_numbered_visit())

    assert right.named("request", "MedicationAdministration") == {"MedicationRequest/ord-1"}
    assert wrong.named("request", "MedicationAdministration") == {""}
    assert wrong.why("MedicationRequest") == ["other-patient"]
    assert ORDER not in codec.encode(wrong.ours("MedicationAdministration")).decode()


def test_an_order_is_found_by_a_table_where_the_ehr_cannot_be_searched() -> None:
    hospital = Hospital(an_order(), matched={"MedicationRequest": ""})
    hospital.load(Kind.ORDER, (ORDER, "MedicationRequest/ord-1"))

    hospital.take(a_numbered_visit())

    assert hospital.named("request", "MedicationAdministration") == {"MedicationRequest/ord-1"}


def test_clinicians_and_places_are_named_in_words_where_they_are_not_found() -> None:
    hospital = Hospital(an_encounter(), matched=ALL_TYPES)

    hospital.take(a_numbered_visit())

    assert set(hospital.states()) == {"delivered"}
    for kind in ("Practitioner", "Organization"):
        assert hospital.ehr.all_of(kind) == []
        assert {one["state"] for one in hospital.decided(kind)} == {"left-out"}
    (dose,) = hospital.ours("MedicationAdministration")
    actors = [one["actor"] for one in dose["performer"]]
    assert {one["type"] for one in actors} == {"Practitioner"}
    assert all("Synthetic-" in one["display"] for one in actors)
    assert hospital.bridge.reconcile("ehr", full=True, actor="test").kinds == {}


def test_clinicians_are_found_by_table_and_by_npi_and_places_by_table() -> None:
    record = a_numbered_visit()
    first, second = record["staff"][0], record["staff"][1]
    by_npi = a_practitioner("prac-1", first["npi"], name=[first["name"]])
    table = {
        "resourceType": "Practitioner",
        "id": "prac-2",
        "name": [{"family": "Synthetic-Renamed"}],
    }
    clinic = {"resourceType": "Organization", "id": "org-1", "name": "East"}
    room = {"resourceType": "Location", "id": "loc-1", "name": "Room"}
    matched = {"Practitioner": "", "Organization": "", "Location": ""}
    hospital = Hospital(by_npi, table, clinic, room, matched=matched)
    hospital.load(Kind.PRACTITIONER, (second["id"], "prac-2"))
    own = record["clinic"]["id"]
    hospital.load(
        Kind.DEPARTMENT,
        (own, "Organization/org-1"),
        (f"{own}/{record['visit']['room']}", "Location/loc-1"),
    )

    hospital.take(record)

    linked = {one["ehr_id"]: one["how"] for kind in matched for one in hospital.decided(kind)}
    assert linked == {
        "prac-1": "identifier", "prac-2": "crosswalk", "org-1": "crosswalk", "loc-1": "crosswalk",
    }  # fmt: skip
    (visit,) = hospital.ours("Encounter")
    assert visit["location"][0]["location"] == {"reference": "Location/loc-1"}
    assert visit["serviceProvider"] == {"reference": "Organization/org-1"}
    named = codec.encode(
        [one for kind in ("MedicationAdministration", "Observation") for one in hospital.ours(kind)]
    ).decode()
    assert "Practitioner/prac-2" in named


def test_no_url_says_a_number_and_no_log_says_a_value() -> None:
    hospital = Hospital(an_encounter(), an_order(), matched=ALL_TYPES)

    hospital.take(a_numbered_visit())

    urls = [one.url for one in hospital.matching.sent]
    assert sum(url.endswith("/Encounter/_search") for url in urls) == 1
    assert not [url for url in urls if "?" in url or NUMBER in url or ORDER in url]


def test_what_is_linked_is_read_again_after_ten_minutes_and_left_out_if_it_moved() -> None:
    hospital = Hospital(an_encounter())
    record = a_numbered_visit()
    hospital.take(record)
    hospital.ehr.edit("Encounter/enc-1", subject={"reference": "Patient/ehr-2"})
    hospital.clock.advance(hospital.beyond_freshness)

    hospital.take(amended(record, pulse))

    assert hospital.why() == ["other-patient"]
    assert hospital.visits() == {""}
    assert set(hospital.states()) == {"delivered"}


def test_a_number_that_a_later_version_brings_is_looked_up_and_what_went_before_follows() -> None:
    hospital = Hospital(an_encounter())
    record = a_numbered_visit()
    del record["visit"]["ehr_encounter"]
    hospital.take(record)
    assert (hospital.why(), hospital.visits()) == (["no-number"], {""})

    def numbered(new: dict[str, Any]) -> None:
        new["visit"]["ehr_encounter"] = NUMBER
        pulse(new)

    hospital.take(amended(record, numbered))

    assert hospital.visits() == {"Encounter/enc-1"}
    assert set(hospital.states()) == {"delivered"}
    assert hospital.bridge.reconcile("ehr", full=True, actor="test").kinds == {}


def test_what_a_table_says_later_follows_by_plan_and_apply() -> None:
    hospital = Hospital(an_encounter(), matched={"Encounter": ""})
    hospital.take(a_numbered_visit())
    assert hospital.why() == ["no-way"]

    hospital.load(Kind.VISIT, (NUMBER, "enc-1"))
    asked = hospital.bridge.theirs.ask("ehr", actor="test")

    assert (asked.changed, len(asked.deliveries)) == (1, 1)
    assert hospital.visits() == {""}
    hospital.sync()
    assert hospital.visits() == {"Encounter/enc-1"}
    assert hospital.bridge.reconcile("ehr", full=True, actor="test").kinds == {}


def test_a_link_is_taken_back_and_what_pointed_there_does_so_no_more() -> None:
    hospital = Hospital(an_encounter())
    record = a_numbered_visit()
    hospital.take(record)
    (link,) = hospital.decided()

    done = hospital.bridge.theirs.unlink(link["id"], reason="another stay", actor="test")
    hospital.clock.advance(hospital.beyond_freshness)
    hospital.sync()
    hospital.take(amended(record, pulse))

    assert done["why"] == ["by-hand"]
    assert hospital.visits() == {""}
    assert hospital.why() == ["by-hand"]
    hospital.bridge.theirs.ask("ehr", link_id=hospital.decided()[0]["id"], actor="test")
    hospital.sync()
    assert hospital.visits() == {"Encounter/enc-1"}


def test_clinicians_found_later_are_named_in_what_is_new_and_the_rest_when_it_is_brought() -> None:
    hospital = Hospital(matched={"Practitioner": ""})
    record = a_numbered_visit()
    hospital.take(record)
    hospital.put(a_practitioner("prac-1"))
    hospital.load(Kind.PRACTITIONER, *((one["id"], "prac-1") for one in record["staff"]))

    asked = hospital.bridge.theirs.ask("ehr", actor="test")
    report = hospital.bridge.reconcile("ehr", full=True, actor="test")
    before = hospital.bridge.theirs.behind("ehr")
    hospital.bridge.theirs.bring("ehr", actor="test")
    hospital.sync()

    assert (asked.changed, asked.deliveries, report.kinds) == (len(record["staff"]), (), {})
    assert before > 0
    assert hospital.bridge.theirs.behind("ehr") == 0
    (dose,) = hospital.ours("MedicationAdministration")
    assert {one["actor"]["reference"] for one in dose["performer"]} == {"Practitioner/prac-1"}


def test_a_retraction_takes_back_what_is_ours_and_leaves_the_encounter() -> None:
    hospital = Hospital(an_encounter())
    record = a_numbered_visit()
    hospital.take(record)

    hospital.take(retracted(record))

    assert set(hospital.states()) == {"delivered"}
    assert {one["status"] for one in hospital.ours("Observation")} == {"entered-in-error"}
    assert len(hospital.ehr.history("Encounter/enc-1")) == 1


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DROPPED, Fault.NOT_SENT, Says(status=503)])
def test_an_answer_that_does_not_come_is_asked_for_again(fault: Fault | Says) -> None:
    hospital = Hospital(an_encounter())
    hospital.accept(a_numbered_visit())
    tries = iter([fault])
    hospital.matching.choose = lambda one: (
        next(tries, None) if one.url.endswith("/Encounter/_search") else None
    )
    hospital.settle()

    assert set(hospital.states()) == {"delivered"}
    assert hospital.visits() == {"Encounter/enc-1"}


@pytest.mark.parametrize("status", [400, 403, 404, 501])
def test_an_ehr_that_refuses_to_be_asked_holds_up_nothing(status: int) -> None:
    hospital = Hospital(an_encounter())
    hospital.matching.choose = lambda one: (
        Says(status=status) if one.url.endswith("/Encounter/_search") else None
    )

    hospital.take(a_numbered_visit())

    assert (hospital.why(), hospital.visits()) == (["refused"], {""})
    assert set(hospital.states()) == {"delivered"}


def test_a_lost_answer_to_what_points_to_it_is_read_back_as_ours() -> None:
    hospital = Hospital(an_encounter(), matched=ALL_TYPES)
    lost = iter([Fault.LOST, Fault.LOST])
    hospital.matching.choose = lambda one: (
        next(lost, None) if b'"transaction"' in (one.body or b"") else None
    )
    hospital.accept(a_numbered_visit())
    hospital.settle()

    assert set(hospital.states()) == {"delivered"}
    assert {len(hospital.ehr.history(f"Observation/{one['id']}"))
            for one in hospital.ours("Observation")} == {1}  # fmt: skip


def test_a_plan_says_what_goes_and_asks_nobody() -> None:
    hospital = Hospital(an_encounter())
    hospital.accept(a_numbered_visit())
    before = len(hospital.matching.sent)

    plan = hospital.bridge.plan()

    made = {one.resource.split("/")[0] for d in plan.deliveries for one in d.resources
            if one.step == "create"}  # fmt: skip
    assert len(hospital.matching.sent) == before
    assert "MedicationAdministration" in made
    assert not made & {"Encounter", "Patient"}


def test_what_we_made_already_is_not_turned_over_to_the_ehr() -> None:
    hospital = Hospital(matched={})
    hospital.take(a_numbered_visit())

    with pytest.raises(DestinationError, match="were made at ehr by us already"):
        hospital.bridge.theirs.choose("ehr", {"Encounter": VISITS}, (), actor="test")


def test_where_we_make_the_patients_their_visits_are_ours_too() -> None:
    hospital = Hospital(matched={}, patients=OUR_PATIENTS)

    with pytest.raises(DestinationError, match="where we make the patients"):
        hospital.bridge.theirs.choose("ehr", {"Encounter": VISITS}, (), actor="test")


def test_what_is_left_to_the_ehr_is_not_made_by_us_later() -> None:
    hospital = Hospital(an_encounter())
    hospital.take(a_numbered_visit())

    with pytest.raises(DestinationError, match="leaves Encounter to the EHR already"):
        hospital.bridge.theirs.choose("ehr", {}, ("Encounter",), actor="test")
    assert "Encounter" in hospital.bridge.destination("ehr").theirs


@pytest.mark.parametrize(
    ("matched", "told"),
    [
        ({"Patient": ""}, "only some types"),
        ({"Encounter": "visits"}, "is a URI"),
        ({"Location": VISITS}, "not searched by a number"),
    ],
)
def test_what_cannot_be_the_ehrs_own_is_refused(matched: dict[str, str], told: str) -> None:
    hospital = Hospital()

    with pytest.raises(DestinationError, match=told):
        hospital.bridge.theirs.choose("ehr", matched, (), actor="test")


def test_what_was_told_by_its_number_before_is_no_edit_and_follows_when_it_is_brought() -> None:
    hospital = Hospital(an_order(), matched={})
    hospital.take(a_numbered_visit())
    (before,) = hospital.ours("MedicationAdministration")

    hospital.bridge.theirs.choose("ehr", {"MedicationRequest": ORDERS}, (), actor="test")
    report = hospital.bridge.reconcile("ehr", full=True, actor="test")
    hospital.bridge.theirs.bring("ehr", actor="test")
    hospital.sync()

    assert (before["request"]["identifier"], report.kinds) == ({"value": ORDER}, {})
    assert hospital.named("request", "MedicationAdministration") == {"MedicationRequest/ord-1"}
