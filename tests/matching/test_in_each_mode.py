"""However deliveries go, they go into the EHR's own chart; and by real sockets as in memory."""

from contextlib import closing
from typing import Any

import pytest

from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references
from fhirbridge.matching.decide import Why
from fhirbridge.matching.sight import MATCH_GRADE
from fhirbridge.reconcile.patients import About
from tests.deliver.by_mode import a_world
from tests.egress.fake_server import Seen, Step, http
from tests.factories import World, amended, rate, retracted
from tests.fakes import Fault
from tests.faults.place import Place
from tests.mapping_sets import note_mappings
from tests.matching.clinic import MATCHED, NUMBER, OFFERS_MATCH, an_ehr_patient, put, visit

MODES = (Mode.TRANSACTION, Mode.BATCH, Mode.SINGLE, Mode.ASSIGNED)


def charted(world: World) -> set[str]:
    ours = [one for kind in ("Observation", "Provenance") for one in world.ehr.all_of(kind)]
    return {own for one in ours for kind, own in literal_references(one) if kind == "Patient"}


@pytest.fixture(params=MODES, ids=str)
def world(request: pytest.FixtureRequest) -> World:
    """An EHR that has the patient, under an id of its own."""
    made = a_world(request.param)
    with made.store.begin() as tx:
        registry.set_patients(tx, "ehr", MATCHED)
    body = {name: one for name, one in an_ehr_patient().items() if name != "id"}
    headers = {"Content-Type": codec.FHIR_JSON}
    assert made.ehr.model.handle("POST", "/Patient", headers, codec.encode(body)).status == 201
    return made


def test_r26_a_visit_its_amendment_and_its_retraction_go_into_the_ehrs_chart(world: World) -> None:
    (chart,) = world.ehr.all_of("Patient")
    record = visit()
    world.take(record)
    amendment = amended(record, rate(80))
    world.take(amendment)
    world.take(retracted(amendment))

    assert set(world.states()) == {"delivered"}
    assert world.ehr.all_of("Patient") == [chart]
    assert charted(world) == {chart["id"]}
    assert [one["status"] for one in world.ehr.all_of("Observation")] == ["entered-in-error"]
    assert world.bridge.reconcile("ehr", full=True, actor="test").kinds == {}


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DROPPED, Fault.NOT_SENT])
def test_r26_an_answer_that_is_lost_doubles_nothing(world: World, fault: Fault) -> None:
    world.accept(visit())
    world.ehr.transport.script = [None, fault, fault, None, fault]
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.all_of("Observation")) == 1
    assert len(charted(world)) == 1


@pytest.mark.parametrize("step", ["leased", "claimed", "answered", "settled"])
def test_a_worker_killed_at_any_step_leaves_the_rest_to_the_next_one(
    world: World, step: str
) -> None:
    world.accept(visit())
    for lane in world.lanes():
        for done in world.drain(lane):
            if done == step and lane != world.shared_lane():
                break

    world.settle()

    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.all_of("Observation")) == 1
    assert len(charted(world)) == 1


def test_r26_a_later_probe_finds_the_same_way_though_the_ehr_named_its_patient(
    world: World,
) -> None:
    world.take(visit())
    with world.store.read() as tx:
        before = registry.get(tx, "ehr")

    found = world.bridge.probe_destination("ehr", actor="test")

    assert (found.mode, found.paused) == (before.mode, "")
    world.take(visit(2))
    assert set(world.states()) == {"delivered"}


# --- over a real socket ------------------------------------------------------------------------


def matches(*found: tuple[dict[str, Any], str]) -> Step:
    """What an EHR with $match answers."""
    grade = [
        {
            "resource": body,
            "search": {
                "mode": "match",
                "extension": [{"url": MATCH_GRADE, "valueCode": said}],
            },
        }
        for body, said in found
    ]
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": grade}
    raw = http(codec.encode(bundle))
    return lambda talk: talk.say(raw)


ANSWERS: dict[str, tuple[Step, str]] = {
    "certain": (matches((an_ehr_patient(), "certain")), "delivered"),
    "probable": (matches((an_ehr_patient(), "probable")), "held"),
    "two": (matches((an_ehr_patient(), "certain"), (an_ehr_patient("e2"), "certain")), "held"),
    "an outcome": (
        lambda talk: talk.say(http(b'{"resourceType":"OperationOutcome"}', status="422 Synthetic")),
        "held",
    ),
    "no such operation": (lambda talk: talk.say(http(b"", status="501 Synthetic")), "held"),
    "a page": (lambda talk: talk.say(http(b"<html>", status="200 Synthetic")), "pending"),
    "an error": (lambda talk: talk.say(http(b"", status="500 Synthetic")), "pending"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_r26_a_scripted_match_over_a_real_socket(case: str) -> None:
    step, state = ANSWERS[case]
    with closing(Place()) as place:
        place.know_the_clinic()
        with place.store.begin() as tx:
            registry.set_patients(tx, "ehr", MATCHED)
            known = registry.get(tx, "ehr")
            registry.note_probe(tx, "ehr", {**known.traits, **OFFERS_MATCH})
            registry.pause(tx, "ehr", "")
        put(place.ehr, an_ehr_patient())

        def choose(seen: Seen) -> Step | None:
            return step if "$match" in seen.target else None

        place.front.choose = choose
        receipt = place.accept(visit(1, "pt-7", identifiers=[]))
        place.sync()

        assert place.delivery(receipt).state == state
        targets = [seen.target for seen in place.server.seen]
        assert "/fhir/Patient/$match" in targets
        assert place.leaks() == []
        ours = {one["subject"]["reference"] for one in place.ehr.all_of("Observation")}
        assert ("Patient/ehr-1" in ours) == (state == "delivered")


def test_safety_10_where_nothing_can_be_changed_no_addendum_leads_from_one_chart_to_another() -> (
    None
):
    world = a_world(Mode.CREATE_ONLY, mapped=note_mappings)
    with world.store.begin() as tx:
        registry.set_patients(tx, "ehr", MATCHED)
    first, second = (made_there(world, number) for number in (NUMBER, "SYN-other"))
    record = visit()
    world.take(record)
    assert charted(world) == {first}
    lane = world.patient_lane().lane
    about = About("ehr", lane)
    everything = [one.value for one in Why]
    world.bridge.patients.link(
        about, second, despite=everything, reason="it was the other one", actor="test"
    )
    notes = len(world.ehr.all_of("DocumentReference"))

    world.take(amended(record, rate(80)))
    world.settle()

    (held,) = world.rows("held")
    assert held.reason.startswith("other-chart: ")
    assert len(world.ehr.all_of("DocumentReference")) == notes
    assert charted(world) == {first}


def made_there(world: World, number: str) -> str:
    """A patient of the EHR's own, under an id that it gives."""
    ours = an_ehr_patient(number=number)
    body = {name: one for name, one in ours.items() if name != "id"}
    headers = {"Content-Type": codec.FHIR_JSON}
    answer = world.ehr.model.handle("POST", "/Patient", headers, codec.encode(body))
    return answer.headers["Location"].split("/Patient/")[1].partition("/")[0]
