"""How each status is had that the document promises of lists, and of an operator's actions."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.access.tokens import Role
from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.outbox.settle import Move
from fhirbridge.outbox.states import State
from fhirbridge.overview.lists import Sought
from fhirbridge.store import moment
from tests.records.visits import a_visit
from tests.web.provocations import (
    Provoke,
    getting,
    narrowed,
    too_often,
    unchanged,
    unreadable,
)
from tests.web.service import (
    DELIVERIES,
    DESTINATIONS,
    MOST_BYTES,
    SEARCH,
    SESSIONS,
    Service,
)

NO_DELIVERY, NO_DESTINATION = f"{DELIVERIES}/{'0' * 32}", f"{DESTINATIONS}/nowhere"
LIST, SEARCHED = f"GET {SESSIONS}", f"POST {SEARCH}"
SENT, ONE_SENT = f"GET {DELIVERIES}", f"GET {DELIVERIES}/{{delivery_id}}"
RETRY, RELEASE = (f"POST {DELIVERIES}/{{delivery_id}}/{verb}" for verb in ("retry", "release"))
THERE, ONE_THERE = f"GET {DESTINATIONS}", f"GET {DESTINATIONS}/{{name}}"
PAUSE, RESUME = (f"POST {DESTINATIONS}/{{name}}/{verb}" for verb in ("pause", "resume"))
BAD = "?limit=0"
NOWHERE = "?destination=nowhere"
CALLED = {"session_id": "s-1"}


def with_a_destination(service: Service, name: str = "ehr") -> None:
    """Add a destination to which nobody connects."""
    made = Destination(
        name=name,
        base_url=f"https://{name}.invalid/fhir",
        mode=Mode.TRANSACTION,
        traits={},
        requires_consent=False,
        test_server=True,
        overlay="",
        networks=(),
        paused="",
    )
    with service.bridge._store.begin() as tx:
        registry.add(tx, made, at=moment.to_text(service.bridge.clock.now()))


def delivery_ids(service: Service) -> list[str]:
    return [str(row["id"]) for row in service.bridge.list_deliveries(Sought()).rows]


def put_aside(service: Service, state: State, *, reason: str = "refused: a test") -> str:
    """Let one delivery be owed and set aside; return its id."""
    with_a_destination(service)
    service.send(a_visit())
    (first, *_) = delivery_ids(service)
    with service.bridge._store.begin() as tx:
        move = Move(to=state, reason=reason)
        service.bridge._settlement.move(tx, first, move, actor="test")
    return first


def posting(path: str, role: Role | None = Role.ADMIN, **more: Any) -> Provoke:
    return lambda service: service.client(role).post(path, **more)


def searching(body: Any = CALLED, role: Role | None = Role.OPERATOR, query: str = "") -> Provoke:
    return posting(f"{SEARCH}{query}", role, json=body)


def one_delivery(service: Service) -> TestResponse:
    found = put_aside(service, State.PARKED)
    return service.client(Role.AUDITOR).get(f"{DELIVERIES}/{found}")


def putting_back(verb: str, state: State, **more: Any) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        found = put_aside(service, state)
        return service.client(Role.OPERATOR).post(f"{DELIVERIES}/{found}/{verb}", **more)

    return provoke


def at_a_destination(method: str, verb: str = "", **more: Any) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        with_a_destination(service)
        return service.client(Role.ADMIN).open(f"{DESTINATIONS}/ehr{verb}", method=method, **more)

    return provoke


def the_key_of_another(verb: str) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        with_a_destination(service)
        with_a_destination(service, "other")
        client, key = service.client(Role.ADMIN), {"Idempotency-Key": "k-1"}
        assert client.post(f"{DESTINATIONS}/other/{verb}", headers=key).status_code == 200
        return client.post(f"{DESTINATIONS}/ehr/{verb}", headers=key)

    return provoke


def failing(method: str, provoke: Provoke) -> Provoke:
    """While a method of the bridge fails."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("PHI")

    def provoked(service: Service) -> TestResponse:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(service.bridge, method, fail)
            return provoke(service)

    return provoked


def locked(path: str) -> Provoke:
    def provoke(service: Service) -> TestResponse:
        client = service.client(Role.ADMIN)
        with service.locked():
            return client.post(path)

    return provoke


def unsearchable(service: Service) -> TestResponse:
    client = service.client(Role.OPERATOR)
    with service.unreadable():
        return client.post(SEARCH, json=CALLED)


