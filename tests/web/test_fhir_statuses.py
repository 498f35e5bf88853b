"""Every status that is documented below `/fhir` is had here; the client checks its shape."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.access.rates import Rates, TooOftenError
from fhirbridge.access.tokens import Role
from fhirbridge.facade import links
from tests.factories import a_pulse, a_short_visit, amended, rate
from tests.web.documented_client import document_of, operations_of
from tests.web.fhir_reading import FORM, Reader, link
from tests.web.service import FHIR_BASE, MOST_BYTES, Service

VISIT = a_short_visit(vitals=[a_pulse(f"v-{n}", 60 + n) for n in range(3)])
XML = {"query_string": "_format=xml"}
UNREADABLE = {"query_string": "x=%ff"}
Ask = Callable[..., TestResponse]


def test_each_documented_status_is_provoked(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(service)
    reader.take(VISIT, amended(VISIT, rate(99)))
    documented = {
        name: {int(status) for status in operation["responses"]}
        for name, operation in operations_of(document_of(service.app)).items()
        if name.partition(" ")[2].startswith("/fhir/") and "$export" not in name
    }

    had = {name: statuses(reader, name, monkeypatch) for name in documented}

    assert len(documented) == 8
    assert had == documented


def statuses(reader: Reader, name: str, patched: pytest.MonkeyPatch) -> set[int]:
    """Ask one operation in every way that has an answer of its own."""
    method, _, rule = name.partition(" ")
    if rule == "/fhir/metadata":
        return {reader.client.get(rule, **more).status_code for more in ({}, XML)}
    pulse = reader.get("Observation")["entry"][-1]["resource"]
    own = reader.patient() if "everything" in rule else pulse["id"]
    version = pulse["meta"]["versionId"]

    def asked(own: str = own, kind: str = "Observation") -> Ask:
        path = rule.replace("{kind}", kind).replace("{own}", own).replace("{version}", version)
        form = {"data": "_count=1", "content_type": FORM} if method == "POST" else {}
        return lambda client, **more: client.open(path, method=method, **{**form, **more})

    return answers(reader, asked(), patched) | {
        asked("nobody", "Nothing")(reader.client).status_code
    }


def answers(reader: Reader, ask: Ask, patched: pytest.MonkeyPatch) -> set[int]:
    client, service = reader.client, reader.service
    plain = ask(client, query_string="_count=1")
    found = {plain.status_code}
    for more in ({"headers": {"If-None-Match": "*"}}, XML, UNREADABLE):
        found.add(ask(client, **more).status_code)
    found.add(ask(service.client()).status_code)
    found.add(ask(service.client(Role.ADMIN)).status_code)
    if plain.request.method == "POST":
        found.add(ask(client, data="x" * (MOST_BYTES + 1)).status_code)
        found.add(ask(client, content_type="application/json").status_code)
    if following := link(plain.get_json(), "next") if b'"link"' in plain.data else "":
        found.add(too_late(reader, following, plain, patched).status_code)
    with service.locked():
        found.add(ask(client).status_code)
    with patched.context() as broken:
        broken.setattr(type(service.bridge), "facade_page", fail)
        broken.setattr(type(service.bridge), "facade_resource", fail)
        found.add(ask(client).status_code)
    with patched.context() as often:
        often.setattr(Rates, "count", too_often)
        found.add(ask(client).status_code)
    return found


def too_late(
    reader: Reader, following: str, first: TestResponse, patched: pytest.MonkeyPatch
) -> TestResponse:
    """Follow a link of the same operation once it is too old."""
    page = following.partition("_page=")[2]
    assert following.startswith(FHIR_BASE)
    with patched.context() as later:
        later.setattr(links, "LIFETIME", timedelta(seconds=-1))
        request = first.request
        form = {"data": "", "content_type": FORM} if request.method == "POST" else {}
        return reader.client.open(
            request.path, method=request.method, query_string=f"_page={page}", **form
        )


def too_often(*_: Any, **__: Any) -> None:
    raise TooOftenError(1)


def fail(*_: Any, **__: Any) -> None:
    raise RuntimeError
