"""A client that holds every answer against the API's own document, and looks at its headers."""

import gzip
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from fhirbridge.fhir import codec
from fhirbridge.web import fhir_schemas, list_schemas, pull_schemas, schemas
from fhirbridge.web.fhir_outcomes import is_fhir

SHAPES = (fhir_schemas, list_schemas, pull_schemas, schemas)
PROBLEM = "application/problem+json"
FHIR = "application/fhir+json"
DOCUMENT = "/api/v1/openapi.json"
ON_EVERY_ANSWER = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class DocumentedClient(FlaskClient):
    def open(self, *args: Any, **more: Any) -> TestResponse:
        response = super().open(*args, **more)
        _check_headers(response)
        _check_shape(self.application, response)
        return response


def document_of(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = codec.decode(FlaskClient(app).get(DOCUMENT).data)
    return document


def hold_to_its_document(app: Flask) -> None:
    """Let every client of this application be a documented one."""
    app.extensions[DOCUMENT] = operations_of(document_of(app))
    app.test_client_class = DocumentedClient


def operations_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every documented operation as "GET /path"."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def operation_name(app: Flask, response: TestResponse) -> str:
    """Name the operation that answered, "" where the address or method is none."""
    method, path = response.request.method, response.request.path
    try:
        rule, _ = app.url_map.bind("localhost").match(path, method, return_rule=True)
    except HTTPException:
        return ""
    return f"{method} {rule.rule.replace('<', '{').replace('>', '}')}"


def _check_headers(response: TestResponse) -> None:
    for name, text in ON_EVERY_ANSWER.items():
        assert response.headers.getlist(name) == [text]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]


def _check_shape(app: Flask, response: TestResponse) -> None:
    if response.request.method == "HEAD":
        return
    operation = app.extensions[DOCUMENT].get(operation_name(app, response))
    if operation is None:
        if response.status_code >= 400:
            _check_body(response, _a_refusal(response))
        return
    documented = operation["responses"]
    assert str(response.status_code) in documented, "a status that is not documented"
    answer = documented[str(response.status_code)]
    if response.status_code == 206:  # of lines, from the middle of one to that of another
        assert "Content-Range" in response.headers
    elif response.status_code in (202, 304) and "content" not in answer:
        assert response.data == b""
    else:
        _check_body(response, answer["content"])
    assert set(answer.get("headers", ())) <= {name for name, _ in response.headers}


def _a_refusal(response: TestResponse) -> dict[str, Any]:
    media, name = (FHIR, "FhirOutcome") if is_fhir(response.request.path) else (PROBLEM, "Problem")
    return {media: {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _check_body(response: TestResponse, content: dict[str, Any]) -> None:
    name = content[response.mimetype or ""]["schema"]["$ref"].rpartition("/")[2]
    (schema,) = {getattr(one, name) for one in SHAPES if hasattr(one, name)}
    by_lines = response.mimetype in ("application/x-ndjson", "application/fhir+ndjson")
    pressed = response.content_encoding == "gzip"
    data = gzip.decompress(response.data) if pressed else response.data
    for one in data.splitlines() if by_lines else [data]:
        assert schema().validate(codec.decode(one)) == {}
