"""S27: what a client sends again under one key is done once; another client's key tells nothing."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from tests.records.test_stock import a_stock
from tests.records.visits import a_visit
from tests.web.service import JSON, SESSIONS, STOCK, Service


def send(
    service: Service,
    content: Any,
    key: str,
    *,
    role: Role = Role.INTEGRATOR,
    path: str = SESSIONS,
) -> TestResponse:
    headers = {"Idempotency-Key": key}
    body = codec.encode(content)
    return service.client(role).post(path, data=body, content_type=JSON, headers=headers)


def test_s27_the_same_key_and_body_get_the_first_answer_itself(service: Service) -> None:
    first, again = send(service, a_visit(), "k-1"), send(service, a_visit(), "k-1")

    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.data, again.headers["Location"]) == (first.data, first.headers["Location"])
    assert codec.decode(again.data)["state"] == "current"
    assert service.stored() == 1


def test_s27_the_same_key_with_another_body_is_a_conflict_and_noted(service: Service) -> None:
    send(service, a_visit(), "k-1")

    answer = send(service, a_visit(session_id="another"), "k-1")

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (409, "E240")
    assert service.stored() == 1
    assert [action for _, action, _, _ in service.evidence()][-1] == "message.conflict"


def test_s27_another_clients_key_and_another_routes_tell_nothing(service: Service) -> None:
    send(service, a_visit(), "k-1")

    others = send(service, a_visit(session_id="theirs"), "k-1", role=Role.ADMIN)
    stock = send(service, a_stock(), "k-1", path=STOCK)

    assert (others.status_code, stock.status_code) == (202, 202)
    assert service.stored() == 2


def test_s27_stock_is_answered_alike_too(service: Service) -> None:
    first, again = (send(service, a_stock(), "k-1", path=STOCK) for _ in range(2))
    other = send(service, a_stock(counts=[], losses=[]), "k-1", path=STOCK)

    assert first.data == again.data
    assert codec.decode(again.data)["state"] == "current"
    assert (other.status_code, codec.decode(other.data)["code"]) == (409, "E240")


def test_what_was_refused_under_a_key_is_judged_again(service: Service) -> None:
    refused = [send(service, {}, "k-1").status_code for _ in range(2)]

    assert refused == [422, 422]
    assert send(service, a_visit(), "k-1").status_code == 409


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ä"])
def test_a_key_that_cannot_be_used_is_refused_and_nothing_is_stored(
    service: Service, key: str
) -> None:
    answer = send(service, a_visit(), key)

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (400, "E244")
    assert service.stored() == 0
