"""R46, P1: a real process that sends is killed -9 at any boundary; another one goes on."""

import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.bridge import Bridge
from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Kind
from fhirbridge.webhooks import owed, sender
from fhirbridge.webhooks.endpoints import New
from tests.egress.fake_server import Talk
from tests.journey.installation import Installation, install
from tests.journey.kill_points import NEVER, Boundaries, killed
from tests.webhooks.receiving import HERE, Receiver, verified

EVENTS = 2


@dataclass
class Sending:
    """An installation that owes an endpoint some messages; each run has a copy of it."""

    folder: Path
    made: Installation
    receiver: Receiver
    secret: str = ""
    ids: list[str] = field(default_factory=list)

    def copy(self, name: str) -> Installation:
        self.receiver.seen.clear()
        return self.made.copy(self.folder / name, tenant="main")

    def run(self, home: Installation, place: int) -> bool:
        """Send all in a process of its own that dies at this boundary; say whether it did."""
        return killed(partial(self._work, home, place))

    def again(self, home: Installation) -> list[dict[str, Any]]:
        """Send what is owed still, once its lease ended; return the tries, the oldest first."""
        home.clock.ahead = owed.LEASE
        with home.bridge() as bridge:
            post(bridge)
            return bridge.webhooks.attempts("clinic")[::-1]

    def passed(self, home: Installation) -> list[str]:
        return (home.settings.home / "passed").read_text().splitlines()

    def _work(self, home: Installation, place: int) -> None:
        with home.bridge() as bridge:
            boundaries = Boundaries(place)
            boundaries.watch(bridge)
            post(bridge)
        (home.settings.home / "passed").write_text("\n".join(boundaries.passed))


def post(bridge: Bridge) -> None:
    rooms = bridge._webhook_rooms()
    sender.prepare(rooms)
    for one in sender.ready(rooms):
        sender.send_due(rooms, one, lambda: True)


@pytest.fixture
def sending(tmp_path: Path, receiver: Receiver) -> Sending:
    made = Sending(tmp_path, install(tmp_path / "made"), receiver)
    with made.made.bridge() as bridge:
        new = New(name="clinic", url=receiver.url, networks=HERE)
        made.secret = bridge.webhooks.add(new, actor="test")
        for number in range(EVENTS):
            told = Event(kind=Kind.DELIVERY_HELD, destination="", patient=f"k{number}")
            with bridge._store.begin() as tx:
                events.append(tx, bridge._parts.rng, told, at=bridge.clock.now())
        made.ids = [one["id"] for one in bridge.events(0).events]
    return made


def test_r46_p01_killed_at_any_boundary_nothing_is_lost_and_what_goes_again_has_its_id(
    sending: Sending,
) -> None:
    whole = sending.copy("whole")
    assert not sending.run(whole, NEVER)
    # What a transaction says before its commit is as if it had not been said.
    places = [
        number
        for number, name in enumerate(sending.passed(whole), 1)
        if not name.startswith("statement")
    ]
    twice: Counter[int] = Counter()

    for place in places:
        home = sending.copy(f"run-{place}")
        assert sending.run(home, place)
        tries = sending.again(home)

        seen = sending.receiver.ids
        assert list(dict.fromkeys(seen)) == sending.ids, place
        twice[len(seen) - len(set(seen))] += 1
        # Each that was sent is in the log, and one that was about to be.
        assert not Counter(seen) - Counter(one["message"] for one in tries), place
        ended = Counter(one["message"] for one in tries if one["outcome"] == "delivered")
        assert ended == dict.fromkeys(sending.ids, 1), place
        assert {one["outcome"] for one in tries} <= {"begun", "delivered"}

    assert set(twice) == {0, 1}
    assert len(places) > 15


def test_r46_killed_while_the_receiver_has_it_the_receiver_can_tell_and_the_log_shows_both(
    sending: Sending,
) -> None:
    home = sending.copy("one")
    child: list[int] = []

    def kill_who_sends(talk: Talk) -> None:
        (pid,) = child
        os.kill(pid, signal.SIGKILL)
        talk.hang_up()

    sending.receiver.orders = [kill_who_sends]
    child.append(os.fork())
    if not child[0]:
        with home.bridge() as bridge:
            post(bridge)
        os._exit(0)
    _, status = os.waitpid(child[0], 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    tries = sending.again(home)

    first, again, _ = sending.receiver.seen
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == sending.ids[0]
    assert verified(first, sending.secret) == verified(again, sending.secret)
    of_it = [one for one in tries if one["message"] == sending.ids[0]]
    assert [(one["outcome"], one["number"]) for one in of_it] == [("begun", 1), ("delivered", 1)]
    signed = [str(one["signed_at"]) for one in of_it]
    assert signed == [one.headers["webhook-timestamp"] for one in (first, again)]