BAD_KEY = {"Idempotency-Key": "with blanks"}
PROVOCATIONS: dict[tuple[str, int], Provoke] = {
    (LIST, 200): getting(SESSIONS, Role.OPERATOR),
    (LIST, 400): getting(f"{SESSIONS}{BAD}", Role.OPERATOR),
    (LIST, 401): getting(SESSIONS),
    (LIST, 403): narrowed("GET", SESSIONS),
    (LIST, 404): getting(f"{SESSIONS}{NOWHERE}", Role.INTEGRATOR),
    (LIST, 429): too_often("GET", SESSIONS),
    (LIST, 500): failing("list_records", getting(SESSIONS, Role.ADMIN)),
    (LIST, 503): unreadable(Role.ADMIN, SESSIONS),
    (SEARCHED, 200): searching(),
    (SEARCHED, 400): searching({"session": "s-1"}),
    (SEARCHED, 401): searching(role=None),
    (SEARCHED, 403): narrowed("POST", SEARCH),
    (SEARCHED, 404): searching(query=NOWHERE),
    (SEARCHED, 413): searching({"session_id": "x" * MOST_BYTES}),
    (SEARCHED, 415): posting(SEARCH, data=b"<x/>", content_type="application/xml"),
    (SEARCHED, 429): too_often("POST", SEARCH),
    (SEARCHED, 500): failing("list_records", searching()),
    (SEARCHED, 503): unsearchable,
    (SENT, 200): getting(DELIVERIES, Role.INTEGRATOR),
    (SENT, 400): getting(f"{DELIVERIES}?nonsense=1", Role.INTEGRATOR),
    (SENT, 401): getting(DELIVERIES),
    (SENT, 403): narrowed("GET", DELIVERIES),
    (SENT, 404): getting(f"{DELIVERIES}{NOWHERE}", Role.INTEGRATOR),
    (SENT, 429): too_often("GET", DELIVERIES),
    (SENT, 500): failing("list_deliveries", getting(DELIVERIES, Role.ADMIN)),
    (SENT, 503): unreadable(Role.ADMIN, DELIVERIES),
    (ONE_SENT, 200): one_delivery,
    (ONE_SENT, 304): unchanged(one_delivery),
    (ONE_SENT, 401): getting(NO_DELIVERY),
    (ONE_SENT, 403): narrowed("GET", NO_DELIVERY),
    (ONE_SENT, 404): getting(NO_DELIVERY, Role.INTEGRATOR),
    (ONE_SENT, 429): too_often("GET", NO_DELIVERY),
    (ONE_SENT, 500): failing("delivery", getting(NO_DELIVERY, Role.ADMIN)),
    (ONE_SENT, 503): unreadable(Role.ADMIN, NO_DELIVERY),
    (RETRY, 200): putting_back("retry", State.PARKED),
    (RELEASE, 200): putting_back("release", State.HELD),
    (RETRY, 400): putting_back("retry", State.PARKED, headers=BAD_KEY),
    (RELEASE, 400): putting_back("release", State.HELD, headers=BAD_KEY),
    (RETRY, 409): putting_back("retry", State.HELD),
    (RELEASE, 409): putting_back("release", State.PARKED),
    (THERE, 200): getting(DESTINATIONS, Role.AUDITOR),
    (THERE, 400): getting(f"{DESTINATIONS}?paused=maybe", Role.AUDITOR),
    (THERE, 401): getting(DESTINATIONS),
    (THERE, 403): getting(DESTINATIONS, Role.INTEGRATOR),
    (THERE, 429): too_often("GET", DESTINATIONS),
    (THERE, 500): failing("list_destinations", getting(DESTINATIONS, Role.ADMIN)),
    (THERE, 503): unreadable(Role.ADMIN, DESTINATIONS),
    (ONE_THERE, 200): at_a_destination("GET"),
    (ONE_THERE, 401): getting(NO_DESTINATION),
    (ONE_THERE, 403): getting(NO_DESTINATION, Role.INTEGRATOR),
    (ONE_THERE, 404): getting(NO_DESTINATION, Role.OPERATOR),
    (ONE_THERE, 429): too_often("GET", NO_DESTINATION),
    (ONE_THERE, 500): failing("how_stands", getting(NO_DESTINATION, Role.ADMIN)),
    (ONE_THERE, 503): unreadable(Role.ADMIN, NO_DESTINATION),
    (PAUSE, 200): at_a_destination("POST", "/pause"),
    (RESUME, 200): at_a_destination("POST", "/resume"),
    (PAUSE, 400): at_a_destination("POST", "/pause", headers=BAD_KEY),
    (RESUME, 400): at_a_destination("POST", "/resume", headers=BAD_KEY),
    (PAUSE, 409): the_key_of_another("pause"),
    (RESUME, 409): the_key_of_another("resume"),
    **{
        (operation, status): provoke
        for operation, method, path in (
            (RETRY, "put_back_one", f"{NO_DELIVERY}/retry"),
            (RELEASE, "put_back_one", f"{NO_DELIVERY}/release"),
            (PAUSE, "pause_one", f"{NO_DESTINATION}/pause"),
            (RESUME, "resume_one", f"{NO_DESTINATION}/resume"),
        )
        for status, provoke in {
            401: posting(path, None),
            403: posting(path, Role.INTEGRATOR),
            404: posting(path, Role.OPERATOR),
            429: too_often("POST", path),
            500: failing(method, posting(path)),
            503: locked(path),
        }.items()
    },
}
