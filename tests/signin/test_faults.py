"""A1 to A8: what goes wrong between us, the EHR and those who give tokens for it."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from joserfc import jws

from fhirbridge.egress.exchange import NotSent, Response
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.signin.methods import Change
from tests.egress import fake_server
from tests.egress.conftest import Serve, serve, stack  # noqa: F401  fixtures
from tests.egress.fake_server import Step, http
from tests.signin.far_side import SmartEhr, json, refusal
from tests.signin.ground import CLIENT, SMART, Ground

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def claims_of(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    opened = jws.extract_compact(assertion.encode())
    return opened.headers(), codec.decode(opened.payload)


# --- A1 -----------------------------------------------------------------------------------------


def test_a1_a_token_is_fetched_once_and_used_until_four_fifths_of_its_life(
    ehr: SmartEhr, ground: Ground
) -> None:
    assert [ground.status() for _ in range(3)] == [200, 200, 200]
    ground.clock.ahead = 0.79 * HOUR
    ground.status()
    assert ehr.calls == 1

    ground.clock.ahead = 0.81 * HOUR
    ground.status()

    assert ehr.calls == 2
    assert ehr.requests()[-1].headers["authorization"] == "Bearer t-2"


def test_a1_a_token_that_ends_mid_flight_is_replaced_and_the_request_goes_once_more(
    ehr: SmartEhr, ground: Ground
) -> None:
    ground.status()
    ground.clock.ahead = 2 * MINUTE
    ehr.good.clear()

    assert ground.status() == 200

    brought = [one.headers["authorization"] for one in ehr.requests()]
    assert brought == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]
    assert ehr.calls == 2


@pytest.mark.parametrize(
    ("said", "still_used", "renewed"),
    [
        (0, 25, 45),
        (-5, 25, 45),
        (None, 230, 250),
        ("300", 230, 250),
        ("soon", 230, 250),
        (True, 230, 250),
        (10**9, 60_000, 80_000),
    ],
)
def test_a1_whatever_expires_in_says_one_token_serves_many_requests(
    ehr: SmartEhr, ground: Ground, said: Any, still_used: int, renewed: int
) -> None:
    ehr.expires_in = said
    for seconds in (0, 1, still_used):
        ground.clock.ahead = seconds * SECOND
        assert ground.status() == 200
    assert ehr.calls == 1

    ground.clock.ahead = renewed * SECOND
    assert ground.status() == 200

    assert ehr.calls == 2


def test_a1_while_a_token_is_good_a_failing_renewal_stops_nothing(
    ehr: SmartEhr, ground: Ground
) -> None:
    ground.status()
    ground.clock.ahead = 0.9 * HOUR
    ehr.token_answers = [http(b"", status="503 Busy")]

    assert [ground.status() for _ in range(3)] == [200, 200, 200]

    assert ehr.calls == 2  # the failed one is not repeated at once


# --- A2 -----------------------------------------------------------------------------------------


def test_a2_a_fresh_token_that_is_refused_costs_two_calls_in_five_minutes(
    ehr: SmartEhr, ground: Ground
) -> None:
    ehr.lets_in = False

    first = ground.ask()
    later = []
    for seconds in range(0, 290, 20):
        ground.clock.ahead = seconds * SECOND
        later.append(ground.ask())

    assert isinstance(first, Response)
    assert (first.status, first.note) == (401, "also with a fresh token; invalid_token")
    assert all(isinstance(one, NotSent) and one.refused for one in later)
    assert (ehr.calls, len(ehr.requests())) == (2, 2)
    ground.clock.ahead = 302 * SECOND
    ehr.lets_in = True
    assert ground.status() == 200


@pytest.mark.parametrize("error", ["invalid_client", "invalid_scope"])
def test_a2_a_refusal_is_asked_once_more_after_a_while_and_is_then_final(
    ehr: SmartEhr, ground: Ground, error: str
) -> None:
    ehr.token_answers = [refusal(error)] * 9

    first, at_once = ground.refused(), ground.refused()
    ground.clock.ahead = 40 * SECOND
    second = ground.refused()
    ground.clock.ahead = 4 * MINUTE
    third = ground.refused()

    words = f"sign-in: the token endpoint answered 400 ({error})"
    assert [first, at_once] == [NotSent(reason=words)] * 2
    assert second == NotSent(reason=words, refused=True)
    assert third.refused
    assert third.reason.startswith(f"{words}; 2 calls for a token came to nothing, the next")
    assert (ehr.calls, ehr.requests()) == (2, [])


# --- A3 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "words"), [(7, "7 minutes ahead of theirs"), (-12, "12 minutes behind theirs")]
)
def test_a3_a_refusal_names_how_far_our_clock_is_off(
    ehr: SmartEhr, ground: Ground, minutes: int, words: str
) -> None:
    theirs = f"Date: {format_datetime(ground.clock.now(), usegmt=True)}"
    ehr.token_answers = [refusal("invalid_client", theirs)]
    ground.clock.ahead = minutes * MINUTE

    assert ground.refused().reason.endswith(f"; this machine's clock is {words}: set it by NTP")


def test_a3_a_clock_that_is_right_is_not_blamed(ehr: SmartEhr, ground: Ground) -> None:
    theirs = f"Date: {format_datetime(ground.clock.now(), usegmt=True)}"
    ehr.token_answers = [refusal("invalid_client", theirs)]

    assert "clock" not in ground.refused().reason


# --- A4 -----------------------------------------------------------------------------------------


def test_a4_a_new_key_is_published_a_day_before_it_signs_and_the_old_one_stays_a_while(
    ehr: SmartEhr, ground: Ground
) -> None:
    def published() -> list[str]:
        with ground.store.read() as tx:
            return [one["kid"] for one in ground.keys.published(tx)["keys"]]

    def signer() -> str:
        ground.set(Change())  # forgets the token
        ground.status()
        return str(claims_of(ehr.assertions[-1])[0]["kid"])

    (old,) = published()
    new = ground.new_key().kid
    assert (sorted(published()), signer()) == (sorted([old, new]), old)

    with pytest.raises(BridgeError, match="may not be known to the EHR before"):
        ground.use(new)
    ground.clock.ahead = timedelta(hours=24, seconds=1)
    ground.use(new)
    assert (sorted(published()), signer()) == (sorted([old, new]), new)

    with pytest.raises(BridgeError, match="may be on its way until"):
        ground.retire(old)
    ground.clock.ahead += timedelta(minutes=11)
    ground.retire(old)
    assert (published(), signer()) == ([new], new)


# --- A6 -----------------------------------------------------------------------------------------

DOWN: dict[str, tuple[bytes | Step, str]] = {
    "HTML": (
        http(b"<html>Sign in</html>", "Content-Type: text/html"),
        "the token endpoint answered 200 with something that is not JSON",
    ),
    "down": (http(b"", status="502 Bad"), "the token endpoint answered 502"),
    "no answer": (
        fake_server.commit_then_drop,
        "the token endpoint gave no answer: answer: none came",
    ),
    "no token": (
        json({"token_type": "bearer"}),
        "the token endpoint answered 200 without a usable access_token",
    ),
    "header in it": (
        json({"token_type": "bearer", "access_token": "a\r\nX: y"}),
        "the token endpoint answered 200 without a usable access_token",
    ),
    "other type": (
        json({"token_type": "mac", "access_token": "a"}),
        "the token endpoint gave a token that is not of type bearer",
    ),
}


@pytest.mark.parametrize("kind", DOWN)
def test_a6_a_token_endpoint_that_fails_is_left_alone_for_a_while_and_nothing_is_sent(
    ehr: SmartEhr, ground: Ground, kind: str
) -> None:
    answer, words = DOWN[kind]
    ehr.token_answers = [answer]

    found = [ground.refused() for _ in range(3)]

    assert found == [NotSent(reason=f"sign-in: {words}")] * 3
    assert (ehr.calls, ehr.requests()) == (1, [])
    ground.clock.ahead = 16 * SECOND
    assert ground.status() == 200


def test_a6_a_redirect_is_not_followed_with_the_assertion(
    ehr: SmartEhr,
    ground: Ground,
    serve: Serve,  # noqa: F811
) -> None:
    trap = serve()
    ehr.token_answers = [fake_server.redirect(f"{trap.url}/token")]

    found = ground.refused()

    assert found.reason == (
        "sign-in: the token endpoint answered 307, a redirect, which is never followed"
    )
    assert trap.connections == 0


@pytest.mark.parametrize("where", ["port", "host", "scheme", "userinfo"])
def test_a6_the_assertion_goes_to_no_host_that_only_the_ehr_names(
    ehr: SmartEhr,
    ground: Ground,
    serve: Serve,  # noqa: F811
    where: str,
) -> None:
    trap = serve()
    named = {
        "port": f"{trap.url}/token",
        "host": "https://attacker.example/token",
        "scheme": "ftp://127.0.0.1/token",
        "userinfo": ehr.token_url.replace("//", "//a@"),
    }[where]
    ehr.configuration = json({"token_endpoint": named})

    found = ground.refused()

    assert "token endpoint" in found.reason
    assert (trap.connections, ehr.calls, ehr.requests()) == (0, 0, [])


def test_a6_an_administrator_may_name_the_token_endpoint(ehr: SmartEhr, ground: Ground) -> None:
    ehr.configuration = http(b"<html>", status="404 Not Found")
    assert "--token-url names the address" in ground.refused().reason

    ground.set(Change(token_url=ehr.token_url))

    assert ground.status() == 200
    assert claims_of(ehr.assertions[-1])[1]["aud"] == ehr.token_url


# --- A7 -----------------------------------------------------------------------------------------


def test_a7_each_attempt_has_an_assertion_of_its_own_that_lives_at_most_five_minutes(
    ehr: SmartEhr, ground: Ground
) -> None:
    ehr.token_answers = [http(b"", status="503 Busy"), fake_server.commit_then_drop]
    for minutes in range(3):
        ground.clock.ahead = minutes * MINUTE
        ground.ask()

    opened = [claims_of(one) for one in ehr.assertions]

    assert len({claims["jti"] for _, claims in opened}) == ehr.calls == 3
    for header, claims in opened:
        assert (header["alg"], header["typ"], len(header["kid"])) == ("ES384", "JWT", 43)
        assert claims.keys() == {"iss", "sub", "aud", "exp", "jti"}
        assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, CLIENT, ehr.token_url)
        assert 0 < claims["exp"] - ground.clock.now().timestamp() <= 300


# --- A8 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "header", "missing"),
    [
        ("system/Patient.read", "", "missing scope: system/Patient.write"),
        ("system/Patient.rs", "", "missing scope: system/Patient.u"),
        ("system/*.write", "", ""),
        (
            "system/*.*",
            'WWW-Authenticate: Bearer error="insufficient_scope", scope="system/Patient.cu"',
            "missing scope: system/Patient.cu",
        ),
    ],
)
def test_a8_a_403_names_the_scope_that_was_not_granted(
    ehr: SmartEhr, ground: Ground, granted: str, header: str, missing: str
) -> None:
    ehr.scope = granted
    ehr.fhir_answer = http(b"{}", *([header] if header else []), status="403 Forbidden")

    outcome = ground.put()

    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.note, ehr.calls) == (403, missing, 1)


def test_a_sign_in_that_is_set_anew_uses_no_earlier_token(ehr: SmartEhr, ground: Ground) -> None:
    ground.status()

    ground.set(SMART)

    assert ground.status() == 200
    assert ehr.calls == 2
