"""What an EHR knows of a linked patient is asked for, kept sealed, and told of when it changes."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fhirbridge.destinations.pulls import Pull
from fhirbridge.fhir import codec
from fhirbridge.pull.views import KEPT_FOR
from fhirbridge.store.errors import StoreError
from fhirbridge.store.tables import payload_key
from tests.factories import World, a_visit
from tests.mapping_sets import mappings
from tests.pull.hospital import Hospital, a_condition, a_plan, a_prescription, an_allergy, concept


def test_what_the_ehr_knows_is_read_and_shown_and_told_once() -> None:
    hospital = Hospital(a_condition(), an_allergy(), a_prescription(), a_plan())

    first, again = hospital.pull(), hospital.pull()

    assert first.is_whole
    assert again.is_whole
    assert hospital.ids() == [
        "Patient/ehr-1",
        "Condition/con-1",
        "AllergyIntolerance/all-1",
        "MedicationRequest/med-1",
        "CarePlan/plan-1",
    ]
    assert hospital.heard() == [
        ("condition.changed", "Condition"),
        ("allergy.changed", "AllergyIntolerance"),
        ("medication.changed", "MedicationRequest"),
        ("plan.changed", "CarePlan"),
    ]
    assert [row.version for row in hospital.views()] == [1] * 7


def test_what_came_went_and_is_another_is_told_in_one_event() -> None:
    hospital = Hospital(a_condition("con-1"), a_condition("con-2"))
    hospital.pull()
    hospital.ehr.edit("Condition/con-1", note=[{"text": "Synthetic"}])
    hospital.ehr.delete("Condition/con-2")
    hospital.put(a_condition("con-3"))

    hospital.pull()

    *_, last = hospital.heard_of("ehr.changed")
    assert last["detail"] == {
        "type": "Condition", "version": 2, "added": 1, "changed": 1, "removed": 1
    }  # fmt: skip
    assert last["patient"] == hospital.lane


def test_what_a_server_adds_of_its_own_is_no_change() -> None:
    hospital = Hospital(a_condition())
    hospital.pull()
    narrative = {"status": "generated", "div": "<div>Synthetic</div>"}
    hospital.ehr.edit("Condition/con-1", text=narrative, meta={"tag": []})

    hospital.pull()

    assert len(hospital.heard()) == 1
    assert hospital.of_type("Condition")["version"] == 1


def test_demographics_are_told_when_they_change_and_not_at_first_sight() -> None:
    hospital = Hospital(chosen=(Pull.DEMOGRAPHICS,))
    hospital.pull()
    assert hospital.heard() == []

    hospital.ehr.edit("Patient/ehr-1", address=[{"city": "Synthetic City"}])
    hospital.pull()

    assert hospital.heard() == [("patient.changed", "Patient")]


def test_all_pages_are_read() -> None:
    hospital = Hospital(*(a_condition(f"con-{number}") for number in range(230)))

    hospital.pull()

    assert hospital.of_type("Condition")["theirs"] == 230


def test_only_what_was_chosen_is_asked_for_and_nothing_unless_it_was() -> None:
    hospital = Hospital(a_condition(), a_plan(), chosen=())
    assert hospital.bridge.pulls.pull(days=30, actor="test") == []
    hospital.bridge.set_pull("ehr", (Pull.CONDITIONS,), actor="test")
    hospital.ehr.transport.sent.clear()

    hospital.pull()

    asked = [one.url.rpartition("/fhir")[2] for one in hospital.ehr.transport.sent]
    assert asked == ["", "/Patient/_search", "/Condition/_search"]  # the first reads the link
    assert hospital.of_type("CarePlan")["words"].startswith("not asked: ")
    assert hospital.ids() == ["Condition/con-1"]


def test_what_is_not_chosen_any_more_is_erased_with_its_key() -> None:
    hospital = Hospital(a_condition(), an_allergy())
    hospital.pull()

    hospital.bridge.set_pull("ehr", (Pull.ALLERGIES,), actor="test")

    assert [row.type for row in hospital.views()] == ["AllergyIntolerance"]
    with hospital.store.read() as tx:
        keys = {row.owner: row.wrapped for row in tx.execute(payload_key.select())}
    views = [wrapped for owner, wrapped in keys.items() if owner.startswith("ehr-view:")]
    assert len(views) == 7
    assert sum(wrapped is not None for wrapped in views) == 1


def test_what_was_not_read_again_for_its_time_is_not_shown_and_is_erased() -> None:
    hospital = Hospital(a_condition())
    hospital.pull()

    hospital.clock.advance(KEPT_FOR)

    assert hospital.ids() == []
    assert hospital.of_type("Condition")["words"] == "not asked yet"
    hospital.bridge.pulls.pull(destination="ehr", days=1, actor="test")
    assert hospital.views() == []


def test_an_event_and_what_it_tells_of_are_stored_together_or_not_at_all() -> None:
    hospital = Hospital(a_condition())
    stop = "CREATE TRIGGER stop BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'stop'); END"
    with hospital.store.begin() as tx:
        tx.execute(text(stop))

    with pytest.raises((StoreError, DBAPIError)):
        hospital.pull()

    assert hospital.views() == []
    assert hospital.evidence("ehr.pulled") == []
    with hospital.store.begin() as tx:
        tx.execute(text("DROP TRIGGER stop"))
    hospital.pull()
    assert hospital.heard() == [("condition.changed", "Condition")]


def test_nothing_that_was_read_stands_in_the_database_in_the_clear() -> None:
    hospital = Hospital(a_condition(code=concept(text="Zq-words-of-the-hospital")))

    hospital.pull()

    with hospital.store.read() as tx:
        copied = tx.connection.driver_connection.serialize()  # type: ignore[union-attr]
    assert "Zq-words-of-the-hospital" in codec.encode(hospital.shown()).decode()
    assert b"Zq-words-of-the-hospital" not in copied


def test_what_we_sent_is_no_news_and_a_clinicians_edit_of_it_is_told_by_reconciling() -> None:
    world = World(mapped=mappings)
    world.connect()
    world.take(a_visit(1))
    world.bridge.set_pull("ehr", tuple(Pull), actor="test")
    lane = world.patient_lane().lane
    (done,) = world.bridge.pulls.pull(lane, days=30, actor="test")
    ours = {one.type: (one.ours, one.theirs) for one in done.types}
    assert ours["CarePlan"] == (1, 0)
    assert ours["Patient"] == (1, 0)
    assert world.heard_of("ehr.changed") == []

    (plan,) = world.ehr.all_of("CarePlan")
    world.ehr.edit(f"CarePlan/{plan['id']}", title="Synthetic: changed there")
    world.bridge.pulls.pull(lane, days=30, actor="test")
    world.clock.advance(timedelta(minutes=30))
    world.bridge.reconcile("ehr", full=True, actor="test")
    world.bridge.reconcile("ehr", full=True, actor="test")

    (drift,) = world.bridge.drift("ehr")
    (told,) = world.heard_of("ehr.changed")
    assert (told["subkind"], told["patient"]) == ("plan.changed", lane)
    assert told["detail"] == {
        "type": "CarePlan", "drift": drift["id"], "found": "edited", "elements": ["title"]
    }  # fmt: skip


def test_a_copy_that_somebody_made_there_of_what_we_sent_is_theirs() -> None:
    world = World(mapped=mappings)
    world.connect()
    world.take(a_visit(1))
    world.bridge.set_pull("ehr", (Pull.PLANS,), actor="test")
    (plan,) = world.ehr.all_of("CarePlan")
    copied = codec.encode({**plan, "id": "copy-1"})
    headers = {"Content-Type": codec.FHIR_JSON}
    assert world.ehr.model.handle("PUT", "/CarePlan/copy-1", headers, copied).status == 201

    (done,) = world.bridge.pulls.pull(world.patient_lane().lane, days=30, actor="test")

    (plans, _) = done.types
    assert (plans.ours, plans.theirs) == (1, 1)
