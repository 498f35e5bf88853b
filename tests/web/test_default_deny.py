"""S01: every route is denied unless it was declared; the public ones are listed here."""

from typing import Any

import pytest
from flask import Flask

from fhirbridge.access.tokens import Role
from fhirbridge.web.app import create_app
from tests.web.service import (
    DELIVERIES,
    DESTINATIONS,
    EVENTS,
    MOST_BYTES,
    SEARCH,
    SESSIONS,
    STATUS,
    STOCK,
    Service,
)

PUBLIC = {
    "/healthz",
    "/readyz",
    "/.well-known/jwks.json",
    "/api/v1/openapi.json",
    "/api/docs",
    "/api/docs/<name>",
    "/fhir/metadata",
}
RECORD = "/api/v1/sessions/<record_id>"
HOOK = "/webhooks/v1/sessions"
EHR_HOOKS = {"/hooks/ehr/v1/<token>", "/hooks/ehr/v1/<token>/<kind>/<own>"}
BULK = "/api/v1/records/bulk"
STOCK_DOCUMENT = f"{STOCK}/<stock_id>"
PATIENT_EHR = "/api/v1/patients/<patient_id>/ehr"
DELIVERY = f"{DELIVERIES}/<delivery_id>"
DESTINATION = f"{DESTINATIONS}/<name>"
MAY_USE = {
    ("POST", SESSIONS): {Role.INTEGRATOR, Role.ADMIN},
    ("GET", RECORD): {Role.INTEGRATOR, Role.AUDITOR, Role.ADMIN},
    ("POST", BULK): {Role.INTEGRATOR, Role.ADMIN},
    ("POST", STOCK): {Role.INTEGRATOR, Role.ADMIN},
    ("GET", STOCK_DOCUMENT): {Role.INTEGRATOR, Role.AUDITOR, Role.ADMIN},
    ("GET", EVENTS): {Role.INTEGRATOR, Role.OPERATOR, Role.AUDITOR, Role.ADMIN},
    ("GET", PATIENT_EHR): {Role.INTEGRATOR, Role.AUDITOR, Role.ADMIN},
    ("GET", STATUS): {Role.OPERATOR, Role.AUDITOR, Role.ADMIN},
    ("GET", "/fhir/<kind>"): {Role.READER},
    ("POST", "/fhir/<kind>/_search"): {Role.READER},
    ("GET", "/fhir/<kind>/_history"): {Role.READER},
    ("GET", "/fhir/<kind>/<own>"): {Role.READER},
    ("GET", "/fhir/<kind>/<own>/_history"): {Role.READER},
    ("GET", "/fhir/<kind>/<own>/_history/<version>"): {Role.READER},
    ("GET", "/fhir/Patient/<own>/$everything"): {Role.READER},
    ("GET", "/fhir/$export"): {Role.READER},
    ("GET", "/fhir/Patient/$export"): {Role.READER},
    ("POST", "/fhir/$export"): {Role.READER},
    ("POST", "/fhir/Patient/$export"): {Role.READER},
    ("GET", "/fhir/$export-status/<export_id>"): {Role.READER},
    ("DELETE", "/fhir/$export-status/<export_id>"): {Role.READER},
    ("GET", "/fhir/$export-file/<export_id>/<name>"): {Role.READER},
    ("GET", "/metrics"): {Role.OPERATOR, Role.AUDITOR, Role.ADMIN},
    ("GET", SESSIONS): set(Role) - {Role.READER},
    ("POST", SEARCH): set(Role) - {Role.READER},
    ("GET", DELIVERIES): set(Role) - {Role.READER},
    ("GET", DELIVERY): set(Role) - {Role.READER},
    ("POST", f"{DELIVERY}/retry"): {Role.OPERATOR, Role.ADMIN},
    ("POST", f"{DELIVERY}/release"): {Role.OPERATOR, Role.ADMIN},
    ("GET", DESTINATIONS): {Role.OPERATOR, Role.AUDITOR, Role.ADMIN},
    ("GET", DESTINATION): {Role.OPERATOR, Role.AUDITOR, Role.ADMIN},
    ("POST", f"{DESTINATION}/pause"): {Role.OPERATOR, Role.ADMIN},
    ("POST", f"{DESTINATION}/resume"): {Role.OPERATOR, Role.ADMIN},
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


def routes(app: Flask) -> set[tuple[str, str]]:
    """Return (method, rule) of all that the application knows."""
    return {
        (method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()
    }


def address(rule: str) -> str:
    named = rule.replace("<record_id>", "0" * 32).replace("<stock_id>", "0" * 32)
    named = named.replace("<patient_id>", "0" * 32).replace("<delivery_id>", "0" * 32)
    named = named.replace("destinations/<name>", "destinations/nowhere")
    named = (
        named.replace("<export_id>", "0" * 32)
        .replace("<kind>", "Observation")
        .replace("<token>", "0" * 43)
    )
    named = named.replace("<own>", "0" * 32).replace("<version>", "1")
    return named.replace("<name>", "swagger-ui.css")


def test_s01_the_routes_are_those_of_this_page(service: Service) -> None:
    known = {(method, rule) for method, rule in routes(service.app) if method != "HEAD"}

    of_ehrs = {(method, rule) for method in ("POST", "PUT") for rule in EHR_HOOKS}
    public = {("GET", rule) for rule in PUBLIC}
    assert known == MAY_USE.keys() | public | {("POST", HOOK)} | of_ehrs


@pytest.mark.parametrize("method", METHODS)
def test_s01_without_a_token_every_other_route_is_closed(service: Service, method: str) -> None:
    rules = {rule for _, rule in routes(service.app)} - PUBLIC | {"/", "/nowhere", "/api/v1/"}

    for rule in rules:
        answer = service.client().open(address(rule), method=method)
        if rule in EHR_HOOKS and method in {"POST", "PUT"}:
            assert answer.status_code == 404, rule
            continue
        assert answer.status_code == 401, rule
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("method", METHODS)
def test_s01_a_public_route_is_open_for_reading_only(service: Service, method: str) -> None:
    for rule in PUBLIC:
        status = service.client().open(address(rule), method=method).status_code
        assert status == (200 if method in {"GET", "HEAD"} else 401), rule


@pytest.mark.parametrize("role", Role)
def test_s01_what_must_be_signed_is_open_to_no_token(service: Service, role: Role) -> None:
    answer = service.client(role).post(HOOK, data=b"{}", content_type="application/json")
    of_ehrs = {service.client(role).post(address(one)).status_code for one in EHR_HOOKS}

    assert (answer.status_code, of_ehrs) == (401, {404})


@pytest.mark.parametrize("role", Role)
def test_s01_each_role_may_use_what_it_was_given_and_nothing_else(
    service: Service, role: Role
) -> None:
    for (method, rule), roles in MAY_USE.items():
        answer = service.client(role).open(address(rule), method=method)
        assert (answer.status_code != 403) == (role in roles), (role, method, rule)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer fhirbridge_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Bearer " + "x" * 10_000,
        "Bearer {token}x",
        "Bearer {token}, Bearer {token}",
        "Bearer\xa0{token}",
        "Bearer \xff\xfe",
        "Basic {token}",
        "Basic Zmhp",
        "Token {token}",
        "{token}",
        'Digest username="{token}"',
    ],
)
def test_s01_whatever_is_no_valid_token_is_refused(service: Service, header: str) -> None:
    sent = header.format(token=service.token(Role.ADMIN))

    answer = service.client().get(STATUS, headers={"Authorization": sent})

    assert answer.status_code == 401


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_s01_the_scheme_is_read_in_any_case(service: Service, word: str) -> None:
    sent = {"Authorization": f"{word} {service.token(Role.ADMIN)}"}

    assert service.client().get(STATUS, headers=sent).status_code == 200


