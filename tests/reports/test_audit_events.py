"""R56: each row of the evidence is a sound R4 AuditEvent of opaque ids and codes."""

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fhirbridge.audit.log import Action
from fhirbridge.fhir import codec, validate
from fhirbridge.reports.audit_events import audit_event
from tests.factories import World, a_short_visit
from tests.journey.canaries import hits, record_with_canaries
from tests.mapping_sets import few_mappings


def a_row(action: Action, **parts: Any) -> Any:
    row = {
        "id": "0" * 32,
        "at": "2026-05-04T09:00:00.000000Z",
        "actor": "cli",
        "action": action.value,
        "outcome": "ok",
        "record_id": "1" * 32,
        "delivery_id": "2" * 32,
        "destination": "ehr",
        "detail": '{"entries":3,"reason":"","step":"send"}',
        "payload_digest": "ab" * 32,
        "leaf": "cd" * 32,
    }
    return SimpleNamespace(**{**row, **parts})


def event(action: Action, **parts: Any) -> dict[str, Any]:
    return audit_event(a_row(action, **parts), origin="clinic.example.org/main")


@pytest.mark.parametrize("action", Action)
def test_r56_each_kind_of_row_is_a_sound_audit_event(action: Action) -> None:
    assert validate.problems(event(action)) == []
    assert validate.problems(event(action, record_id="", delivery_id="", destination="")) == []


def test_who_did_what_to_what_and_how_it_ended_is_said() -> None:
    made = event(Action.DELIVERY_ANSWERED, outcome="refused", actor="worker")

    assert (made["type"]["code"], made["action"], made["outcome"]) == ("rest", "E", "4")
    assert made["subtype"] == [{"system": "urn:fhirbridge:action", "code": "delivery.answered"}]
    assert [one["requestor"] for one in made["agent"]] == [True, False]
    assert made["agent"][0]["who"] == {"display": "worker"}
    ids = [one["what"]["identifier"]["value"] for one in made["entity"]]
    assert ids == ["0" * 32, "1" * 32, "2" * 32]
    assert {"type": "entries", "valueString": "3"} in made["entity"][0]["detail"]
    assert event(Action.ACCESS_REFUSED, outcome="refused")["outcome"] == "4"
    assert event(Action.TOKEN_REVOKED)["action"] == "D"


def test_r56_every_row_is_exported_once_and_holds_nothing_of_a_patient(tmp_path: Path) -> None:
    world = World(mapped=few_mappings)
    world.connect()
    record, tokens = record_with_canaries()
    world.take(record)
    world.take(a_short_visit(1))
    world.bridge.record("nobody", actor="test")
    target = tmp_path / "events.ndjson"

    count = world.bridge.export_audit_events(target, actor="auditor")

    raw = target.read_bytes()
    events = [codec.decode(line) for line in raw.splitlines()]
    with world.store.read() as tx:
        ids = {row[0] for row in tx.exec_driver_sql("SELECT id FROM evidence")}
    assert len(events) == count == len(ids)
    assert {one["id"] for one in events} == ids
    assert [one["id"] for one in events if validate.problems(one)] == []
    assert [one["recorded"] for one in events] == sorted(one["recorded"] for one in events)
    assert hits(raw, tokens) == []
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (exported,) = world.evidence("evidence.exported")
    assert exported.id in ids
