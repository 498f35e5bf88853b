"""O3, O4, O9 and O26 where the EHR gives the ids: a create is never made twice."""

import pytest

from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec
from fhirbridge.outbox.selection import Selection
from fhirbridge.outbox.states import State
from fhirbridge.reconcile.weigh import Choice
from tests.deliver.refusing import outcome
from tests.egress import fake_server
from tests.egress.fake_server import Seen, Step, Talk, http
from tests.factories import a_short_visit, amended, rate
from tests.faults.conftest import MakePlace
from tests.faults.place import SHORT, Place

FHIR = f"Content-Type: {codec.FHIR_JSON}"
CREATE, SEARCH = "POST /fhir/Patient", "POST /fhir/Patient/_search"
HISTORY = "GET /fhir/Patient/_history"
NOTHING_FOUND = b'{"resourceType":"Bundle","type":"searchset","total":0}'


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A bridge whose EHR names what is new, has the clinic, and nothing yet of `pt-1`."""
    made = make_place()
    made.ehr.behave(assigns_ids=True)
    assert made.bridge.probe_destination("ehr", actor="test").mode is Mode.ASSIGNED
    made.forget()
    made.know_the_clinic()
    return made


def patients(place: Place) -> int:
    return len([one for one in place.ehr.references() if one.startswith("Patient/")])


def assert_one_of_each(place: Place) -> None:
    assert set(place.states()) == {"delivered"}
    assert patients(place) == 2
    assert place.differing() == []
    assert {len(place.ehr.history(one)) for one in place.ehr.references()} == {1}


@pytest.mark.parametrize(
    "step", [fake_server.commit_then_reset, fake_server.commit_then_drop, fake_server.silence]
)
def test_o03_a_create_whose_answer_is_lost_is_found_by_its_key(place: Place, step: Step) -> None:
    place.order(place.front.after_commit(step))
    place.deadlines = [SHORT] if step is fake_server.silence else []

    place.take(a_short_visit())
    place.settle()

    assert place.front.asked()[:2] == [CREATE, SEARCH]
    assert place.front.asked().count(CREATE) == 1
    assert_one_of_each(place)


def test_o03_an_update_whose_answer_is_lost_is_read_by_its_id(place: Place) -> None:
    receipt = place.take(a_short_visit())
    place.forget()
    place.order(None, place.front.after_commit(fake_server.commit_then_reset))

    place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    there = place.there(place.pulse(receipt))
    assert place.front.asked()[:3] == [f"GET /fhir/{there}", "send alone", "read back"]
    assert len(place.ehr.history(there)) == 2
    assert place.differing() == []


def test_o04_a_late_copy_of_a_create_makes_no_second_one(place: Place) -> None:
    place.order(place.front.delayed)

    place.take(a_short_visit())
    place.settle()

    assert place.front.asked()[:4] == [CREATE, SEARCH, HISTORY, CREATE]
    assert place.front.land_late() == [200]
    assert_one_of_each(place)


def test_o09_a_conflict_at_a_create_is_searched_before_it_goes_again(place: Place) -> None:
    place.order(
        fake_server.answer(http(outcome(), FHIR, status="409 Conflict")),
    )

    place.take(a_short_visit())
    place.settle()

    assert place.front.asked()[:4] == [CREATE, SEARCH, HISTORY, CREATE]
    assert_one_of_each(place)


@pytest.mark.parametrize("history", [True, False])
def test_o26_what_no_search_finds_yet_is_not_made_twice(place: Place, *, history: bool) -> None:
    """It stands in the history; without one, the same guarded create is the proof."""
    late = [True] if history else [True, True, True]

    def choose(seen: Seen) -> Step | None:
        if seen.target.endswith("/_search") and late:
            late.pop()
            return fake_server.answer(http(NOTHING_FOUND, FHIR))
        if "/_history" in seen.target and not history:
            return fake_server.answer(http(outcome(), FHIR, status="405 Method Not Allowed"))
        return None

    place.order(place.front.after_commit(fake_server.commit_then_reset))
    place.front.choose = choose

    place.take(a_short_visit())
    place.settle()

    asked = place.front.asked()
    assert asked[:3] == [CREATE, SEARCH, HISTORY]
    assert asked.count(CREATE) == (1 if history else 4)
    assert late == []
    assert_one_of_each(place)


def test_o04_what_somebody_removed_before_its_create_was_heard_of_is_not_made_again(
    place: Place,
) -> None:
    def removed(talk: Talk) -> None:
        place.front.served(talk)
        (own,) = [
            one
            for one in place.ehr.references()
            if one.startswith("Observation/") and one not in before
        ]
        place.ehr.delete(own)
        talk.reset()

    before = place.ehr.references()
    receipt = place.accept(a_short_visit())
    place.order(None, removed)
    place.sync()
    place.settle()

    assert [row.reason for row in place.rows("held")] == [
        f"gone: {place.pulse(receipt)} removed in the EHR"
    ]
    assert len(place.ehr.all_of("Observation")) == 1

    place.bridge.put_back(Selection(), [State.HELD], actor="test")
    place.settle()
    assert len(place.ehr.all_of("Observation")) == 1, "a release does not make it again"

    place.bridge.reconcile("ehr", full=True, actor="test")
    (finding,) = place.bridge.drift("ehr")
    assert finding["kind"] == "deleted"
    place.bridge.decide(finding["id"], Choice.OURS, reason="a test", actor="test")
    place.settle()
    place.bridge.put_back(Selection(), [State.PARKED], actor="test")  # what points to it
    place.settle()
    assert len(place.ehr.all_of("Observation")) == 2
    assert set(place.states()) == {"delivered"}
    assert place.differing() == []


def test_nothing_of_a_key_stands_in_a_url(place: Place) -> None:
    place.order(place.front.after_commit(fake_server.commit_then_reset))
    receipt = place.take(a_short_visit())
    place.settle()

    own = place.pulse(receipt).partition("/")[2]
    assert [seen.target for seen in place.server.seen if own in seen.target] == []
    assert [seen.target for seen in place.server.seen if "identifier" in seen.target] == []
