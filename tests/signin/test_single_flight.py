"""R28: one refresh for all workers of all processes; a rotation of keys loses no request."""

import threading
from collections.abc import Callable
from datetime import timedelta

from joserfc import jws

from fhirbridge.egress.exchange import NotSent, Response, Unknown
from tests.signin.conftest import MakeGround
from tests.signin.far_side import SmartEhr
from tests.signin.ground import Ground

Ask = Callable[[], Response | NotSent | Unknown]


def at_once(asks: list[Ask]) -> list[Response | NotSent | Unknown]:
    """Do all in threads that begin together."""
    start = threading.Barrier(len(asks))
    found: list[Response | NotSent | Unknown] = []

    def work(ask: Ask) -> None:
        start.wait()
        found.append(ask())

    threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def statuses(found: list[Response | NotSent | Unknown]) -> list[int]:
    return [one.status if isinstance(one, Response) else 0 for one in found]


def test_r28_fifty_workers_at_the_end_of_a_token_make_one_token_call(
    ehr: SmartEhr, ground: Ground
) -> None:
    ground.status()
    ground.clock.ahead = timedelta(hours=2)

    found = at_once([ground.ask] * 50)

    assert statuses(found) == [200] * 50
    assert ehr.calls == 2


def test_r28_two_processes_that_both_need_a_token_make_one_token_call(
    ehr: SmartEhr, ground: Ground, make_ground: MakeGround
) -> None:
    other = make_ground()

    found = at_once([ground.ask, other.ask] * 4)

    assert statuses(found) == [200] * 8
    assert ehr.calls == 1


def test_r28_who_dies_while_fetching_holds_the_others_up_for_a_lease_at_most(
    ehr: SmartEhr, ground: Ground, make_ground: MakeGround
) -> None:
    other = make_ground()
    with ground.store.read() as tx:
        kept = ground.book.find(tx, "ehr")
    assert kept is not None
    ground.rooms.tokens._lease(kept, 0)

    other.clock.ahead = timedelta(seconds=21)

    assert other.status() == 200
    assert ehr.calls == 1


def test_r28_many_that_are_refused_at_once_renew_once(ehr: SmartEhr, ground: Ground) -> None:
    ground.status()
    ground.clock.ahead = timedelta(minutes=2)
    ehr.good.clear()

    found = at_once([ground.ask] * 12)

    assert statuses(found) == [200] * 12
    assert ehr.calls == 2


def test_r28_a_rotation_under_load_fails_no_request(ehr: SmartEhr, ground: Ground) -> None:
    results: list[int] = []
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            results.extend(statuses([ground.ask()]))

    def meanwhile(passes: timedelta) -> None:
        """Let the load go on, past the end of the token."""
        ground.clock.ahead += passes
        before = len(results)
        while len(results) < before + 6 and len(set(results)) < 2:
            ground.clock.sleep(0.01)

    def they_read_our_keys() -> None:
        with ground.store.read() as tx:
            ehr.knows = {one["kid"] for one in ground.keys.published(tx)["keys"]}

    they_read_our_keys()
    assert ehr.knows is not None
    (old,) = ehr.knows
    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        new = ground.new_key().kid
        meanwhile(timedelta(hours=23))  # they still have yesterday's list
        they_read_our_keys()
        meanwhile(timedelta(hours=1, seconds=1))
        ground.use(new)
        meanwhile(timedelta(hours=2))
        ground.retire(old)
        they_read_our_keys()
        meanwhile(timedelta(hours=2))
    finally:
        over.set()
        for thread in threads:
            thread.join()

    assert set(results) == {200}
    signed_by = [header_of(one)["kid"] for one in ehr.assertions]
    assert signed_by == sorted(signed_by, key=[old, new].index)
    assert set(signed_by) == {old, new}


def header_of(assertion: str) -> dict[str, str]:
    return dict(jws.extract_compact(assertion.encode()).headers())
