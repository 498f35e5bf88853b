"""R46, S39: two processes send webhooks out of one PostgreSQL: each message once, in order."""

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from threading import Event as Gate

import pytest

from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Kind
from fhirbridge.webhooks.endpoints import New
from tests.journey.installation import install
from tests.postgres.server import Server
from tests.postgres.test_workers import workers
from tests.webhooks.receiving import HERE, Receiver

pytestmark = pytest.mark.postgres

ENDPOINTS = 3
ROUNDS = 2
EVENTS = 30  # of a round
SECONDS = 60


def until(receivers: list[Receiver], count: int, log: Path) -> None:
    end = time.monotonic() + SECONDS  # noqa: TID251  real processes
    while any(len(one.seen) < count for one in receivers):
        assert time.monotonic() < end, log.read_text()  # noqa: TID251
        Gate().wait(0.05)


def test_r46_s39_two_workers_send_each_message_once_and_in_order(
    tmp_path: Path, postgres: Server, written_mappings: Path
) -> None:
    url = postgres.database(made=False)
    made = install(tmp_path / "home", mappings=written_mappings, database_url=url)
    with ExitStack() as stack:
        stack.callback(postgres.drop, url)
        receivers = [Receiver() for _ in range(ENDPOINTS)]
        for one in receivers:
            stack.callback(one.server.close)
        bridge = stack.enter_context(made.bridge())
        for number, one in enumerate(receivers):
            new = New(name=f"clinic {number}", url=one.url, networks=HERE)
            bridge.webhooks.add(new, actor="test")
        two = stack.enter_context(workers(made.settings, 2))

        for round_ in range(1, ROUNDS + 1):
            for number in range(EVENTS):
                told = Event(kind=Kind.DELIVERY_HELD, destination="", patient=f"k{number % 3}")
                with bridge._store.begin() as tx:
                    events.wait(tx, told, at=bridge.clock.now())
            until(receivers, round_ * EVENTS, made.settings.home / "said")
        for process in two:
            process.terminate()
        ended = [process.wait(SECONDS) for process in two]

        happened = [one["id"] for one in bridge.events(0).events]
        tries = [bridge.webhooks.attempts(f"clinic {n}", most=1000) for n in range(ENDPOINTS)]

    assert ended == [0, 0]
    assert len(happened) == ROUNDS * EVENTS
    assert [one.ids for one in receivers] == [happened] * ENDPOINTS
    for of_one in tries:
        assert Counter(one["outcome"] for one in of_one) == {"delivered": len(happened)}
