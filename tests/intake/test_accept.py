"""Taking a record in: one commit or nothing, and nothing that a clinic sent is lost."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, func, select

from fhirbridge.fhir import codec
from fhirbridge.records import history, schema
from fhirbridge.records.schema import InvalidRecordError
from fhirbridge.store.tables import metadata, quarantine
from tests.factories import World, a_short_visit, a_visit, amended, rate, retracted
from tests.mapping_sets import mappings, strict_mappings

TOO_FAST = 201
NO = {
    "id": "cs-share",
    "kind": "sharing",
    "status": "withdrawn",
    "signed_at": "2026-02-20T10:32:00-05:00",
    "withdrawn_at": "2026-04-01T10:00:00-05:00",
}
YES = {
    "id": "cs-share",
    "kind": "sharing",
    "status": "active",
    "signed_at": "2026-04-20T10:32:00-05:00",
}


@pytest.fixture
def world(either: str) -> Iterator[World]:
    """A bridge with one EHR, `ehr`, on each database."""
    made = World(url=either)
    made.connect()
    yield made
    made.store.close()


def counts(world: World) -> dict[str, int]:
    with world.store.read() as tx:
        return {
            name: tx.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }


def test_a_record_is_translated_before_anything_locks_the_database(world: World) -> None:
    """Also without any overlay: who writes meanwhile would wait for the translation."""
    document = schema.load(codec.encode(a_short_visit())).document

    _, made = world.bridge._intake._translated(document)

    assert "" in made._made


class StatementFails:
    """Breaks the n-th statement that a database is given."""

    def __init__(self, world: World) -> None:
        self.seen = 0
        self.at = 0
        event.listen(world.store.engine, "before_cursor_execute", self._count)

    def _count(self, _c: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if not text.startswith("BEGIN"):
            self.seen += 1
            if self.seen == self.at:
                raise RuntimeError(text)


def test_r01_a_failure_at_any_statement_stores_nothing_at_all() -> None:
    whole = World()
    whole.connect()
    counter = StatementFails(whole)
    whole.accept(a_short_visit())
    steps = counter.seen
    assert steps > 40

    world = World()
    world.connect()
    before = counts(world)
    breaker = StatementFails(world)
    for step in range(1, steps + 1):
        breaker.seen, breaker.at = 0, step
        with pytest.raises(RuntimeError):
            world.accept(a_short_visit())
        breaker.at = 0
        assert counts(world) == before, step

    assert world.take(a_short_visit()).state == "current"
    assert world.differing() == []


def test_a_record_its_deliveries_and_its_evidence_are_there_together(world: World) -> None:
    receipt = world.accept(a_short_visit())

    assert len(world.evidence("record.accepted")) == 1
    assert {row.delivery_id for row in world.evidence("delivery.queued")} == {
        row.id for row in world.rows()
    }
    assert {row.record_id for row in world.rows()} == {receipt.id}


def refused(world: World, raw: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        world.bridge.accept(raw, actor="test")


def wrong_version(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "version": "one"}


def same_version(record: dict[str, Any]) -> dict[str, Any]:
    rate(99)(record)
    return record


def other_patient(record: dict[str, Any]) -> dict[str, Any]:
    return {**amended(record), "patient": {**record["patient"], "id": "pt-other"}}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (wrong_version, InvalidRecordError),
        (same_version, history.VersionTakenError),
        (other_patient, history.PatientChangedError),
    ],
)
def test_what_is_refused_lies_in_quarantine_and_owes_nothing(
    world: World, change: Callable[[Any], Any], error: type[Exception]
) -> None:
    world.take(a_short_visit())
    before = counts(world)

    refused(world, codec.encode(change(a_short_visit())), error)

    after = counts(world)
    grown = {name for name in after if after[name] != before[name]}
    assert grown == {"quarantine", "evidence", "evidence_waiting", "payload_key"}
    assert len(world.evidence("record.refused")) == 1


def test_bytes_that_are_not_json_are_kept_sealed_and_only_so_many(world: World) -> None:
    for number in range(5):
        refused(world, b"{Synthetic-Alvarez %d" % number, codec.NotJsonError)

    with world.store.read() as tx:
        kept = list(tx.execute(select(quarantine)))
    assert len(kept) == 3
    assert all(b"Alvarez" not in row.sealed for row in kept)


def test_a_record_that_cannot_be_translated_is_held_and_goes_with_a_mended_set(
    world: World,
) -> None:
    world.use_mappings(strict_mappings)
    record = a_short_visit()
    rate(TOO_FAST)(record)
    receipt = world.take(record)
    assert (receipt.translation, receipt.problems > 0) == ("held", True)
    assert [(row.state, row.reason) for row in world.rows()] == [("held", "translation")]
    assert world.ehr.references() == []
    assert world.retry(world.rows()[0].id) == 0

    world.use_mappings(mappings)
    world.sync()

    assert world.rows("held", "pending", "parked") == []
    assert world.differing() == []
    assert len(world.ehr.all_of("Observation")) == 1
    world.ehr.transport.sent.clear()
    world.sync()
    assert world.ehr.transport.sent == []


def test_a_newer_version_replaces_one_that_is_held_for_translation(world: World) -> None:
    world.use_mappings(strict_mappings)
    record = a_short_visit()
    rate(TOO_FAST)(record)
    world.take(record)

    world.take(amended(record, rate(72)))
    world.use_mappings(mappings)
    world.sync()

    assert [row.state for row in world.patient_rows()] == ["superseded", "delivered"]
    (pulse,) = world.ehr.all_of("Observation")
    assert pulse["valueQuantity"]["value"] == 72


def test_an_older_version_that_comes_late_is_kept_and_sends_nothing(world: World) -> None:
    first = a_short_visit()
    second = amended(first, rate(90))
    world.take(second)
    world.ehr.transport.sent.clear()

    receipt = world.take(first)

    assert (receipt.state, receipt.owed) == ("older", ())
    assert world.ehr.transport.sent == []


def test_a_withdrawal_in_an_older_version_that_comes_late_still_counts(world: World) -> None:
    first = a_short_visit()
    second = amended(first, lambda record: record.update(consents=[NO]))
    world.accept(amended(second, lambda record: record.update(consents=first["consents"])))

    receipt = world.take(second)

    assert receipt.state == "older"
    assert world.ehr.all_of("Patient") == []
    (row,) = world.patient_rows()
    assert (row.state, row.reason) == ("held", "consent: consent to sharing is withdrawn")


def test_r32_a_withdrawn_consent_stops_what_is_queued_and_one_given_again_releases_it(
    world: World,
) -> None:
    record = a_short_visit()
    world.accept(record)
    said_no = amended(record, lambda r: r.update(consents=[NO]))
    world.accept(said_no)

    world.settle()

    assert world.ehr.all_of("Patient") == []
    assert {row.reason for row in world.rows("held")} == {
        "consent: consent to sharing is withdrawn"
    }

    world.accept(amended(said_no, lambda r: r.update(consents=[YES])))
    world.settle()

    assert world.rows("held", "pending", "parked") == []
    assert world.differing() == []


def test_what_was_sent_with_consent_stays_when_it_is_withdrawn(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    before = world.ehr.references()

    world.take(amended(record, lambda r: r.update(consents=[NO])))

    assert world.ehr.references() == before
    assert {one["status"] for one in world.ehr.all_of("Observation")} == {"final"}


def test_another_visit_of_the_patient_does_not_undo_a_withdrawal(world: World) -> None:
    world.take(a_short_visit(1, consents=[NO]))

    world.take(a_short_visit(2, consents=[{**YES, "signed_at": "2026-02-20T10:32:00-05:00"}]))
    world.settle()

    assert world.ehr.all_of("Patient") == []


def test_a_destination_that_is_added_later_gets_the_backlog_in_order() -> None:
    world = World()
    first, second = a_short_visit(1), a_short_visit(2)
    for record in (first, second, amended(first, rate(90))):
        world.accept(record)

    world.connect("late")
    world.sync()

    assert world.differing("late") == []
    assert set(world.states()) == {"delivered"}
    assert {len(world.ehrs["late"].history(one)) for one in world.ehrs["late"].references()} == {1}


def test_a_destination_that_is_added_later_is_not_told_of_what_was_an_error() -> None:
    world = World()
    record = a_visit(1)
    world.accept(record)
    world.accept(retracted(record))

    world.connect("late")
    world.sync()

    assert world.ehrs["late"].references() == []
    assert world.rows("pending", "held", "parked") == []


def test_a_session_that_is_an_error_from_the_start_sends_nothing(world: World) -> None:
    world.take({**a_short_visit(), "status": "entered-in-error"})

    assert world.ehr.references() == []
    assert world.rows("pending", "held", "parked") == []


def test_a_preview_stores_nothing(world: World) -> None:
    before = counts(world)

    _checked, translation = world.bridge.preview(codec.encode(a_visit(1)))

    assert len(translation.resources) > 30
    assert counts(world) == before
