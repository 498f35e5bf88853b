"""R44: the reference libraries of npm and Maven take what we sign, and we take what they sign."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.access.sources import read_secret
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.webhooks import payload
from tests.hapi import jvm
from tests.npm import packages
from tests.records.visits import a_visit
from tests.web.sending import Sender, states
from tests.web.service import a_service
from tests.webhooks.test_payload import EVENT, NEW, OLD

PROGRAM = Path(__file__).parent / "standard_webhooks.mjs"
BODIES = [
    payload.of_event(EVENT),
    codec.encode({"note": "Grüße 😀 \u2028"}),
    b' {\n\t"dose" : 72.50 }\r\n',
    b"{}",
]

Library = Callable[[list[dict[str, Any]]], list[str]]


@pytest.fixture(scope="module", params=["npm", pytest.param("maven", marks=pytest.mark.hapi)])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Hand it messages: it signs each, or says of each with headers what is wrong."""
    if request.param == "maven":
        return lambda given: codec.decode(jvm.answer("SignedMessages", codec.encode(given)))
    package = packages.installed(tmp_path_factory.mktemp("npm")) / "standardwebhooks"
    return lambda given: packages.node(PROGRAM, str(package), given=codec.encode(given))


def message(secret: str, body: bytes, at: int, named: str) -> dict[str, Any]:
    return {"secret": secret, "id": named, "at": at, "body": body.decode()}


def test_r44_it_takes_what_we_sign_by_either_secret_and_nothing_that_was_changed(
    library: Library,
) -> None:
    at, given = SystemClock().now(), []
    for body in BODIES:
        signed = payload.headers("msg_1", at, body, [read_secret(NEW), read_secret(OLD)])
        for secret in (NEW, OLD):
            good = {**message(secret, body, 0, ""), "headers": signed}
            other = {**good, "body": good["body"] + " "}
            stale = {**signed, "webhook-timestamp": str(int(at.timestamp()) - 1)}
            given += [good, other, {**good, "headers": stale}]

    said = library(given)

    assert len(said) == len(given) == 3 * 2 * len(BODIES)
    assert [one == "" for one in said] == [True, False, False] * 2 * len(BODIES)


def test_r44_s04_we_take_what_it_signs_and_nothing_that_was_changed(
    library: Library, tmp_path: Path
) -> None:
    service = a_service(tmp_path, io.StringIO())
    sender, at = Sender(service), int(SystemClock().now().timestamp())
    visits = [codec.encode(a_visit(session_id=f"ses-{number}")) for number in range(2)]
    given = [message(sender.secret, body, at, f"msg_{one}") for one, body in enumerate(visits)]

    signed = library(given)

    for one, signature, body in zip(given, signed, visits, strict=True):
        headers = {
            "webhook-id": one["id"],
            "webhook-timestamp": str(at),
            "webhook-signature": signature,
        }
        assert sender.post(body + b" ", headers).status_code == 401
        taken = sender.post(body, headers)
        assert (taken.status_code, states(taken)) == (202, ["current"])
    service.bridge.close()
