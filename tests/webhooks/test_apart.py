"""R52: one that hangs holds up nobody else, and no delivery to an EHR."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from fhirbridge.clock import SystemClock
from fhirbridge.webhooks.posting import Posting
from tests.egress.fake_server import Talk
from tests.factories import a_short_visit
from tests.webhooks.receiving import Receiver, Telling

MANY = 20


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it, for half a minute at most."""
    clock = SystemClock()
    end = clock.monotonic() + 30
    while not is_so():
        assert clock.monotonic() < end
        clock.sleep(0.02)


def looked(posting: Posting, receivers: Sequence[Receiver], count: int) -> bool:
    """Look once more; say whether each of these has as many messages."""
    posting.look()
    return all(len(one.seen) >= count for one in receivers)


def test_r52_nineteen_are_told_and_the_ehr_gets_its_deliveries_while_one_hangs(
    tmp_path: Path,
) -> None:
    receivers = [Receiver() for _ in range(MANY)]
    let_go = Event()

    def hang(talk: Talk) -> None:
        let_go.wait(30)
        talk.hang_up()

    receivers[0].always = hang
    telling = Telling(url=f"sqlite:///{tmp_path / 'told.db'}")
    telling.connect()
    for number, receiver in enumerate(receivers):
        telling.add(f"clinic {number}", receiver.url)
    posting = telling.bridge.webhooks.posting()
    for number in range(1, 4):
        telling.take(a_short_visit(number))
        posting.look()

    try:
        happened = telling.bridge.events(0).last
        until(lambda: looked(posting, receivers[1:], happened))
        assert set(telling.states()) == {"delivered"}
        assert len(receivers[0].seen) == 1
        assert not let_go.is_set()
    finally:
        let_go.set()
        posting.stop(30)
        for one in receivers:
            one.server.close()
    assert all(len(set(one.ids)) == happened for one in receivers[1:])
