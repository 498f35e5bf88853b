"""The API's document and its page: complete, public, and without the network."""

import re
from typing import Any

import pytest

from fhirbridge import __version__
from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from fhirbridge.records.json_schema import json_schema
from fhirbridge.web.api_page import PARTS, STATIC
from tests.records.visits import a_visit
from tests.web.documented_client import document_of, operations_of
from tests.web.service import Service

REFERENCE = "$ref"


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value[REFERENCE]} if isinstance(value.get(REFERENCE), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def at(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_the_document_carries_the_record_as_its_schema_says(service: Service) -> None:
    document = document_of(service.app)

    body = operations_of(document)["POST /api/v1/sessions"]["requestBody"]

    content = body["content"]
    assert document["openapi"] == "3.1.0"
    assert content.keys() == {"application/json"}
    assert at(document, content["application/json"]["schema"][REFERENCE]) == json_schema()


def test_the_example_in_the_document_is_accepted(service: Service) -> None:
    example = document_of(service.app)["components"]["examples"]["visit"]["value"]

    answer = service.send(example)

    assert example == a_visit()
    assert (answer.status_code, codec.decode(answer.data)["findings"]) == (202, [])


def test_every_reference_leads_somewhere_and_every_part_is_used(service: Service) -> None:
    document = document_of(service.app)

    named = {
        f"#/components/{kind}/{name}"
        for kind, parts in document["components"].items()
        for name in parts
        if kind != "securitySchemes"
    }

    assert references(document) == named


def test_every_route_is_documented_with_those_who_may_use_it(service: Service) -> None:
    operations = operations_of(document_of(service.app))

    signed: list[Any] = [{"signature": []}]
    everybody = ["admin", "auditor", "integrator", "operator"]
    roles = {
        name: None if one.get("security") == [] else one.get("x-roles", one.get("security"))
        for name, one in operations.items()
    }

    assert roles == {
        "POST /webhooks/v1/sessions": signed,
        "POST /api/v1/records/bulk": ["admin", "integrator"],
        "POST /api/v1/sessions": ["admin", "integrator"],
        "GET /api/v1/sessions/{record_id}": ["admin", "auditor", "integrator"],
        "POST /api/v1/stock": ["admin", "integrator"],
        "GET /api/v1/stock/{stock_id}": ["admin", "auditor", "integrator"],
        "GET /api/v1/events": everybody,
        "GET /api/v1/patients/{patient_id}/ehr": ["admin", "auditor", "integrator"],
        "GET /api/v1/status": ["admin", "auditor", "operator"],
        "GET /api/v1/sessions": everybody,
        "POST /api/v1/sessions/search": everybody,
        "GET /api/v1/deliveries": everybody,
        "GET /api/v1/deliveries/{delivery_id}": everybody,
        "POST /api/v1/deliveries/{delivery_id}/retry": ["admin", "operator"],
        "POST /api/v1/deliveries/{delivery_id}/release": ["admin", "operator"],
        "GET /api/v1/destinations": ["admin", "auditor", "operator"],
        "GET /api/v1/destinations/{name}": ["admin", "auditor", "operator"],
        "POST /api/v1/destinations/{name}/pause": ["admin", "operator"],
        "POST /api/v1/destinations/{name}/resume": ["admin", "operator"],
        "GET /fhir/metadata": None,
        "GET /fhir/{kind}": ["reader"],
        "POST /fhir/{kind}/_search": ["reader"],
        "GET /fhir/{kind}/_history": ["reader"],
        "GET /fhir/{kind}/{own}": ["reader"],
        "GET /fhir/{kind}/{own}/_history": ["reader"],
        "GET /fhir/{kind}/{own}/_history/{version}": ["reader"],
        "GET /fhir/Patient/{own}/$everything": ["reader"],
        "GET /fhir/$export": ["reader"],
        "GET /fhir/Patient/$export": ["reader"],
        "POST /fhir/$export": ["reader"],
        "POST /fhir/Patient/$export": ["reader"],
        "GET /fhir/$export-status/{export_id}": ["reader"],
        "DELETE /fhir/$export-status/{export_id}": ["reader"],
        "GET /fhir/$export-file/{export_id}/{name}": ["reader"],
        "GET /.well-known/jwks.json": None,
        "GET /healthz": None,
        "GET /readyz": None,
    }
    assert all(one["summary"] for one in operations.values())


def test_s31_strangers_learn_no_version_host_or_count(service: Service) -> None:
    service.send(a_visit())
    paths = ["/healthz", "/readyz", "/api/docs", "/nowhere"]

    answers = [service.client().get(path) for path in paths]

    everything = "\n".join(f"{answer.headers}{answer.text}" for answer in answers)
    assert service.client().get("/healthz").data == b'{"status":"ok"}'
    assert service.client().get("/readyz").data == b'{"status":"ready"}'
    assert __version__ not in everything
    assert "Werkzeug" not in everything
    assert "localhost" not in everything
    assert document_of(service.app)["servers"] == [{"url": "/"}]
    assert __version__ not in str(document_of(service.app)["info"])


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inside(service: Service) -> None:
    answer = service.client().get("/api/docs")

    links = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert answer.mimetype == "text/html"
    assert set(links) == {"data:,", "v1/openapi.json", *(f"docs/{name}" for name in PARTS)}
    assert not re.search(r"<script>|<style|\s(style|on\w+)=", answer.text)
    assert "script-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", PARTS)
def test_each_part_of_the_page_is_there_and_kept_until_it_changes(
    service: Service, name: str
) -> None:
    first = service.client().get(f"/api/docs/{name}")
    again = service.client().get(
        f"/api/docs/{name}", headers={"If-None-Match": first.headers["ETag"]}
    )

    assert (first.status_code, again.status_code) == (200, 304)
    assert first.mimetype in {"text/javascript", "text/css"}
    assert first.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name",
    ["api-page.html", "swagger-ui", "LICENSE", "..", "%2e%2e/app.py", "..%2fapp.py", "app.py", ""],
)
def test_no_other_file_can_be_asked_for(service: Service, name: str) -> None:
    answer = service.client(Role.ADMIN).get(f"/api/docs/{name}")

    assert answer.status_code == (200 if name == "" else 404)
    assert "def create_app" not in answer.text


def test_what_is_carried_keeps_its_licence() -> None:
    folder = STATIC / "swagger-ui"

    assert "Apache License" in (folder / "LICENSE").read_text()
    assert {"NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= {one.name for one in folder.iterdir()}
