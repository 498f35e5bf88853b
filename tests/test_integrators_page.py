"""What docs/integrators.md shows does what it says: its lines and programs are run as they are."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fhirbridge import settings
from fhirbridge.access.tokens import Role
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.web.app import create_app
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings
from tests.served import served
from tests.source_rules import ROOT
from tests.web.service import MOST_BYTES

PAGE = (ROOT / "docs" / "integrators.md").read_text()
SHOWN_AT = "http://127.0.0.1:8350"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = [text for kind, text in BLOCKS if not kind and "curl" in text]
PROGRAMS = [text for kind, text in BLOCKS if kind == "python"]


class Place:
    """A folder with a record, a token and a secret, and a service that knows them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.world = World(url=f"sqlite:///{folder / 'test.db'}", mapped=few_mappings)
        self.world.clock.jump(SystemClock().now() - self.world.clock.now())
        self.world.connect()
        make = self.world.bridge.make_token
        self.token = make(name="clinic", role=Role.INTEGRATOR, actor="test")
        self.secret = self.world.bridge.add_source("clinic system", None, actor="test")
        app = create_app(self.world.bridge, most_bytes=MOST_BYTES)
        self.url = stack.enter_context(served(app))
        (folder / "visit.json").write_bytes(codec.encode(a_short_visit()))
        (folder / "backlog.ndjson").write_bytes(codec.encode(a_short_visit()) + b"\n")
        (folder / "secret.txt").write_text(self.secret)

    def run(self, *lines: str) -> None:
        script = "\n".join(lines).replace(SHOWN_AT, self.url).replace("curl ", "curl -sS ")
        subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**settings.foreign_environment(), "TOKEN": self.token},
            check=True,
            capture_output=True,
        )

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        made = Place(tmp_path, stack)
        yield made
        made.world.store.close()


def test_the_page_shows_what_is_run_here() -> None:
    assert len(LINES) == 4
    assert len(PROGRAMS) == 2


def test_a_message_is_signed_and_sent_by_hand(place: Place) -> None:
    (by_hand,) = [text for text in LINES if "openssl dgst" in text]

    place.run(by_hand)

    (row,) = place.world.evidence("record.accepted")
    assert row.actor == "webhook:clinic system"


def test_a_record_is_sent_and_followed_line_by_line(place: Place) -> None:
    sent, followed = [text for text in LINES if "$TOKEN" in text and "backlog" not in text]

    place.run(sent, followed)

    assert codec.decode(place.read("receipt.json"))["state"] == "current"
    assert codec.decode(place.read("deliveries.json"))["deliveries"]
    assert codec.decode(place.read("record.json"))["state"] == "current"
    assert place.read("status.txt") == b"304"


def test_a_backlog_is_sent(place: Place) -> None:
    (backlog,) = [text for text in LINES if "backlog" in text]

    place.run(backlog)

    last = codec.decode(place.read("results.ndjson").splitlines()[-1])
    assert (last["line"], last["state"], last["detail"]) == (1, "complete", "")


def test_the_program_sends_and_follows(place: Place) -> None:
    event = {
        "type": "session.recorded",
        "timestamp": "2026-03-03T09:00:00Z",
        "data": a_short_visit(2),
    }
    known = {
        "token": place.token,
        "secret": place.secret,
        "record": a_short_visit(),
        "event": event,
        "last_seen": 0,
    }
    text = "\n".join(PROGRAMS).replace(SHOWN_AT, place.url).replace("seconds=600", "seconds=0")

    exec(compile(text, "docs/integrators.md", "exec"), known)

    told: object = known["done"]
    assert isinstance(told, dict)
    assert told["accepted"] == 1
    assert len(place.world.evidence("record.accepted")) == 2
