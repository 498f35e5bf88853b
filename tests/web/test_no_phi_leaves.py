"""S13 to S15: what a sender writes anywhere comes back in no error, header or log line."""

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from fhirbridge.access.tokens import Role
from tests.records.visits import a_visit, edited
from tests.web.service import SESSIONS, STATUS, Service

CANARY = "Kanarienvogel7261"
NUMBER = 726154839
FORMS = [
    CANARY,
    CANARY.encode().hex(),
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    base64.urlsafe_b64encode(f" {CANARY}".encode()).decode()[2:-2],
    str(NUMBER),
]
NASTY = ["\n", "\x1b[31m", "\u202e", "%s%n", "${jndi:ldap://x}", "<script>", '"', "\\", "\u2028"]


def leaves(value: Any, pointer: str = "") -> Iterator[str]:
    """Point at every value in a record that is no object or list."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, f"{pointer}/{name}")
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from leaves(below, f"{pointer}/{index}")
    else:
        yield pointer


def objects(value: Any, pointer: str = "") -> Iterator[str]:
    """Point at every object in a record."""
    if isinstance(value, dict):
        yield pointer
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for step, below in steps:
        if isinstance(below, dict | list):
            yield from objects(below, f"{pointer}/{step}")


def said(answer: TestResponse) -> str:
    """Return all of an answer, as text."""
    return f"{answer.status}\n{answer.headers}\n{answer.text}"


def heard(service: Service, *answers: TestResponse) -> list[str]:
    """Return the forms of the canary that came out anywhere."""
    everything = "\n".join([*map(said, answers), service.log.getvalue()])
    return [form for form in FORMS if form in everything]


@pytest.mark.slow
@pytest.mark.parametrize("value", [CANARY, NUMBER, [CANARY], {CANARY: CANARY}], ids=repr)
def test_s13_no_field_of_a_record_comes_back(service: Service, value: Any) -> None:
    # The receipt says which version came: a number that counts, and nobody's.
    pointers = [pointer for pointer in leaves(a_visit()) if pointer != "/version"]

    answers = [service.send(edited(a_visit(), (pointer, value))) for pointer in pointers]

    assert len(answers) > 100
    assert {answer.status_code for answer in answers} & {400, 409, 422}
    assert heard(service, *answers) == []


def test_s13_a_name_that_is_no_field_does_not_come_back(service: Service) -> None:
    phrase = f"{CANARY} of the clinic"

    answers = [
        service.send(edited(a_visit(), (f"{place}/{phrase}", 1))) for place in objects(a_visit())
    ]

    assert len(answers) > 40
    assert {answer.status_code for answer in answers} == {422}
    assert heard(service, *answers) == []


@pytest.mark.parametrize(
    "body",
    [
        CANARY.encode(),
        f'{{"a": {CANARY}}}'.encode(),
        f'{{"a": "{CANARY}'.encode(),
        f'{{"{CANARY} x": 1, "{CANARY} x": 2}}'.encode(),
        f'["{CANARY}"]'.encode(),
        f'"{CANARY}"'.encode(),
        f"<Patient>{CANARY}</Patient>".encode(),
        f"{CANARY}\xff".encode("latin-1"),
    ],
)
def test_s15_what_is_not_a_record_does_not_come_back(service: Service, body: bytes) -> None:
    answer = service.send(body)

    assert answer.status_code in {400, 422}
    assert heard(service, answer) == []


def test_s13_no_address_header_or_method_comes_back(service: Service) -> None:
    client = service.client(Role.ADMIN)
    name = {"X-Forwarded-For": CANARY, "X-Request-Id": CANARY, "Host": f"{CANARY}.invalid"}

    answers = [
        client.get(f"/{CANARY}"),
        client.get(f"{SESSIONS}/{CANARY}"),
        client.get(f"{STATUS}?patient={CANARY}"),
        client.get(f"/api/docs/{CANARY}"),
        client.open(STATUS, method=CANARY),
        client.get(STATUS, headers=name),
        client.post(SESSIONS, data=b"{}", content_type=f"application/{CANARY}"),
        client.post(SESSIONS, data=b"{}", headers={"Content-Encoding": CANARY}),
        service.client().get(STATUS, headers={"Authorization": f"Bearer {CANARY}"}),
        service.client().get(STATUS, headers={"Authorization": f"{CANARY} x"}),
    ]

    assert heard(service, *answers) == []


def test_s15_the_token_never_comes_back(service: Service) -> None:
    client = service.client(Role.INTEGRATOR)

    answers = [client.get(path) for path in (STATUS, f"{SESSIONS}/none", "/nowhere", "/healthz")]

    everything = "\n".join([*map(said, answers), service.log.getvalue()])
    assert service.token(Role.INTEGRATOR).removeprefix("fhirbridge_") not in everything


def test_s13_what_may_be_read_is_read(service: Service) -> None:
    receipt = service.send(edited(a_visit(), ("/patient/name/family", CANARY)))

    answer = service.client(Role.AUDITOR).get(receipt.headers["Location"])

    assert receipt.status_code == 202
    assert heard(service, receipt) == []
    assert CANARY in answer.text
    assert CANARY in heard(service, answer)  # as text, and within the note


def test_the_canary_is_heard_where_it_sings(service: Service) -> None:
    service.log.write(base64.b64encode(CANARY.encode()).decode())

    assert heard(service)


@pytest.mark.parametrize("text", NASTY)
def test_s14_a_log_line_cannot_be_forged(service: Service, text: str) -> None:
    client = service.client(Role.ADMIN)

    client.get(f"/{quote(text)}")
    client.get(f"{SESSIONS}/{quote(text)}")
    service.send(edited(a_visit(), ("/patient/name/family", text)))
    service.send(edited(a_visit(), (f"/patient/{text}", text)))

    assert [event["event"] for event in service.events()] == ["request.done"] * 4
    assert all(line.isascii() and line.isprintable() for line in service.log.getvalue().split("\n"))
