"""R52 with its full number: of a hundred endpoints one hangs, and the others' p95 stays."""

import statistics
from collections.abc import Callable
from pathlib import Path
from threading import Event

from fhirbridge.clock import SystemClock
from fhirbridge.webhooks.endpoints import MOST
from tests.egress.fake_server import Step, Talk
from tests.webhooks.receiving import TAKEN, Receiver, Telling
from tests.webhooks.test_apart import until

ROUNDS = 15  # of each kind, in turn: what else the machine does is in both
EVENTS = 5  # of a round
HANGS = 30.0  # seconds, unless a round ends before
MOST_CHANGE = 0.10

CLOCK = SystemClock()


def test_r52_of_a_hundred_one_hangs_and_the_others_p95_stays(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    receivers = [Receiver() for _ in range(MOST)]
    telling = Telling(url=f"sqlite:///{tmp_path / 'told.db'}")
    for number, one in enumerate(receivers):
        telling.add(f"clinic {number}", one.url)
    posting = telling.bridge.webhooks.posting()
    found: dict[bool, list[float]] = {True: [], False: []}

    def rounds(hangs: bool) -> float:  # noqa: FBT001
        """Let something happen; return the p95, over the others, of the time until it was told."""
        let_go, arrived = Event(), list[float]()
        receivers[0].always = hanging(let_go) if hangs else 200
        for one in receivers[1:]:
            one.always = taking(arrived)
        told = EVENTS * (MOST - 1)
        began = CLOCK.monotonic()
        telling.happen(*(f"k{number}" for number in range(EVENTS)))
        until(lambda: looked(arrived, told))
        assert not let_go.is_set()
        let_go.set()
        until(lambda: not any(hand.is_alive() for hand in posting._hands.values()))
        assert len(arrived) == told
        return statistics.quantiles((at - began for at in arrived), n=20)[-1]

    def looked(arrived: list[float], told: int) -> bool:
        posting.look()
        return len(arrived) >= told

    try:
        rounds(hangs=False)  # opens the connections
        for _ in range(ROUNDS):
            for hangs in (False, True):
                found[hangs].append(rounds(hangs))
    finally:
        posting.stop(HANGS)
        for one in receivers:
            one.server.close()
        telling.store.close()

    alone, beside = (statistics.median(found[hangs]) for hangs in (False, True))
    change = beside / alone - 1
    say(
        f"R52: {MOST} endpoints, {ROUNDS} rounds of {EVENTS} messages to each: p95 of the others "
        f"{alone * 1000:.0f} ms, {beside * 1000:.0f} ms while one hangs ({change:+.1%})"
    )
    assert change < MOST_CHANGE


def taking(arrived: list[float]) -> Step:
    """Take it, and note when it came."""

    def step(talk: Talk) -> None:
        arrived.append(CLOCK.monotonic())
        talk.say(TAKEN)

    return step


def hanging(let_go: Event) -> Step:
    """Say nothing for as long as it may hang, and then nothing either."""

    def step(talk: Talk) -> None:
        let_go.wait(HANGS)
        talk.hang_up()

    return step
