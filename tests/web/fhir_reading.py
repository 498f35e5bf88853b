"""A reader of a service's facade, and its FHIR answers."""

from dataclasses import dataclass
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from werkzeug.test import TestResponse

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from tests.factories import Record
from tests.web.service import FHIR_BASE, Service

FORM = "application/x-www-form-urlencoded"


@dataclass
class Reader:
    service: Service

    def __post_init__(self) -> None:
        self.client = self.service.client(Role.READER)

    def take(self, *records: Record) -> None:
        """Take records in and let them stand on the shelf."""
        for one in records:
            assert self.service.send(one).status_code == 202
        self.service.bridge.sync()

    def ask(self, path: str, **more: Any) -> TestResponse:
        """GET below /fhir, or what a link says."""
        return self.client.get(f"/fhir/{path.removeprefix(FHIR_BASE + '/')}", **more)

    def get(self, path: str, **more: Any) -> dict[str, Any]:
        answer = self.ask(path, **more)
        assert answer.status_code == 200, answer.data
        body: dict[str, Any] = codec.decode(answer.data)
        return body

    def post(self, kind: str, form: str, **more: Any) -> TestResponse:
        return self.client.post(f"/fhir/{kind}/_search", data=form, content_type=FORM, **more)

    def pages(self, path: str) -> list[dict[str, Any]]:
        """Follow the next links to the end."""
        found = [self.get(path)]
        while following := link(found[-1], "next"):
            found.append(self.get(following))
        return found

    def patient(self) -> str:
        """The one patient's id."""
        (entry,) = self.get("Patient")["entry"]
        own: str = entry["resource"]["id"]
        return own


def link(bundle: dict[str, Any], relation: str) -> str:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), "")


def ids(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    """References of a Bundle's entries."""
    return [
        f"{one['resource']['resourceType']}/{one['resource']['id']}"
        for one in bundle.get("entry", [])
        if one.get("search", {"mode": mode})["mode"] == mode
    ]


def issue(answer: TestResponse) -> tuple[int, str]:
    """Status and issue code of a refusal."""
    (said,) = codec.decode(answer.data)["issue"]
    return answer.status_code, said["code"]


def valid(resource: dict[str, Any]) -> None:
    """Hold a resource against R4B's classes. Raises."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
