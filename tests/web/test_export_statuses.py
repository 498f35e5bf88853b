"""Every status that is documented of an export's operations is had; the client checks its shape."""

from typing import Any

import pytest

from fhirbridge.access.rates import Rates
from fhirbridge.access.tokens import Role
from tests.factories import a_short_visit
from tests.web.documented_client import document_of, operations_of
from tests.web.exporting import ASYNC, begun, manifest, status_of
from tests.web.fhir_reading import Reader
from tests.web.service import FHIR_BASE, MOST_BYTES, Service
from tests.web.test_fhir_statuses import fail, too_often

FHIR = "application/fhir+json"


def test_each_documented_status_of_an_export_is_provoked(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(service)
    reader.take(a_short_visit())
    documented = {
        name: {int(status) for status in operation["responses"]}
        for name, operation in operations_of(document_of(service.app)).items()
        if "$export" in name
    }

    had = {name: statuses(reader, name, monkeypatch) for name in documented}

    assert len(documented) == 7
    assert had == documented


def statuses(reader: Reader, name: str, patched: pytest.MonkeyPatch) -> set[int]:
    method, _, rule = name.partition(" ")
    service, client = reader.service, reader.client
    file = manifest(reader)["output"][0]["url"].removeprefix(FHIR_BASE)
    made = status_of(begun(reader)).rpartition("/")[2]
    path = f"/fhir{file}" if "file" in rule else rule.replace("{export_id}", made)
    sent = {"data": b'{"resourceType": "Parameters"}', "content_type": FHIR}
    body = sent if method == "POST" else {}
    plain: dict[str, Any] = {"method": method, "headers": ASYNC, **body}
    ways: list[dict[str, Any]] = [
        {},
        {"headers": {}},
        {"headers": {**ASYNC, "If-None-Match": client.get(f"/fhir{file}").headers["ETag"]}},
        {"headers": {**ASYNC, "Range": "bytes=0-1"}},
        {"headers": {**ASYNC, "Range": "bytes=999999999-"}},
    ]
    if body:
        ways += [{"data": "x" * (MOST_BYTES + 1)}, {"content_type": "text/plain"}]
    if "{" in rule:
        ways.append({"path": path.replace(file.split("/")[2], "none").replace(made, "none")})
    found = set()
    for whose in (service.client(), service.client(Role.ADMIN)):
        found.add(whose.open(path, **plain).status_code)
    with patched.context() as often:
        often.setattr(Rates, "count", too_often)
        found.add(client.open(path, **plain).status_code)
    with patched.context() as broken:
        for one in ("begin_bulk", "bulk_manifest", "bulk_file", "end_bulk"):
            broken.setattr(type(service.bridge), one, fail)
        found.add(client.open(path, **plain).status_code)
    with service.unreadable():
        found.add(client.open(path, **plain).status_code)
    for more in ways:
        found.add(client.open(**{"path": path, **plain, **more}).status_code)
    return found
