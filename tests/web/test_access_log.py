"""One event per request: enough to see what goes on, nothing of what went through."""

from fhirbridge.access.tokens import Role
from tests.records.visits import a_visit
from tests.web.service import SESSIONS, STATUS, Service

ALWAYS = {"event", "level", "timestamp", "request", "route", "method", "status", "token", "code"}


def test_each_request_is_one_line_by_route_and_never_by_address(service: Service) -> None:
    receipt = service.send(a_visit())
    service.client(Role.AUDITOR).get(f"{receipt.headers['Location']}?name=x")
    service.client().get("/somewhere/else")
    service.client().get("/healthz")

    shown = [
        (one["method"], one["route"], one["status"], one["token"], one["code"])
        for one in service.events()
    ]
    assert shown == [
        ("POST", SESSIONS, 202, "a-integrator", ""),
        ("GET", "/api/v1/sessions/<record_id>", 200, "a-auditor", ""),
        ("GET", "unknown", 401, "", "E911"),
        ("GET", "/healthz", 200, "", ""),
    ]
    assert all(event.keys() == ALWAYS for event in service.events())


def test_each_request_has_a_name_of_its_own(service: Service) -> None:
    for _ in range(5):
        service.client().get(STATUS)

    assert len({event["request"] for event in service.events()}) == 5


def test_a_method_that_we_do_not_know_is_not_repeated(service: Service) -> None:
    service.client().open(STATUS, method="MUSTERMANN")

    assert [event["method"] for event in service.events()] == ["unknown"]
