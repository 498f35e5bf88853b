"""An EHR that says no: what is set aside, what waits for it, and how it comes right."""

from datetime import timedelta

import pytest

from tests.deliver.refusing import NO, heal, is_patient, of_type, refuse, requests
from tests.factories import World, a_pulse, a_short_visit, amended, rate, rates
from tests.fakes import Says
from tests.mapping_sets import few_mappings


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 415, 422, 302])
def test_a_refused_delivery_is_parked_and_sent_again_by_one_command(
    world: World, status: int
) -> None:
    world.accept(a_short_visit())
    refuse(world, says=Says(status=status))
    world.settle()
    (parked,) = world.rows("parked")
    assert parked.reason.startswith("refused: the EHR ")
    assert f"answered {status}" in parked.reason
    heal(world)

    world.retry()
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_what_needs_a_refused_resource_waits_and_names_what_it_waits_for(world: World) -> None:
    world.accept(a_short_visit(1))
    refuse(world)
    world.settle()
    heal(world)
    world.take(a_short_visit(2))
    world.settle()

    first, second = world.patient_rows()
    assert (first.state, second.state) == ("parked", "pending")
    assert second.reason == f"blocked-by: {first.id}"

    world.retry()
    world.settle()

    assert set(world.states()) == {"delivered"}


def test_another_patient_goes_on(world: World) -> None:
    world.accept(a_short_visit(1, patient="pt-1"))
    refuse(world)
    world.settle()
    heal(world)

    world.take(a_short_visit(1, patient="pt-2"))
    world.settle()

    assert sorted(world.states()) == ["delivered", "delivered", "parked"]
    assert len(world.ehr.all_of("Patient")) == 1


def test_a_corrected_version_comes_through_and_replaces_what_was_refused(world: World) -> None:
    bad = a_short_visit()
    world.accept(bad)
    refuse(world)
    world.settle()
    heal(world)

    world.take(amended(bad, rate(90)))
    world.settle()

    assert [row.state for row in world.patient_rows()] == ["superseded", "delivered"]
    assert world.differing() == []
    assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}


def test_a_row_that_was_never_there_is_not_retracted_by_the_correction(world: World) -> None:
    bad = a_short_visit(vitals=[a_pulse("v-1", 72), a_pulse("v-2", 500, hour=10)])
    world.accept(bad)
    refuse(world)
    world.settle()
    heal(world)

    world.take(amended(bad, lambda r: r["vitals"].pop()))
    world.settle()

    assert [one["status"] for one in world.ehr.all_of("Observation")] == ["final"]
    assert world.rows("parked", "held", "pending") == []


def test_a_correction_lets_the_visits_through_that_waited_for_it(world: World) -> None:
    first, second = a_short_visit(1), a_short_visit(2)
    second["patient"]["language"] = "es"  # each owes something the other one names
    world.accept(first)
    refuse(world)
    world.settle()
    heal(world)
    world.accept(second)

    world.accept(amended(first, rate(90)))
    world.settle()

    assert [row.state for row in world.patient_rows()] == ["superseded", "delivered", "delivered"]
    assert world.differing() == []


def test_a_refused_practitioner_stops_only_those_who_name_it(world: World) -> None:
    first = a_short_visit(1, patient="pt-1")
    refuse(world, of_type("Practitioner"))
    world.take(first)
    heal(world)
    stranger = a_short_visit(1, patient="pt-2")
    stranger["clinic"] = {**stranger["clinic"], "id": "clinic-west"}
    stranger["staff"] = [{**one, "id": f"west-{one['id']}"} for one in stranger["staff"]]
    stranger["signed"] = {**stranger["signed"], "by": "west-st-ordering"}

    world.take(stranger)
    world.settle()

    states = {(row.lane == "shared", row.state) for row in world.rows()}
    assert states == {
        (True, "parked"),
        (True, "delivered"),
        (False, "pending"),
        (False, "delivered"),
    }

    world.take(amended(first, lambda r: r["staff"][0]["name"].update(given=["Ada", "B."])))
    world.settle()

    assert world.rows("parked", "held", "pending") == []
    assert world.differing() == []


