"""The decisions of signing in, as tables: no clock, no database, no network."""

from datetime import timedelta

import pytest

from fhirbridge.egress.exchange import Request, Response
from fhirbridge.ehr import probe
from fhirbridge.fhir import codec
from fhirbridge.signin import diagnosis, grant, methods, scopes, turns
from fhirbridge.signin.methods import Change, Method, Secrets, SignIn
from fhirbridge.signin.turns import Do, Standing
from tests.fakes import START

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
GOOD = Standing(
    has_token=True,
    issued_at=START,
    refresh_at=START + 4 * MINUTE,
    expires_at=START + 5 * MINUTE,
)
TWICE = (START - MINUTE, START - 2 * MINUTE)


@pytest.mark.parametrize(
    ("known", "after", "what"),
    [
        (Standing(), 0 * SECOND, Do.FETCH),
        (GOOD, 0 * SECOND, Do.USE),
        (GOOD, 4 * MINUTE, Do.FETCH),
        (GOOD, 5 * MINUTE, Do.FETCH),
        (GOOD, -2 * MINUTE, Do.FETCH),  # our clock went back
        (Standing(leased_until=START + 10 * SECOND), 0 * SECOND, Do.WAIT),
        (Standing(leased_until=START + 10 * SECOND), 10 * SECOND, Do.FETCH),
        (Standing(leased_until=START + MINUTE), 0 * SECOND, Do.FETCH),  # and a lease from then
        (Standing(quiet_until=START + 10 * SECOND), 0 * SECOND, Do.LATER),
        (Standing(quiet_until=START + 10 * SECOND), 11 * SECOND, Do.FETCH),
        (Standing(refused=TWICE[:1]), 0 * SECOND, Do.FETCH),
        (Standing(refused=TWICE), 0 * SECOND, Do.STOP),
        (Standing(refused=TWICE), 3 * MINUTE, Do.FETCH),
        (Standing(refused=TWICE), -3 * MINUTE, Do.FETCH),
    ],
)
def test_what_to_do_for_a_request(known: Standing, after: timedelta, what: Do) -> None:
    assert turns.decide(known, START + after) is what


@pytest.mark.parametrize(
    ("life", "after"), [(3600, 2880), (300, 240), (100, 70), (60, 30), (20, 10)]
)
def test_a1_the_next_token_is_fetched_at_four_fifths_or_thirty_seconds_before_the_end(
    life: int, after: int
) -> None:
    assert grant.refresh_after(life * SECOND) == after * SECOND


BASE = "https://ehr.example/fhir"
BUNDLE = codec.encode(
    {"entry": [{"request": {"method": m, "url": u}} for m, u in [("PUT", "Goal/1"), ("GET", "X")]]}
)


@pytest.mark.parametrize(
    ("method", "below", "body", "granted", "missing"),
    [
        ("PUT", "/Goal/1", b"{}", "system/*.read", "system/Goal.write"),
        ("PUT", "/Goal/1", b"{}", "system/*.rs", "system/Goal.u"),
        ("PUT", "/Goal/1", b"{}", "system/Goal.cruds?code=x", ""),
        ("GET", "/Goal/1", None, "system/Patient.read", "system/Goal.read"),
        ("POST", "/Goal/_search", b"a=b", "system/Goal.r", "system/Goal.s"),
        ("POST", "", BUNDLE, "system/Patient.*", "system/Goal.write"),
        ("POST", "", b"no JSON", "system/Patient.*", ""),
        ("GET", "/metadata", None, "openid launch", ""),
    ],
)
def test_a8_the_scope_that_a_request_lacks(
    method: str, below: str, body: bytes | None, granted: str, missing: str
) -> None:
    request = Request(method=method, url=BASE + below, headers={}, body=body)

    found = scopes.missing(request, BASE, Response(status=403, headers={}, body=b""), granted)

    assert found == missing


def test_a_narrower_grant_is_seen_and_a_wider_one_is_none() -> None:
    asked = "system/Patient.read system/Goal.write openid"

    assert scopes.not_granted(asked, "system/*.read openid") == ("system/Goal.write",)
    assert scopes.not_granted(asked, "system/*.* openid") == ()


@pytest.mark.parametrize(
    ("tested", "step", "words"),
    [
        (
            probe.Tested(answers=False, why="dns: no such name"),
            "address",
            "no machine has this name",
        ),
        (probe.Tested(answers=False, why="connect: refused"), "connection", "nothing listens"),
        (probe.Tested(answers=False, why="proxy: answered 407"), "connection", "407"),
        (probe.Tested(answers=False, why="tls: unknown issuer"), "TLS", "not trusted here"),
        (
            probe.Tested(answers=False, why="tls: client certificate wanted"),
            "sign-in",
            "certificate",
        ),
        (probe.Tested(answers=False, why="sign-in: no more"), "sign-in", "no more"),
        (probe.Tested(answers=True, signed_in=False, status=401, reason="r"), "sign-in", "r"),
        (probe.Tested(answers=True, signed_in=False, status=403, reason="r"), "access", "r"),
        (
            probe.Tested(answers=True, signed_in=True, server_time=START - 5 * MINUTE),
            "clock",
            "5 minutes ahead of the EHR's",
        ),
    ],
)
def test_a_test_names_the_one_step_that_fails(tested: probe.Tested, step: str, words: str) -> None:
    (wrong,) = [one for one in diagnosis.steps(tested, START) if one.good is False]

    assert (wrong.name, words in wrong.found, bool(wrong.next)) == (step, True, True)


@pytest.mark.parametrize(
    ("settings", "secrets", "missing"),
    [
        (SignIn(), Secrets(), "a way to sign in"),
        (SignIn(open_allowed=True), Secrets(), ""),
        (SignIn(certificate="c"), Secrets(), "the key of our certificate"),
        (SignIn(certificate="c"), Secrets(key="k"), ""),
        (SignIn(method=Method.BEARER), Secrets(), "the token"),
        (SignIn(method=Method.BASIC, client="u"), Secrets(), "the password"),
        (SignIn(method=Method.SMART, client="u"), Secrets(), "the scopes"),
        (SignIn(method=Method.SMART, client="u", scopes="s"), Secrets(), "a key that signs"),
    ],
)
def test_what_is_missing_is_named(settings: SignIn, secrets: Secrets, missing: str) -> None:
    found = methods.lacking(settings, secrets, BASE, signs=False)

    assert found.startswith(missing)
    assert bool(found) is bool(missing)


def test_s20_another_method_or_certificate_keeps_no_secret_of_the_one_before() -> None:
    before = SignIn(method=Method.BEARER), Secrets(secret="s", key="k")

    settings, secrets = Change(method=Method.BASIC, certificate="c").applied(*before)

    assert (settings.method, secrets.secret, secrets.key) == (Method.BASIC, "", "")
    assert "s" not in repr(before[1]).removeprefix("Secrets")
