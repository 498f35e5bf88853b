"""How an EHR is asked what changed: pages, histories, searches, and answers that do not come."""

import pytest

from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.reconcile.asking import PAGE, NoAnswerError
from fhirbridge.reconcile.lines import NEWEST
from tests.factories import A_DAY, World, a_pulse, a_short_visit, amended, rate
from tests.fakes import Fault, Says
from tests.reconcile.looking import LATER, NOTE, a_pulse_there, look


def test_r21_more_edits_of_one_moment_than_a_page_holds_are_all_seen_by_the_next_look(
    world: World,
) -> None:
    pulses = [a_pulse(f"v-{n}", 60 + n % 90) for n in range(PAGE + 10)]
    receipt = world.take(a_short_visit(vitals=pulses))
    world.clock.advance(LATER)
    edited = world.of_mapping(receipt, "vital-heart-rate")
    for one in edited:
        world.ehr.edit(one, note=NOTE)

    report = look(world)

    assert (report.full, report.kinds) == (False, {"edited": len(edited)})
    assert {f"{one['type']}/{one['resource_id']}" for one in world.bridge.drift()} == set(edited)


@pytest.mark.parametrize("status", [404, 501])
def test_where_the_ehr_keeps_no_history_a_search_shows_the_edit(world: World, status: int) -> None:
    _, pulse = a_pulse_there(world)
    world.clock.advance(A_DAY)
    for number in range(NEWEST):
        world.take(a_short_visit(number + 1, patient="pt-2"))  # so that it is not among the newest
    world.clock.advance(LATER)
    look(world)
    world.ehr.edit(pulse, note=NOTE)
    world.clock.advance(LATER)
    no_history(world, status)

    assert look(world).kinds == {"edited": 1}


def no_history(world: World, status: int) -> None:
    def choose(request: Request) -> Says | None:
        return Says(status=status) if "/_history" in request.url else None

    world.ehr.transport.choose = choose


def test_a_look_that_got_no_answer_concludes_nothing_and_is_made_again(world: World) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(pulse, note=NOTE)
    world.clock.advance(LATER)
    for trouble in (Fault.NOT_SENT, Fault.DROPPED, Says(status=500), Says(status=200, body=b"<p>")):
        world.ehr.transport.script = [None, trouble]
        with pytest.raises(NoAnswerError):
            look(world)
    assert world.bridge.drift() == []
    world.clock.advance(A_DAY)

    assert look(world).kinds == {"edited": 1}


def test_a_next_page_at_another_address_is_not_asked_for(world: World) -> None:
    a_pulse_there(world)
    away = {"relation": "next", "url": "http://elsewhere.invalid/fhir?_getpages=1"}
    body = codec.encode({"resourceType": "Bundle", "type": "history", "link": [away]})
    world.ehr.transport.script = [Says(status=200, body=body)]

    with pytest.raises(NoAnswerError):
        look(world)

    assert all("elsewhere" not in one.url for one in world.ehr.transport.sent)


def test_our_own_writes_are_no_news_and_are_not_read_again(world: World) -> None:
    record = a_short_visit()
    for number in range(30):
        record = amended(record, rate(60 + number))
        world.take(record)
    world.ehr.transport.sent.clear()

    report = look(world)

    assert report.compared <= NEWEST
    assert report.kinds == {}


def test_reading_a_search_posts_its_values_and_no_url_names_a_patient(world: World) -> None:
    record, _ = a_pulse_there(world)
    world.ehr.transport.sent.clear()

    look(world, full=True)

    urls = " ".join(one.url for one in world.ehr.transport.sent)
    assert record["patient"]["name"]["family"] not in urls
    assert "identifier" not in urls
    assert any(one.url.endswith("/_search") for one in world.ehr.transport.sent)
