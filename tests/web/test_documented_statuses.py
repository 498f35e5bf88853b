"""Every status that the document promises is had here; the client checks its shape."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from fhirbridge.pull import rounds
from fhirbridge.store.engine import StoreBusyError
from fhirbridge.web.api_bulk import AT_ONCE, SLOTS
from tests.records.test_stock import a_stock
from tests.records.visits import a_visit, edited
from tests.web.documented_client import document_of, operations_of
from tests.web.sending import HOOK, Sender
from tests.web.service import EVENTS, JSON, MOST_BYTES, SESSIONS, STATUS, STOCK, Service

Provoke = Callable[[Service], TestResponse]
POST, GET = f"POST {SESSIONS}", f"GET {SESSIONS}/{{record_id}}"
STATE, HEALTH, READY = f"GET {STATUS}", "GET /healthz", "GET /readyz"
HOOK_POST = f"POST {HOOK}"
BULK = "/api/v1/records/bulk"
BULK_POST = f"POST {BULK}"
NDJSON = "application/x-ndjson"
STOCK_POST, STOCK_GET = f"POST {STOCK}", f"GET {STOCK}/{{stock_id}}"
NO_STOCK = f"{STOCK}/{'0' * 32}"
NONE = f"{SESSIONS}/{'0' * 32}"
TOLD, EHR = f"GET {EVENTS}", "GET /api/v1/patients/{patient_id}/ehr"
NOBODY = f"/api/v1/patients/{'0' * 32}/ehr"


def conflict(service: Service) -> TestResponse:
    service.send(a_visit())
    return service.send(edited(a_visit(), ("/patient/id", "another")))


def accepted(service: Service) -> TestResponse:
    sent = service.send(a_visit())
    return service.client(Role.AUDITOR).get(sent.headers["Location"])


def stock(service: Service, body: Any, **more: Any) -> TestResponse:
    raw = body if isinstance(body, bytes) else codec.encode(body)
    return service.client(Role.INTEGRATOR).post(STOCK, data=raw, **{"content_type": JSON, **more})


def patient_ehr(service: Service) -> TestResponse:
    service.send(a_visit())
    with service.bridge._store.read() as tx:
        (patient,) = rounds.patients(tx, since=datetime.min.replace(tzinfo=UTC))
    return service.client(Role.AUDITOR).get(f"/api/v1/patients/{patient}/ehr")


def stock_conflict(service: Service) -> TestResponse:
    stock(service, a_stock())
    return stock(service, a_stock(counts=[], losses=[]))


def stock_accepted(service: Service) -> TestResponse:
    sent = stock(service, a_stock())
    return service.client(Role.AUDITOR).get(sent.headers["Location"])


def stock_locked(service: Service) -> TestResponse:
    service.token(Role.INTEGRATOR)
    with service.locked():
        return stock(service, a_stock())


def locked(service: Service) -> TestResponse:
    service.token(Role.INTEGRATOR)
    with service.locked():
        return service.send(a_visit())


def unreadable(role: Role | None, path: str) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        client = service.client(role)
        with service.unreadable():
            return client.get(path)

    return provoke


def broken(method: str, role: Role | None, path: str) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        client = service.client(role)

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("PHI")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(service.bridge, method, fail)
            if path in (SESSIONS, STOCK):
                return client.post(path, data=b"{}", content_type=JSON)
            return client.get(path)

    return provoke


def getting(path: str, role: Role | None = None) -> Provoke:
    return lambda service: service.client(role).get(path)


def signed(content: Any, **more: Any) -> Provoke:
    return lambda service: Sender(service).send(content, **more)


def signed_twice(service: Service) -> TestResponse:
    sender = Sender(service)
    sender.send(a_visit())
    return sender.send(a_visit(session_id="another"))


def signed_locked(service: Service) -> TestResponse:
    sender = Sender(service)
    with service.locked():
        return sender.send(a_visit())


def signed_broken(service: Service) -> TestResponse:
    sender = Sender(service)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("PHI")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.bridge, "receive", fail)
        return sender.send(a_visit())


def bulk(role: Role | None = Role.INTEGRATOR, media: str = NDJSON) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        return service.client(role).post(BULK, data=codec.encode(a_visit()), content_type=media)

    return provoke


def bulk_broken(fault: str) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        client = service.client(Role.INTEGRATOR)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(service.bridge, "authenticate", lambda _secret: FAULTS[fault]())
            return client.post(BULK, data=b"", content_type=NDJSON)

    return provoke


def bulk_full(service: Service) -> TestResponse:
    held = [SLOTS.acquire(blocking=False) for _ in range(AT_ONCE)]
    try:
        return bulk()(service)
    finally:
        for _ in filter(None, held):
            SLOTS.release()


def _raise(error: Exception) -> None:
    raise error


FAULTS: dict[str, Callable[[], None]] = {
    "inside": lambda: _raise(RuntimeError("PHI")),
    "busy": lambda: _raise(StoreBusyError("locked")),
}
KEYS = "/.well-known/jwks.json"

PROVOCATIONS: dict[tuple[str, int], Provoke] = {
    (f"GET {KEYS}", 200): getting(KEYS),
    (f"GET {KEYS}", 500): broken("jwks", None, KEYS),
    (f"GET {KEYS}", 503): unreadable(None, KEYS),
    (HOOK_POST, 202): signed(a_visit()),
    (HOOK_POST, 400): signed(b"{"),
    (HOOK_POST, 401): lambda service: service.client().post(HOOK),
    (HOOK_POST, 409): signed_twice,
    (HOOK_POST, 413): signed(b" " * (MOST_BYTES + 1)),
    (HOOK_POST, 415): signed(a_visit(), media="application/xml"),
    (HOOK_POST, 422): signed({}),
    (HOOK_POST, 500): signed_broken,
    (HOOK_POST, 503): signed_locked,
    (BULK_POST, 200): bulk(),
    (BULK_POST, 401): bulk(None),
    (BULK_POST, 403): bulk(Role.AUDITOR),
    (BULK_POST, 415): bulk(media=JSON),
    (BULK_POST, 429): bulk_full,
    (BULK_POST, 500): bulk_broken("inside"),
    (BULK_POST, 503): bulk_broken("busy"),
    (POST, 202): lambda service: service.send(a_visit()),
    (POST, 400): lambda service: service.send(b"{"),
    (POST, 401): lambda service: service.client().post(SESSIONS),
    (POST, 403): lambda service: service.client(Role.AUDITOR).post(SESSIONS),
    (POST, 409): conflict,
    (POST, 413): lambda service: service.send(b" " * (MOST_BYTES + 1)),
    (POST, 415): lambda service: service.send(a_visit(), content_type="application/xml"),
    (POST, 422): lambda service: service.send({}),
    (POST, 500): broken("accept", Role.INTEGRATOR, SESSIONS),
    (POST, 503): locked,
    (GET, 200): accepted,
    (GET, 401): getting(NONE),
    (GET, 403): getting(NONE, Role.OPERATOR),
    (GET, 404): getting(NONE, Role.INTEGRATOR),
    (GET, 500): broken("record", Role.AUDITOR, NONE),
    (GET, 503): unreadable(Role.AUDITOR, NONE),
    (STOCK_POST, 202): lambda service: stock(service, a_stock()),
    (STOCK_POST, 400): lambda service: stock(service, b"{"),
    (STOCK_POST, 401): lambda service: service.client().post(STOCK),
    (STOCK_POST, 403): lambda service: service.client(Role.AUDITOR).post(STOCK),
    (STOCK_POST, 409): stock_conflict,
    (STOCK_POST, 413): lambda service: stock(service, b" " * (MOST_BYTES + 1)),
    (STOCK_POST, 415): lambda service: stock(service, a_stock(), content_type="application/xml"),
    (STOCK_POST, 422): lambda service: stock(service, {}),
    (STOCK_POST, 500): broken("accept_stock", Role.INTEGRATOR, STOCK),
    (STOCK_POST, 503): stock_locked,
    (STOCK_GET, 200): stock_accepted,
    (STOCK_GET, 401): getting(NO_STOCK),
    (STOCK_GET, 403): getting(NO_STOCK, Role.OPERATOR),
    (STOCK_GET, 404): getting(NO_STOCK, Role.INTEGRATOR),
    (STOCK_GET, 500): broken("stock_document", Role.AUDITOR, NO_STOCK),
    (STOCK_GET, 503): unreadable(Role.AUDITOR, NO_STOCK),
    (TOLD, 200): getting(EVENTS, Role.INTEGRATOR),
    (TOLD, 400): getting(f"{EVENTS}?after=1", Role.OPERATOR),
    (TOLD, 403): getting(EVENTS, Role.READER),
    (TOLD, 401): getting(EVENTS),
    (TOLD, 500): broken("events", Role.AUDITOR, EVENTS),
    (TOLD, 503): unreadable(Role.ADMIN, EVENTS),
    (EHR, 200): patient_ehr,
    (EHR, 401): getting(NOBODY),
    (EHR, 403): getting(NOBODY, Role.OPERATOR),
    (EHR, 404): getting(NOBODY, Role.INTEGRATOR),
    (EHR, 500): broken("patient_ehr", Role.AUDITOR, NOBODY),
    (EHR, 503): unreadable(Role.AUDITOR, NOBODY),
    (STATE, 200): getting(STATUS, Role.OPERATOR),
    (STATE, 401): getting(STATUS),
    (STATE, 403): getting(STATUS, Role.INTEGRATOR),
    (STATE, 500): broken("status", Role.OPERATOR, STATUS),
    (STATE, 503): unreadable(Role.OPERATOR, STATUS),
    (HEALTH, 200): getting("/healthz"),
    (READY, 200): getting("/readyz"),
    (READY, 500): broken("next_due", None, "/readyz"),
    (READY, 503): unreadable(None, "/readyz"),
}


def test_each_documented_status_is_provoked(service: Service) -> None:
    documented = {
        (name, int(status))
        for name, operation in operations_of(document_of(service.app)).items()
        for status in operation["responses"]
        if " /fhir/" not in name  # in test_fhir_statuses.py
    }

    assert documented == PROVOCATIONS.keys()


@pytest.mark.parametrize(("operation", "status"), PROVOCATIONS)
def test_a_documented_status_comes_as_documented(
    service: Service, operation: str, status: int
) -> None:
    answer = PROVOCATIONS[operation, status](service)

    assert answer.status_code == status
    assert (answer.mimetype == "application/problem+json") == (status >= 400)
