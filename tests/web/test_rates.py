"""I19: a caller that asks too often is told so, and when to come back; others are not touched."""

from datetime import timedelta

import pytest

from fhirbridge.access.rates import BURST_SECONDS, Rates, TooOftenError
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.web.app import create_app
from tests.fakes import FrozenClock
from tests.records.visits import a_visit
from tests.web.sending import Sender
from tests.web.service import MOST_BYTES, Service

A_SECOND = timedelta(seconds=1)


def granted(rates: Rates, caller: str, times: int) -> int:
    """Ask so often; return how many were let through."""
    count = 0
    for _ in range(times):
        try:
            rates.count(caller)
        except TooOftenError:
            continue
        count += 1
    return count


@pytest.mark.parametrize("per_second", [1, 5, 50])
def test_i19_a_burst_of_ten_seconds_goes_through_and_then_the_rate(per_second: int) -> None:
    clock = FrozenClock()
    rates = Rates(clock, per_second)

    first = granted(rates, "a", 100 * per_second)
    clock.advance(A_SECOND)
    after_a_second = granted(rates, "a", 100 * per_second)
    clock.advance(1000 * A_SECOND)
    rested = granted(rates, "a", 100 * per_second)

    full = BURST_SECONDS * per_second
    assert (first, after_a_second, rested) == (full, per_second, full)


def test_one_caller_takes_nothing_from_another() -> None:
    rates = Rates(FrozenClock(), 1)
    granted(rates, "a", 100)

    assert granted(rates, "b", 100) == BURST_SECONDS


def test_who_is_refused_is_told_when_one_more_goes_through() -> None:
    clock = FrozenClock()
    rates = Rates(clock, 2)
    granted(rates, "a", 100)

    with pytest.raises(TooOftenError) as refused:
        rates.count("a")
    clock.advance(refused.value.seconds * A_SECOND)

    assert refused.value.seconds == 1
    assert granted(rates, "a", 1) == 1


def test_without_a_limit_nothing_is_counted() -> None:
    assert granted(Rates(FrozenClock(), 0), "a", 10_000) == 10_000


def test_a_clock_that_is_set_back_gives_nothing_away() -> None:
    clock = FrozenClock()
    rates = Rates(clock, 1)
    granted(rates, "a", 100)

    clock.jump(1000 * A_SECOND)
    clock.jump(-2000 * A_SECOND)

    assert granted(rates, "a", 100) == 0


def test_i19_of_a_hundredfold_burst_what_was_acknowledged_is_there_and_the_rest_is_told_when(
    service: Service,
) -> None:
    service.bridge.clock = FrozenClock(SystemClock().now())
    service.app = create_app(service.bridge, most_bytes=MOST_BYTES, requests_per_second=1)
    sender = Sender(service)
    visits = [codec.encode(a_visit(session_id=f"s-{number}")) for number in range(20)]
    signed = [(body, sender.headers(body, f"m-{n}")) for n, body in enumerate(visits)]

    answers = [sender.post(*one) for one in signed + signed * 4]

    accepted = [one for one in answers if one.status_code == 202]
    refused = [one for one in answers if one.status_code == 429]
    assert (len(accepted), len(refused)) == (BURST_SECONDS, 100 - BURST_SECONDS)
    ids = {codec.decode(one.data)["items"][0]["id"] for one in accepted}
    assert service.stored() == len(ids)
    assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
    assert {codec.decode(one.data)["code"] for one in refused} == {"E922"}
