"""The client: what it sends is stored once, whatever happens on the way; it says what became."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from fhirbridge.access.tokens import Role
from fhirbridge.client import Client, NoAnswerError, ProblemError, State
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.overview.lists import Sought
from fhirbridge.web.app import create_app
from tests.deliver.refusing import refuse
from tests.factories import World, a_short_visit, amended
from tests.mapping_sets import few_mappings
from tests.served import served
from tests.web.service import MOST_BYTES


class Line:
    """The service, with what a network or a proxy does to requests on the way."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.troubles: list[tuple[int, bool]] = []  # a status instead; did it reach the service?
        self.keys: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        self.keys.append(environ.get("HTTP_IDEMPOTENCY_KEY") or environ.get("HTTP_WEBHOOK_ID", ""))
        if not self.troubles:
            return self._app(environ, start)
        status, reached = self.troubles.pop(0)
        if reached:
            list(self._app(environ, lambda *_: None))
        head = {"Retry-After": "0", "Location": "http://127.0.0.1:1/elsewhere"}
        return Response(b"<html>of a proxy</html>", status, head)(environ, start)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(url=f"sqlite:///{tmp_path / 'test.db'}", mapped=few_mappings)
    made.connect()
    yield made
    made.store.close()


@pytest.fixture
def line(world: World) -> Line:
    return Line(create_app(world.bridge, most_bytes=MOST_BYTES))


@pytest.fixture
def url(line: Line) -> Iterator[str]:
    with served(line) as address:
        yield address


@pytest.fixture
def client(world: World, url: str) -> Client:
    token = world.bridge.make_token(name="clinic", role=Role.INTEGRATOR, actor="test")
    return Client(url, token)


def test_a_record_is_sent_and_followed_until_every_ehr_has_it(world: World, client: Client) -> None:
    receipt = client.send(a_short_visit())
    before = client.follow(receipt["id"], seconds=0)
    world.settle()
    after = client.follow(receipt["id"], seconds=0)

    assert (before.state, after.state) == (State.UNDER_WAY, State.DELIVERED)
    assert client.record(receipt["id"])["id"] == receipt["id"]
    assert len(after.deliveries) == len(world.rows())


def test_what_waits_for_a_person_says_why(world: World, client: Client) -> None:
    receipt = client.send(a_short_visit())
    refuse(world, lambda body: body["resourceType"] == "Patient")
    world.settle()

    followed = client.follow(receipt["id"])

    assert followed.state is State.STUCK
    assert any("refused" in reason for reason in followed.reasons)


def test_where_no_ehr_is_nothing_is_owed(tmp_path: Path) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'alone.db'}", mapped=few_mappings)
    token = world.bridge.make_token(name="clinic", role=Role.INTEGRATOR, actor="test")
    with served(create_app(world.bridge, most_bytes=MOST_BYTES)) as address:
        client = Client(address, token)
        followed = client.follow(client.send(a_short_visit())["id"])
    world.store.close()

    assert followed.state is State.NOTHING_OWED


def test_a_refusal_names_the_fields_and_no_value(client: Client) -> None:
    visit = a_short_visit()
    visit["patient"]["birth_date"] = "Kanarienvogel"
    del visit["visit"]["start"]

    with pytest.raises(ProblemError) as refused:
        client.send(visit)

    assert (refused.value.status, refused.value.code) == (422, "E102")
    assert {"/patient/birth_date", "/visit/start"} <= set(refused.value.fields)
    assert "/patient/birth_date" in str(refused.value)
    assert "Kanarienvogel" not in str(refused.value)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("reached", [False, True])
def test_what_is_tried_again_is_stored_once_and_has_the_first_answer(
    world: World, line: Line, client: Client, status: int, *, reached: bool
) -> None:
    line.troubles = [(status, reached)] * 3

    receipt = client.send(a_short_visit())

    assert receipt["state"] == "current"
    assert len(line.keys) == 4
    assert len(set(line.keys)) == 1
    assert len(world.bridge.list_records(Sought()).rows) == 1


def test_a_signed_message_is_signed_anew_for_each_try_under_one_id(
    world: World, line: Line, url: str
) -> None:
    world.clock.jump(SystemClock().now() - world.clock.now())
    hook = Client(url, webhook_secret=world.bridge.add_source("clinic", None, actor="test"))
    line.troubles = [(503, False), (504, True)]

    done = hook.send_signed(a_short_visit())
    again = hook.send_signed(a_short_visit(), message_id=line.keys[-1])

    assert (done["accepted"], done["refused"]) == (1, 0)
    assert again == done
    assert len(set(line.keys)) == 1


def test_lists_go_on_over_all_pages(client: Client) -> None:
    ids = {client.send(a_short_visit(patient=f"pt-{number}"))["id"] for number in range(5)}

    walked = [one["id"] for one in client.sessions(limit="2", state="current")]

    assert (len(walked), set(walked)) == (5, ids)
    assert list(client.events()) == []


def test_digits_are_kept_and_a_float_is_not_sent(world: World, client: Client) -> None:
    visit = amended(a_short_visit())
    visit["vitals"][0]["heart_rate"]["value"] = Decimal("72.50")
    receipt = client.send(visit)

    stored = world.bridge.record(receipt["id"], actor="test")

    assert stored is not None
    assert b"72.50" in codec.encode(stored["resources"])
    with pytest.raises(TypeError, match="Decimal"):
        client.send({"dose": 72.5})


def test_where_nobody_answers_that_is_said() -> None:
    nobody = Client("http://127.0.0.1:1", "secret-token", tries=1)

    with pytest.raises(NoAnswerError) as silent:
        nobody.send(a_short_visit())

    assert "secret-token" not in str(silent.value)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed(line: Line, client: Client, status: int) -> None:
    line.troubles = [(status, False)]

    with pytest.raises(ProblemError) as refused:
        client.send(a_short_visit())

    assert refused.value.status == status
    assert len(line.keys) == 1


@pytest.mark.parametrize(
    "url", ["http://bridge.example.org", "ftp://localhost", "bridge.example.org", ""]
)
def test_a_token_goes_over_no_open_line(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Client(url, "token")