def test_s01_a_token_counts_only_in_its_header(service: Service) -> None:
    token = service.token(Role.ADMIN)

    in_query = service.client().get(f"{STATUS}?access_token={token}&token={token}")
    in_cookie = service.client().get(STATUS, headers={"Cookie": f"Authorization=Bearer {token}"})

    assert (in_query.status_code, in_cookie.status_code) == (401, 401)


def test_s01_a_revoked_token_is_refused_at_once(service: Service) -> None:
    client = service.client(Role.ADMIN)
    assert client.get(STATUS).status_code == 200

    service.bridge.revoke_token("a-admin", actor="test")

    assert client.get(STATUS).status_code == 401


def test_s01_a_route_that_nobody_declared_is_closed_to_everyone(service: Service) -> None:
    app = create_app(service.bridge, most_bytes=MOST_BYTES)
    app.add_url_rule("/planted", "planted", lambda: "reached")

    statuses = {role: status_of(app, service.token(role)) for role in Role}

    assert app.test_client().get("/planted").status_code == 401
    assert statuses == dict.fromkeys(Role, 403)


def test_s01_an_undeclared_method_of_a_declared_address_is_closed(service: Service) -> None:
    app = create_app(service.bridge, most_bytes=MOST_BYTES)
    app.add_url_rule("/healthz", "planted", lambda: "reached", methods=["DELETE"])

    answer = app.test_client().delete("/healthz")

    assert answer.status_code == 401


def test_a_view_whose_guard_was_taken_away_does_not_answer(service: Service) -> None:
    app: Any = create_app(service.bridge, most_bytes=MOST_BYTES)
    app.before_request_funcs[None] = app.before_request_funcs[None][:1]

    answer = app.test_client().post(SESSIONS, data=b"{}", content_type="application/json")

    assert answer.status_code == 500
    assert service.stored() == 0


def test_s17_a_known_caller_who_is_turned_away_leaves_evidence(service: Service) -> None:
    service.client(Role.OPERATOR).get(f"{SESSIONS}/{'0' * 32}")

    assert service.evidence() == [
        (
            "token:a-operator",
            "access.refused",
            "refused",
            '{"reason":"E912","route":"/api/v1/sessions/<record_id>"}',
        )
    ]


def test_a_flood_of_strangers_does_not_fill_the_evidence_log(service: Service) -> None:
    for _ in range(50):
        service.client().get(STATUS, headers={"Authorization": "Bearer fhirbridge_guess"})

    assert service.evidence() == []
    assert [event["status"] for event in service.events()] == [401] * 50


def status_of(app: Flask, token: str) -> int:
    sent = {"Authorization": f"Bearer {token}"}
    return app.test_client().get("/planted", headers=sent).status_code
