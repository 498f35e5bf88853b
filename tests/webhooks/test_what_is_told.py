"""What becomes an event, in the commit of what it tells of; and that no event holds PHI (R53)."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fhirbridge.access.tokens import Role
from fhirbridge.egress.exchange import Request
from fhirbridge.events.log import Kind
from fhirbridge.exports import bulk
from fhirbridge.fhir import codec
from fhirbridge.outbox.states import State
from fhirbridge.store.errors import StoreError
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import Says
from tests.journey.canaries import hits, record_with_canaries
from tests.mapping_sets import few_mappings, mappings
from tests.webhooks.receiving import Receiver, Telling


def told(world: World, *kinds: str) -> list[dict[str, Any]]:
    return [one for kind in kinds for one in world.heard_of(kind)]


def test_what_arrived_is_told_with_its_ids_and_its_patient() -> None:
    world = World(mapped=few_mappings)
    world.connect()

    receipt = world.take(a_short_visit(1))

    (own,) = [one for one in told(world, "delivery.delivered") if one["patient"]]
    (row,) = world.patient_rows()
    assert own["detail"] == {
        "delivery": row.id, "record": receipt.id, "state": "delivered", "reason": ""
    }  # fmt: skip
    assert (own["destination"], own["patient"], own["patient_sequence"]) == ("ehr", row.lane, 1)
    (shared,) = [one for one in told(world, "delivery.delivered") if not one["patient"]]
    assert shared["patient_sequence"] == 0


def test_what_is_refused_or_edited_there_is_told_with_the_code_of_its_reason() -> None:
    world = World(mapped=few_mappings)
    far = world.connect()
    world.take(a_short_visit(1))
    (pulse,) = [one for one in far.references() if one.startswith("Observation")]

    far.edit(pulse, note=[{"text": "confirmed by phone"}])
    world.take(amended(a_short_visit(1), rate(80)))
    far.transport.choose = lambda _request: Says(status=400)
    world.take(a_short_visit(1, "pt-2"))

    reasons = [(one["kind"], one["detail"]["reason"]) for one in world.bridge.events(0).events]
    assert ("delivery.held", "edited") in reasons
    assert ("delivery.parked", "refused") in reasons
    assert {row.state for row in world.patient_rows()} >= {State.HELD, State.PARKED}


def test_what_a_destination_is_owed_and_cannot_be_sent_is_told_at_once() -> None:
    world = World(mapped=few_mappings)
    world.connect(requires_consent=True)

    world.take(a_short_visit(1, consents=[]))

    held = told(world, "delivery.held")
    assert [one["detail"]["state"] for one in held] == ["held"]


def test_a_record_with_warnings_is_told_by_counts_alone() -> None:
    world = World(mapped=few_mappings)
    record = a_short_visit(1)
    record["vitals"][0]["heart_rate"]["value"] = 20

    receipt = world.accept(record)
    again = world.accept(record)

    (warned,) = told(world, "record.warning")
    assert again.state == "repeated"
    assert receipt.findings
    assert set(warned["detail"]) == {"record", "version", "warnings", "held"}
    assert warned["detail"]["warnings"] + warned["detail"]["held"] == len(receipt.findings)
    assert warned["detail"]["record"] == receipt.id


def test_what_an_ehr_lost_and_is_owed_again_is_told() -> None:
    world = World(mapped=few_mappings)
    far = world.connect()
    for number in range(1, 4):
        world.take(a_short_visit(number))
    world.bridge.reconcile("ehr", full=True, actor="test")
    lost = next(one for one in far.references() if one.startswith("Observation"))
    far.model.restore(tuple(one for one in far.model.snapshot() if one.reference != lost))

    report = world.bridge.reconcile("ehr", full=True, actor="test")

    (repaired,) = told(world, "reconcile.repaired")
    assert repaired["detail"] == {"resources": 1, "deliveries": report.deliveries}
    assert repaired["patient"] == world.patient_lane().lane


def test_an_event_and_what_it_tells_of_are_stored_together_or_not_at_all() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    with world.store.begin() as tx:
        tx.execute(
            text(
                "CREATE TRIGGER stop BEFORE INSERT ON event_waiting "
                "BEGIN SELECT RAISE(ABORT, 'stop'); END"
            )
        )
    world.accept(a_short_visit(1))

    with pytest.raises((StoreError, DBAPIError)):
        list(world.drain(world.shared_lane()))

    assert "delivered" not in world.states()


def test_events_are_numbered_in_the_order_of_their_writing_without_a_gap() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    for number in range(1, 5):
        world.take(a_short_visit(number))

    found = world.bridge.events(0).events

    assert [one["sequence"] for one in found] == [*range(1, len(found) + 1)]
    of_patient = [one for one in found if one["patient"]]
    assert [one["patient_sequence"] for one in of_patient] == [*range(1, len(of_patient) + 1)]
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)


def test_r53_safety_03_nothing_of_a_patient_is_sent_whatever_happens(receiver: Receiver) -> None:
    telling = Telling(mapped=mappings)
    telling.add("clinic", receiver.url)
    far = telling.connect()
    record, tokens = record_with_canaries()
    record["vitals"][0]["heart_rate"]["value"] = 20

    telling.take(record)
    for one in far.references():
        far.edit(one, language="en")
    telling.bridge.reconcile("ehr", full=True, actor="test")
    telling.take(amended(record, rate(80)))
    far.transport.choose = _refuses
    telling.take(a_short_visit(1, tokens[0]))
    read_in_bulk(telling, tokens[1])
    telling.post()

    kinds = {one["type"] for one in receiver.messages()}
    assert kinds == {*Kind} - {Kind.RECONCILE_REPAIRED}
    for seen in receiver.seen:
        sent = "\n".join([seen.target, *map(str, seen.headers.items())]).encode() + seen.body
        assert hits(sent, tokens) == []
    assert hits(receiver.seen[0].body + tokens[0].encode(), tokens)  # it would be seen


def read_in_bulk(telling: Telling, name: str) -> None:
    """Begin an export of a facade, by a reader of this name."""
    bridge = telling.bridge
    bridge.add_facade(
        name="pulled", base_url="https://us.invalid/fhir", requires_consent=False, actor="test"
    )
    secret = bridge.make_token(name=name, role=Role.READER, facade="pulled", actor="test")
    reader = bridge.authenticate(secret)
    assert reader is not None
    bridge.begin_bulk(reader, bulk.read(bulk.SYSTEM, [], lenient=False), "$export", "")


def _refuses(request: Request) -> Says:
    """Say no, and repeat what was sent: an EHR's words hold what they are about."""
    words = (request.body or b"").decode()[:500]
    issue = {
        "severity": "error",
        "code": "invalid",
        "diagnostics": words,
        "details": {"text": words},
    }
    return Says(
        status=422, body=codec.encode({"resourceType": "OperationOutcome", "issue": [issue]})
    )