def test_five_server_errors_with_nothing_stored_park_the_delivery(world: World) -> None:
    world.accept(a_short_visit())
    sent: list[bytes] = []

    def trouble(request: object) -> Says | None:
        body = getattr(request, "body", b"") or b""
        if b'"transaction"' in body and b'"Patient"' in body:
            sent.append(body)
            return Says(status=500)
        return None

    world.ehr.transport.choose = trouble
    world.settle()

    (parked,) = world.rows("parked")
    assert parked.reason == "refused: the EHR answered 500 each time"
    assert len(sent) == 5


def test_an_ehr_that_is_down_parks_nothing(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.choose = lambda _request: Says(status=502)

    world.settle(days=1)

    assert world.rows("parked", "held") == []

    heal(world)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_a_refused_sign_in_stops_the_destination_and_not_the_record(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.script = [None, Says(status=401)]
    world.settle()

    assert "sign-in" in world.paused()
    assert [row.state for row in world.patient_rows()] == ["pending"]
    assert len(world.evidence("destination.paused")) == 1
    world.ehr.transport.sent.clear()
    world.settle()
    assert world.ehr.transport.sent == []

    world.resume()
    world.settle()

    assert set(world.states()) == {"delivered"}


def test_a_retried_older_version_does_not_turn_back_a_newer_one(world: World) -> None:
    record = a_short_visit()
    pulse = world.of_mapping(world.take(record), "vital-heart-rate")[0]
    other = a_short_visit(2)
    world.take(other)
    first = amended(other, lambda r: r["patient"].update(language="es"))
    refuse(world)
    world.take(first)
    heal(world)
    newest = a_short_visit(3)
    newest["patient"]["language"] = "fr"
    world.take(newest)
    assert len(world.rows("parked")) == 1

    world.retry()
    world.settle()

    (patient,) = world.ehr.all_of("Patient")
    assert patient["communication"][0]["language"]["coding"][0]["code"] == "fr"
    assert len(world.ehr.history(pulse)) == 1
    assert set(world.states()) == {"delivered"}


def test_a_retried_delivery_of_which_one_resource_never_goes_still_brings_the_others() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    record = a_short_visit()
    world.accept(record)
    world.accept(amended(record, lambda r: r["vitals"].pop()))
    refuse(world)
    world.settle()
    heal(world)
    assert [row.state for row in world.patient_rows()] == ["parked", "delivered"]

    world.retry()
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.all_of("Patient")) == 1
    assert world.ehr.all_of("Observation") == []


def test_a_redirect_is_not_followed_and_parks_the_delivery(world: World) -> None:
    world.accept(a_short_visit())
    elsewhere = {"location": "http://169.254.169.254/latest"}
    refuse(world, says=Says(status=307, headers=elsewhere))
    world.ehr.transport.sent.clear()

    world.settle()

    (parked,) = world.rows("parked")
    assert parked.reason == ("refused: the EHR answered 307, a redirect, which is never followed")
    assert {request.url.split("/fhir")[0] for request in world.ehr.transport.sent} == {
        "http://ehr.invalid"
    }
    assert len(world.ehr.transport.sent) == 2


def test_one_patient_that_is_forbidden_is_parked_without_single_requests(world: World) -> None:
    world.accept(a_short_visit())
    refuse(world, says=Says(status=403))

    world.settle()

    (parked,) = world.rows("parked")
    assert parked.reason == "refused: the EHR answered 403"
    assert len(requests(world)) == 2
    assert world.paused() == ""


def test_several_forbidden_patients_in_a_row_stop_the_destination() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    for patient in ("pt-1", "pt-2", "pt-3", "pt-4"):
        world.accept(a_short_visit(patient=patient))
    refuse(world, says=Says(status=403))

    world.settle()

    assert "refuses access, for several patients: answered 403" in world.paused()
    assert sorted(row.state for row in world.patient_rows()) == [
        "parked", "parked", "pending", "pending",
    ]  # fmt: skip
    assert len(world.evidence("destination.paused")) == 1

    heal(world)
    world.resume()
    world.retry()
    world.settle()

    assert set(world.states()) == {"delivered"}


def test_forbidden_patients_with_others_between_them_stop_nothing() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    for number in range(8):
        refuse(world, is_patient if number % 2 else of_type(), Says(status=403))
        world.take(a_short_visit(patient=f"pt-{number}"))

    assert world.paused() == ""
    assert sorted(set(world.states())) == ["delivered", "parked"]


def test_one_patient_that_is_forbidden_again_and_again_stops_nothing(world: World) -> None:
    world.accept(a_short_visit())
    refuse(world, says=Says(status=403))
    for _ in range(4):
        world.settle()
        world.retry()

    world.settle()

    assert world.paused() == ""


def test_who_waits_for_what_a_newer_version_replaced_waits_for_that_one(world: World) -> None:
    refuse(world, lambda one: one["resourceType"] == "Patient", Says(status=422))
    record = a_short_visit(1)
    world.take(record)
    world.take(a_short_visit(2))
    world.take(amended(record, lambda new: new["patient"].update(language="es")))
    world.take(a_short_visit(3))
    world.settle()

    first, second, newer, third = world.patient_rows()

    assert (first.state, newer.state) == ("superseded", "parked")
    assert [one.reason for one in (second, third)] == [f"blocked-by: {newer.id}"] * 2


def test_a_status_that_nobody_knows_is_tried_five_times_and_then_parked(world: World) -> None:
    world.accept(a_short_visit())
    refuse(world, says=Says(status=418))

    world.settle()

    (parked,) = world.rows("parked")
    assert parked.reason == "refused: the EHR answered 418 each time"
    assert len(requests(world)) == 1 + 5


def an_update_is_told(status: int) -> tuple[World, str]:
    """One resource is updated alone, and the EHR says of it that it is not there any more."""
    world = World(mapped=few_mappings)
    world.connect()
    record = a_short_visit(vitals=[a_pulse("v-1", 70), a_pulse("v-2", 80)])
    first, _ = sorted(world.of_mapping(world.take(record), "vital-heart-rate"))
    world.ehr.transport.script = [NO]
    refuse(world, lambda one: first.endswith(one["id"]), Says(status=status))
    world.accept(amended(record, rates(71, 81)))
    return world, first


@pytest.mark.parametrize("status", [404, 410])
def test_a_single_update_of_what_was_removed_is_held(status: int) -> None:
    world, first = an_update_is_told(status)
    world.ehr.delete(first)

    world.settle()

    (held,) = world.rows("held")
    assert held.reason == f"gone: {first} removed in the EHR"


@pytest.mark.parametrize("status", [404, 410])
def test_who_says_gone_of_what_is_there_is_not_believed(status: int) -> None:
    world, first = an_update_is_told(status)

    world.sync()
    heal(world)
    world.settle()

    assert world.rows("held", "parked") == []
    assert world.ehr.read(first)["valueQuantity"]["value"] in (71, 81)


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_there_and_called_gone_each_time_is_set_aside(status: int) -> None:
    world, _ = an_update_is_told(status)

    world.settle()

    (parked,) = world.rows("parked")
    assert parked.reason.startswith(
        "refused: the EHR will not take Observation of vital-heart-rate"
    )
    assert f": answered {status} each time" in parked.reason


def test_a_wait_of_ten_years_is_a_day_and_says_so(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.script = [Says(status=429, headers={"retry-after": "315360000"})]

    world.sync()

    (waiting,) = [row for row in world.rows("pending") if row.reason]
    assert waiting.reason == (
        "answered 429; it asks to wait longer than the 24 h that are waited at most"
    )
    assert world.bridge.next_due() == world.clock.now() + timedelta(days=1)
