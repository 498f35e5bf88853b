"""O29: what an answer means for its message and for its endpoint."""

from datetime import timedelta

import pytest

from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.webhooks import decide
from fhirbridge.webhooks.decide import FAILING, GONE, Judged, Outcome, State
from tests.fakes import START

DAYS = timedelta(days=1)
FAILED = Judged(outcome=Outcome.FAILED, status=500)


def answer(status: int, **headers: str) -> Response:
    return Response(status=status, headers=headers, body=b"")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_o29_only_2xx_is_taken(status: int) -> None:
    assert decide.judge(answer(status), START).outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    "status", [199, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 422, 429, 500, 503, 599]
)
def test_o29_everything_else_is_tried_again_also_where_it_points_elsewhere(status: int) -> None:
    judged = decide.judge(answer(status, location="http://169.254.169.254/"), START)

    assert judged.outcome is Outcome.FAILED
    assert judged.reason.startswith(f"answered {status}")


@pytest.mark.parametrize("lost", [NotSent(reason="dns: timeout"), Unknown(reason="read: timeout")])
def test_o29_no_answer_is_tried_again(lost: NotSent | Unknown) -> None:
    assert decide.judge(lost, START) == Judged(outcome=Outcome.FAILED, status=0, reason=lost.reason)


def test_r45_410_disables_at_once_and_what_was_not_taken_waits() -> None:
    then = decide.follow(
        decide.judge(answer(410), START), made=1, failing_since=None, now=START, jitter=0.5
    )

    assert (then.disabled, then.state) == (GONE, State.WAITING)


@pytest.mark.parametrize(
    ("days", "disabled"), [(None, ""), (0, ""), (4.99, ""), (5, FAILING), (50, FAILING)]
)
def test_r49_five_days_of_nothing_but_failures_disable(days: float | None, disabled: str) -> None:
    since = None if days is None else START - days * DAYS

    then = decide.follow(FAILED, made=3, failing_since=since, now=START, jitter=0.5)

    assert then.disabled == disabled
    assert then.failing_since == (since or START)


def test_r49_one_success_begins_the_count_anew() -> None:
    taken = decide.judge(answer(200), START)

    then = decide.follow(taken, made=9, failing_since=START - 9 * DAYS, now=START, jitter=0.5)

    assert (then.disabled, then.failing_since, then.state) == ("", None, State.DELIVERED)


def test_r45_after_the_tenth_try_it_is_given_up() -> None:
    states = [
        decide.follow(FAILED, made=made, failing_since=None, now=START, jitter=0.5).state
        for made in range(1, 11)
    ]

    assert states == [State.WAITING] * 9 + [State.GIVEN_UP]


def test_r45_who_asks_for_a_pause_is_left_alone_as_a_whole() -> None:
    judged = decide.judge(answer(429, **{"retry-after": "3600"}), START)

    then = decide.follow(judged, made=1, failing_since=None, now=START, jitter=0.5)

    assert then.quiet_until == then.due_at == START + timedelta(hours=1)
