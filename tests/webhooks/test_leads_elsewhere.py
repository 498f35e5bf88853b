"""R48, S08: a name that leads inside is never connected to, whenever it does so."""

from datetime import timedelta

import pytest

from tests.egress.fake_resolver import FakeResolver
from tests.egress.test_networks import LOOPBACK, NEVER, NOT_PUBLIC
from tests.webhooks.receiving import HERE, Receiver, Telling

INSIDE = [*LOOPBACK, *NEVER, *NOT_PUBLIC]
PUBLIC = "1.1.1.1"


def test_r48_no_name_that_leads_inside_is_connected_to_when_sent_to_or_replayed() -> None:
    receiver = Receiver()  # where 127.0.0.1 would lead
    port = receiver.server.port
    half = len(INSIDE) // 2
    sent, replayed = INSIDE[:half], [f"{PUBLIC} {one}" for one in INSIDE[half:]]
    resolver = FakeResolver(*sent, *replayed)
    telling = Telling(resolver=resolver)
    telling.add("clinic", f"https://hooks.example.org:{port}/", networks=())
    since = telling.clock.now()
    telling.happen(*("k1" for _ in sent))
    telling.clock.advance(timedelta(seconds=1))

    telling.post()
    until = telling.clock.now()
    telling.bridge.webhooks.replay_range("clinic", since, until, actor="test")
    telling.post()

    reasons = [one["reason"] for one in telling.tries()]
    assert len(reasons) == len(resolver.asked) == 2 * half >= 60
    assert all(one.startswith("policy: ") for one in reasons)
    assert (receiver.server.connections, receiver.seen) == (0, [])
    receiver.server.close()


@pytest.mark.parametrize("networks", [(), ("10.0.0.0/8",)])
def test_r48_after_a_change_of_its_name_nothing_more_goes_there(networks: tuple[str, ...]) -> None:
    receiver = Receiver()
    resolver = FakeResolver("127.0.0.1", "169.254.169.254")
    telling = Telling(resolver=resolver)
    telling.add("clinic", f"http://localhost:{receiver.server.port}/", networks=[*HERE, *networks])
    telling.happens()
    assert telling.post() == 1

    receiver.server.close()  # or the open connection would be used
    telling.clock.advance(timedelta(seconds=1))
    telling.happens()
    telling.post()

    assert len(receiver.seen) == 1
    (_, last) = telling.tries()
    assert last["outcome"] == "failed"


def test_r48_a_private_network_is_reached_where_it_was_named_and_that_is_noted() -> None:
    receiver = Receiver()
    telling = Telling()

    telling.add("clinic", receiver.url, networks=HERE)
    telling.happens()
    telling.post()

    assert len(receiver.seen) == 1
    (row,) = telling.evidence("webhook.endpoint-added")
    assert '"networks":["127.0.0.0/8"]' in row.detail
    assert f'"host":"127.0.0.1:{receiver.server.port}"' in row.detail
    receiver.server.close()
