"""An EHR that finds a Bundle too large teaches how large one may be."""

from typing import Any

import pytest

from fhirbridge.destinations import registry
from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import ANY, Stopped
from tests.deliver.refusing import NO, of_type, refuse, requests, written
from tests.factories import World, a_pulse, a_short_visit, a_visit, amended, rate
from tests.fakes import Fault, Says, Trouble
from tests.mapping_sets import few_mappings

TOO_LARGE = Says(status=413)


@pytest.fixture
def few() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def limit(world: World, *, entries: int = 10_000, size: int = 10**9) -> list[int]:
    """Let the EHR take so much in one Bundle, reads too; return how many each request had."""
    asked: list[int] = []

    def trouble(request: Request) -> Trouble:
        body = request.body or b""
        bundle = codec.decode(body)
        many = len(bundle.get("entry", [None]))
        asked.append(many)
        return TOO_LARGE if many > entries or len(body) > size else None

    world.ehr.transport.choose = trouble
    return asked


def learned(world: World) -> tuple[int, int]:
    with world.store.read() as tx:
        found = registry.get(tx, "ehr")
    return found.most_entries, found.most_bytes


def many_pulses(count: int, patient: str = "pt-1") -> dict[str, Any]:
    vitals = [a_pulse(f"v-{n}", 50 + n) for n in range(count)]
    return a_short_visit(patient=patient, vitals=vitals)


def all_there_once(world: World) -> bool:
    counts = {len(world.ehr.history(one)) for one in world.ehr.references()}
    return set(world.states()) == {"delivered"} and world.differing() == [] and counts == {1}


def test_r17_what_is_too_large_is_halved_until_it_fits_and_that_is_remembered(few: World) -> None:
    few.accept(many_pulses(98))
    for _ in few.drain(few.shared_lane()):
        pass
    asked = limit(few, entries=20)

    few.settle()

    refused = [many for many in asked if many > 20]
    assert (refused[0], len(refused)) == (100, 3)
    assert max(asked[3:]) <= learned(few)[0] <= 20
    assert all_there_once(few)

    asked.clear()
    few.take(many_pulses(40, patient="pt-2"))
    few.settle()

    assert max(asked) <= 20
    assert all_there_once(few)


def test_at_first_a_bundle_has_at_most_a_hundred_entries(few: World) -> None:
    few.take(many_pulses(120))
    few.settle()

    assert max(len(one) for one in requests(few)) == 100
    assert all_there_once(few)


def test_a_bundle_is_no_larger_than_the_ehr_is_known_to_take(few: World) -> None:
    assert learned(few) == (100, 1_000_000)
    with few.store.begin() as tx:
        registry.note_size(tx, "ehr", most_entries=100, most_bytes=7_000)

    few.take(many_pulses(20))
    few.settle()

    sizes = [sum(len(codec.encode(one)) for one in resources) for resources in requests(few)]
    assert len(sizes) > 3
    assert max(sizes) <= 7_000
    assert all_there_once(few)


def test_a_limit_of_bytes_is_found_too(few: World) -> None:
    few.accept(many_pulses(30))
    limit(few, size=9_000)

    few.settle()

    assert learned(few)[1] < 9_000
    assert all_there_once(few)


def test_what_is_too_large_alone_is_parked_and_the_rest_goes_on(few: World) -> None:
    few.accept(many_pulses(12))
    refuse(few, lambda one: one.get("valueQuantity", {}).get("value") == 54, TOO_LARGE)

    few.settle()

    (parked,) = few.rows("parked")
    outcomes = sorted(item.outcome for item in few.items(parked.id))
    assert outcomes == ["blocked", *["created"] * 12, "refused"]
    assert "vitals[4]" in parked.reason
    assert "answered 413" in parked.reason
    assert learned(few)[0] == registry.MOST_ENTRIES


@pytest.mark.parametrize("place", range(2, 9))
def test_a_part_of_which_nobody_knows_is_read_back_in_parts_that_fit(
    few: World, place: int
) -> None:
    few.accept(many_pulses(30))
    limit(few, entries=7)
    few.ehr.transport.script = [*[None] * place, Fault.LOST]
    # What the script lets through is not limited: the EHR took more once than it takes now.

    few.settle()

    assert all_there_once(few)


def test_the_parts_of_a_visit_go_in_the_order_of_their_references(world: World) -> None:
    world.accept(a_visit(3))
    limit(world, entries=6)

    world.settle()

    known: set[str] = set()
    for resources in [one for one in requests(world) if len(one) <= 6]:
        here = {f"{one['resourceType']}/{one['id']}" for one in resources}
        named = {
            part.split('"')[0]
            for part in codec.encode(resources).decode().split('"reference":"')[1:]
            if not part.startswith("#")
        }
        assert named <= known | here
        known |= here
    assert all_there_once(world)


def test_a_second_version_while_the_first_is_in_parts_comes_after_it(few: World) -> None:
    record = many_pulses(20)
    few.accept(record)
    limit(few, entries=5)
    going = few.drain(few.shared_lane())
    for _ in going:
        pass
    going = few.drain(few.patient_lane())
    for _ in range(12):
        next(going)
    few.accept(amended(record, rate(120)))

    for _ in going:
        pass
    few.settle()

    assert set(few.states()) == {"delivered"}
    assert few.differing() == []


def test_a_small_bundle_that_is_refused_is_taken_apart_like_any_other(few: World) -> None:
    few.accept(many_pulses(8))
    limit(few, entries=4)
    few.settle()
    few.accept(many_pulses(8, patient="pt-2"))
    refuse(few, of_type("Patient"), NO)

    few.settle()

    (parked,) = few.rows("parked")
    assert [item.outcome for item in few.items(parked.id) if item.type == "Patient"] == ["refused"]
    assert written(few.ehr.transport.sent[-1])[0]["resourceType"] == "Patient"


def test_a_pause_is_heeded_between_the_parts_of_a_delivery(few: World) -> None:
    few.accept(many_pulses(10))
    for _ in few.drain(few.shared_lane()):
        pass
    with few.store.begin() as tx:
        registry.note_size(tx, "ehr", most_entries=4, most_bytes=registry.MOST_BYTES)
    before = len(few.ehr.transport.sent)
    everything = Stopped("ehr", ANY)

    for step in few.drain(few.patient_lane()):
        if step == "settled":
            few.bridge.pause(everything, actor="test")

    assert len(few.ehr.transport.sent) == before + 1
    assert [row.state for row in few.patient_rows()] == ["pending"]
    few.sync()
    assert len(few.ehr.transport.sent) == before + 1
    few.bridge.resume(everything, actor="test")
    few.sync()
    assert all_there_once(few)
