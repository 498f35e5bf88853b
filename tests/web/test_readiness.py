"""S31 and R38: readiness tells the truth in one word: whether records can be taken in here."""

import sqlite3
from contextlib import closing

import pytest

from fhirbridge.deliver.traffic import load
from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import codec
from fhirbridge.store.tables import SCHEMA_VERSION
from tests.records.visits import a_visit
from tests.web.service import Service

AWAY = Destination(
    name="away",
    base_url="http://127.0.0.1:9/fhir",  # nobody answers there
    mode=Mode.TRANSACTION,
    traits={},
    requires_consent=False,
    test_server=True,
    overlay="",
    networks=(),
    paused="",
)


def write(service: Service, statement: str) -> None:
    with closing(sqlite3.connect(service.database)) as connection, connection:
        connection.execute(statement)


def test_an_ehr_that_is_down_makes_nobody_unready(service: Service) -> None:
    with service.bridge._store.begin() as tx:
        registry.add(tx, AWAY, at="2026-05-04T09:00:00.000000Z")
    assert service.send(a_visit()).status_code == 202
    service.bridge.sync()
    with service.bridge._store.read() as tx:
        assert load(tx, "away").breaker.in_a_row > 0  # it was tried

    assert service.client().get("/readyz").status_code == 200
    assert service.send(a_visit(session_id="another")).status_code == 202


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE meta SET value = '{SCHEMA_VERSION + 1}' WHERE name = 'schema'",
        "INSERT INTO meta VALUES ('moved', 'postgresql://elsewhere/db')",
    ],
    ids=["upgraded by a newer one", "moved to another database"],
)
def test_r38_a_process_whose_database_was_upgraded_or_moved_is_not_ready_and_says_no_more(
    service: Service, statement: str
) -> None:
    assert service.client().get("/readyz").status_code == 200

    write(service, statement)

    answer = service.client().get("/readyz")
    assert answer.status_code == 500
    assert service.client().get("/healthz").status_code == 200
    said = codec.decode(answer.data)
    assert said["detail"] == "something failed inside; the log has it under this request"
    assert "postgresql" not in answer.data.decode()
