"""What is owed to a facade stands on its shelf, once, in order; the journey knows no difference."""

from collections.abc import Callable

import pytest

from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.pulls import Pull
from fhirbridge.destinations.registry import Patients, Policy
from fhirbridge.facade.held import Chosen
from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import Identity
from tests.facade.reading import Reading
from tests.factories import a_short_visit, a_visit, amended, rate, retracted

MATCH = Patients(policy=Policy.MATCH)


def test_what_is_accepted_stands_on_the_shelf_and_counts_as_delivered(either: str) -> None:
    reading = Reading(url=either)
    reading.take(a_visit(1))

    there = {(one.identity.type, one.identity.id) for one in reading.held()}
    assert set(reading.states()) == {"delivered"}
    assert there == {(one.type, one.id) for one in reading.ledger("portal")}
    assert {"Patient", "MedicationAdministration", "Practitioner"} <= {kind for kind, _ in there}
    reading.store.close()


def test_each_version_has_a_number_of_its_own_and_the_newest_counts(reading: Reading) -> None:
    visit = a_short_visit()
    reading.take(visit)
    reading.take(amended(visit, rate(99)))

    pulses = Chosen(kinds=["Observation"], history=True)
    first, second = reading.held(pulses)
    (now,) = reading.held(Chosen(kinds=["Observation"]))
    assert first.number < second.number == now.number
    assert codec.decode(now.body)["valueQuantity"]["value"] == 99
    assert (first.is_first, second.is_first) == (True, False)


def test_r03_the_same_again_adds_nothing(reading: Reading) -> None:
    visit = a_visit(1)
    reading.take(visit)
    before = [one.number for one in reading.held(Chosen(history=True))]

    reading.take(visit)

    assert [one.number for one in reading.held(Chosen(history=True))] == before


def test_r25_what_is_retracted_is_shown_as_an_error_not_as_absent(reading: Reading) -> None:
    visit = a_short_visit()
    reading.take(visit)

    reading.take(retracted(visit))

    (pulse,) = reading.bodies(Chosen(kinds=["Observation"]))
    assert pulse["status"] == "entered-in-error"


def test_a_facade_that_is_added_later_is_owed_all_that_counts(reading: Reading) -> None:
    reading.take(a_short_visit())

    reading.add("late")
    reading.sync()

    assert clinical(reading, "late") == clinical(reading, "portal")


def test_a_removed_facade_leaves_nothing_to_read_behind(reading: Reading) -> None:
    reading.take(a_short_visit())

    reading.bridge.remove_destination("portal", actor="test")

    with reading.store.read() as tx:
        rows = tx.exec_driver_sql("SELECT count(*) FROM facade_version").scalar_one()
        words = tx.exec_driver_sql("SELECT count(*) FROM facade_word").scalar_one()
    assert (rows, words) == (0, 0)


def clinical(reading: Reading, name: str) -> list[Identity]:
    """What a facade shows, without the accounts of single deliveries."""
    return [one.identity for one in reading.held(name=name) if one.identity.type != "Provenance"]


def test_p11_after_a_restore_no_number_names_two_versions(reading: Reading) -> None:
    visit = a_short_visit()
    reading.take(visit)
    before = reading.held(Chosen(history=True))[-1].number

    reading.bridge.note_restore(made_at="2026-05-04T09:00:00Z", actor="test")
    reading.take(amended(visit, rate(99)))

    (pulse,) = reading.held(Chosen(kinds=["Observation"]))
    assert pulse.number > before + 1_000_000


def test_there_is_no_server_to_ask_of_a_facade(reading: Reading) -> None:
    bridge = reading.bridge
    asked: dict[str, Callable[[], object]] = {
        "probe": lambda: bridge.probe_destination("portal", actor="test"),
        "test": lambda: bridge.test_destination("portal", actor="test"),
        "reconcile": lambda: bridge.reconcile("portal", actor="test"),
        "pull": lambda: bridge.set_pull("portal", tuple(Pull), actor="test"),
        "match": lambda: bridge.set_patients("portal", MATCH, actor="test"),
        "weak": lambda: bridge.allow_weak_guard("portal", "none", actor="test"),
        "export": lambda: bridge.export_destination("portal", actor="test"),
    }

    for ask in asked.values():
        with pytest.raises(DestinationError, match="is a facade"):
            ask()
    reading.bridge.watch(seconds=60).round()
    assert reading.bridge.destination("portal").paused == ""


def test_r30_a_plan_says_what_will_be_readable_and_that_is_all_of_it(reading: Reading) -> None:
    reading.accept(a_short_visit())

    made = reading.bridge.plan()
    reading.sync()

    planned = {one.resource for delivery in made.deliveries for one in delivery.resources}
    there = [one.identity for one in reading.held()]
    assert planned == {f"{one.type}/{one.id}" for one in there}
