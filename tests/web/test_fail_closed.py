"""S16 and I20: where a guard, the evidence log or the database fails, nothing is let in or lost."""

import errno
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from fhirbridge.access.tokens import Role
from fhirbridge.audit.log import EvidenceLog
from fhirbridge.fhir import codec
from fhirbridge.store.engine import StoreBusyError
from tests.records.visits import a_visit
from tests.web.service import SESSIONS, Service

FAULTS = [RuntimeError("broken"), MemoryError(), ValueError("\ud800"), StoreBusyError("locked")]


def failing(fault: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise fault

    return fail


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_s16_nothing_is_written_where_the_guard_fails(
    service: Service, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    monkeypatch.setattr(service.bridge, "authenticate", failing(fault))

    answer = service.send(a_visit())

    assert answer.status_code in {500, 503}
    assert service.stored() == 0


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_s16_a_refusal_that_cannot_be_noted_is_still_a_refusal(
    service: Service, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    client = service.client(Role.AUDITOR)
    monkeypatch.setattr(service.bridge, "refused", failing(fault))

    answer = client.post(SESSIONS, data=codec.encode(a_visit()), content_type="application/json")

    assert answer.status_code in {500, 503}
    assert service.stored() == 0


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_s17_no_evidence_no_record_and_no_reading(
    service: Service, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    first = service.send(a_visit())
    monkeypatch.setattr(EvidenceLog, "append", failing(fault))

    sent = service.send(a_visit(session_id="another"))
    read = service.client(Role.INTEGRATOR).get(first.headers["Location"])

    assert {sent.status_code, read.status_code} <= {500, 503}
    assert b"resources" not in read.data
    assert service.stored() == 1


@pytest.mark.parametrize(
    "fault", [MemoryError(), OSError(errno.EMFILE, ""), OSError(errno.ENOMEM, "")], ids=repr
)
def test_p16_what_ran_out_inside_is_a_503_that_says_when_to_try_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(service.bridge, "accept", failing(fault))
        refused = service.send(a_visit())

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert service.send(a_visit()).status_code == 202


def test_i20_a_locked_database_is_a_503_and_the_next_try_goes_through(service: Service) -> None:
    service.token(Role.INTEGRATOR)

    with service.locked():
        refused = service.send(a_visit())
    accepted = service.send(a_visit())

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert (accepted.status_code, codec.decode(accepted.data)["state"]) == (202, "current")


def test_i20_a_full_database_is_a_503_and_what_is_there_can_be_read(service: Service) -> None:
    first = service.send(a_visit())
    token = service.client(Role.AUDITOR)
    statuses = set()

    with no_room(service):
        for number in range(20):
            statuses.add(service.send(a_visit(session_id=f"s-{number}")).status_code)
        ready = service.client().get("/readyz").status_code
    stored = service.stored()
    after = service.send(a_visit(session_id="after"))

    assert statuses <= {202, 503}
    assert 503 in statuses
    assert ready == 200
    assert after.status_code == 202
    assert service.stored() == stored + 1
    assert token.get(first.headers["Location"]).status_code == 200


def test_o28_before_the_disk_is_full_nothing_is_taken_in_and_what_is_there_can_be_read(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = service.send(a_visit())
    rest = shutil.disk_usage(service.database.parent)._replace(free=99_000_000)

    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _path: rest)
        refused = service.send(a_visit(session_id="another"))
        ready = service.client().get("/readyz")
        shown = service.client(Role.AUDITOR).get(first.headers["Location"])
    after = service.send(a_visit(session_id="another"))

    assert (refused.status_code, codec.decode(refused.data)["code"]) == (503, "E606")
    assert int(refused.headers["Retry-After"]) > 0
    assert (ready.status_code, shown.status_code) == (503, 200)
    assert (after.status_code, codec.decode(after.data)["state"]) == (202, "current")


def test_i20_what_was_acknowledged_is_stored_and_nothing_else(service: Service) -> None:
    with no_room(service):
        answers = [service.send(a_visit(session_id=f"s-{number}")) for number in range(20)]

    acknowledged = [answer for answer in answers if answer.status_code == 202]

    assert len(acknowledged) == service.stored()


@contextmanager
def no_room(service: Service) -> Iterator[None]:
    """Let the database grow by a few pages only."""

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 4}")

    service.token(Role.INTEGRATOR)
    service.bridge.close()
    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)
        service.bridge.close()
