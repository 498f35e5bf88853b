"""S04: what is signed is what came, byte for byte; what other people's libraries sign is good."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from fhirbridge.access import signature
from fhirbridge.access.signature import NotSignedError
from fhirbridge.access.sources import read_secret
from tests.fakes import START

SECRET = "whsec_ZmhpcmJyaWRnZSB0ZXN0IHNlY3JldCwgbm9ib2R5J3M="  # nobody's
KEY = read_secret(SECRET)
AT = int(START.timestamp())
# Made by the npm package standardwebhooks 1.1.1: id, body, signature.
BY_NPM = [
    ("msg_plain", '{"type":"plan.changed"}', "v1,UR0alGjB9Cm9pyeGWi0Zbzq+p/7gLl9juYxjAL3DbDM="),
    ("msg_umlaut", '{"note":"Grüße 😀"}', "v1,ZICiUP8RES/4f4N5g+2z8daMJOV+1l42X3KJ7XbS4GI="),
    ("msg_spaces", ' {\n\t"dose" : 72.50 }\r\n', "v1,DSdRhGKXrL2ifASy/YF1Nk6orvx6XC8kiR4Fs7fXJLY="),
    ("msg_empty", "", "v1,osgwacX9dEYaDPWUycVt1GBE4H1GdQU9Vn1C48yMtAc="),
]
PARTS = ("id", "timestamp", "signature", "body")


def headers(named: str, at: str, signatures: str) -> dict[str, str]:
    return {
        "webhook-id": named,
        "webhook-timestamp": at,
        "webhook-signature": signatures,
    }


def is_good(named: str, at: str, signatures: str, body: bytes, *keys: bytes) -> bool:
    try:
        found = signature.head(headers(named, at, signatures))
        return any(signature.is_signed(found, body, keys or (KEY,)))
    except NotSignedError:
        return False


@pytest.mark.parametrize(("named", "body", "signed"), BY_NPM)
def test_s04_what_the_npm_library_signs_is_good(named: str, body: str, signed: str) -> None:
    assert is_good(named, str(AT), signed, body.encode())


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_s04_what_the_python_library_signs_is_good(body: str) -> None:
    signed = Webhook(SECRET).sign("msg_1", START, body)

    assert is_good("msg_1", str(AT), signed, body.encode())


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("part", PARTS)
def test_i08_any_bit_that_is_turned_is_refused(part: str, bit: int) -> None:
    named, body, signed = BY_NPM[1]
    whole = {
        "id": named.encode(),
        "timestamp": str(AT).encode(),
        "signature": signed.encode(),
        "body": body.encode(),
    }
    for place in range(len(whole[part])):
        turned = bytearray(whole[part])
        turned[place] ^= 1 << bit
        sent = {**whole, part: bytes(turned)}

        named, at, signed = (sent[one].decode("latin-1") for one in PARTS[:3])
        assert not is_good(named, at, signed, sent["body"]), place


@pytest.mark.parametrize(
    "at", [f"0{AT}", f"+{AT}", f" {AT}", f"{AT} ", f"{AT}.0", f"{AT}.5", "1_777885200", f"{AT:e}"]
)
def test_i08_a_time_that_is_the_same_number_in_other_letters_is_refused(at: str) -> None:
    named, body, signed = BY_NPM[0]

    assert not is_good(named, at, signed, body.encode())


def test_i08_a_signature_in_other_letters_for_the_same_bytes_is_refused() -> None:
    named, body, signed = BY_NPM[0]
    last = signed[-2]  # of its six bits two are not used
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(last) ^ 1]

    assert not is_good(named, str(AT), f"{signed[:-2]}{other}=", body.encode())


def test_i08_the_border_between_id_and_time_cannot_be_moved() -> None:
    signed = Webhook(SECRET).sign("a", START, f"{AT}.{{}}")

    assert not is_good(f"a.{AT}", str(AT), signed, b"{}")


@pytest.mark.parametrize(
    "signatures",
    [
        "",
        " ",
        "v1",
        "v1,",
        ",",
        "v1,!!!!",
        "{good},{good}",
        "V1{rest}",
        "v1a{rest}",
        "v2{rest}",
        "v1,{good}",
        "{good}=",
        " {good}",
        "{good} ",
        "x  {good}",
        "\x00 {good}",
        "é {good}",
    ],
)
def test_i08_what_is_no_list_of_signatures_or_of_another_scheme_is_refused(signatures: str) -> None:
    named, body, good = BY_NPM[0]
    sent = signatures.format(good=good, rest=good[2:])

    assert not is_good(named, str(AT), sent, body.encode())


def test_i08_a_thousand_signatures_are_not_tried() -> None:
    named, body, good = BY_NPM[0]

    assert is_good(named, str(AT), " ".join(["v1,bm9wZQ=="] * 9 + [good]), body.encode())
    assert not is_good(named, str(AT), " ".join(["v1,bm9wZQ=="] * 10 + [good]), body.encode())
    assert not is_good(named, str(AT), " ".join([good] * 1000), body.encode())


@pytest.mark.parametrize("missing", range(3))
def test_i08_each_of_the_three_headers_is_needed(missing: int) -> None:
    named, body, good = BY_NPM[0]
    sent = [named, str(AT), good]
    sent[missing] = ""

    assert not is_good(sent[0], sent[1], sent[2], body.encode())


def test_i08_a_body_that_is_no_text_is_refused() -> None:
    named, _, good = BY_NPM[0]

    assert not is_good(named, str(AT), good, b"\xff\xfe{}")


def test_i09_one_of_several_keys_is_enough_and_each_is_tried() -> None:
    named, body, good = BY_NPM[0]
    others = [bytes([number]) * 32 for number in range(1, 4)]
    head = signature.head(headers(named, str(AT), good))

    assert signature.is_signed(head, body.encode(), [*others, KEY]) == [False, False, False, True]
    assert signature.is_signed(head, body.encode(), [KEY, *others]) == [True, False, False, False]
    assert not any(signature.is_signed(head, body.encode(), others))


@pytest.mark.parametrize(
    ("now", "late"),
    [
        (START + timedelta(minutes=5), timedelta(minutes=5)),
        (START - timedelta(hours=1), -timedelta(hours=1)),
        (datetime(9999, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC) - START),
    ],
)
def test_i06_how_late_a_message_is(now: datetime, late: timedelta) -> None:
    named, _, good = BY_NPM[0]

    assert signature.late_by(signature.head(headers(named, str(AT), good)), now) == late
