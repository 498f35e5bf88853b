"""R44: what is sent is signed as Standard Webhooks says; other people's libraries agree."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from fhirbridge.access.sources import read_secret
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.webhooks import payload
from tests.fakes import START

OLD = "whsec_ZmhpcmJyaWRnZSB0ZXN0IHNlY3JldCwgbm9ib2R5J3M="  # nobody's
NEW = "whsec_c2Vjb25kIHRlc3Qgc2VjcmV0LCBub2JvZHkncyBlaXRoZXI="  # nobody's either
KEYS = [read_secret(NEW), read_secret(OLD)]
EVENT: dict[str, Any] = {
    "id": "0123456789abcdef0123456789abcdef",
    "sequence": 7,
    "at": "2026-05-04T09:00:00.000000Z",
    "kind": "delivery.held",
    "subkind": "",
    "destination": "ehr",
    "patient": "kpatient",
    "patient_sequence": 3,
    "detail": {"delivery": "d1", "record": "r1", "state": "held", "reason": "edited"},
}
BODY = (
    b'{"data":{"destination":"ehr","detail":{"delivery":"d1","reason":"edited","record":"r1",'
    b'"state":"held"},"id":"0123456789abcdef0123456789abcdef","next":"/api/v1/sessions/r1",'
    b'"patient":"kpatient","patient_sequence":3,"sequence":7,"subkind":""},'
    b'"timestamp":"2026-05-04T09:00:00.000000Z","type":"delivery.held"}'
)
# Over this body at START, by the secrets NEW and OLD: made by the npm package standardwebhooks
# 1.1.1, and the same by com.standardwebhooks:standardwebhooks 1.1.0 of Maven.
BY_OTHERS = [
    "v1,3j9G86AaacFAxpu00WqWo32/63UHd+uuIMXl8MJAf0k=",
    "v1,nK8f2YWoGMpJQGbvpQUgzEJfFzJHXUeyqu5z3FXIxJM=",
]


def test_r44_npm_and_maven_sign_the_same_message_alike() -> None:
    body = payload.of_event(EVENT)
    headers = payload.headers(EVENT["id"], START, body, KEYS)

    assert body == BODY
    assert headers["webhook-signature"].split(" ") == BY_OTHERS


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_r44_the_python_library_takes_it_by_either_secret_while_one_is_rotated(secret: str) -> None:
    body = payload.of_event(EVENT)
    headers = payload.headers(EVENT["id"], SystemClock().now(), body, KEYS)

    assert Webhook(secret).verify(body, headers) == codec.decode(body)


@given(
    named=st.text("abcdef0123456789", min_size=32, max_size=32),
    reason=st.text(max_size=40),
    ahead=st.timedeltas(timedelta(), timedelta(days=4000)),
)
def test_r50_what_is_shown_as_signed_is_what_was_signed(
    named: str, reason: str, ahead: timedelta
) -> None:
    body = payload.of_event({**EVENT, "detail": {"reason": reason}})
    at = START + ahead
    headers = payload.headers(named, at, body, KEYS[:1])

    shown = payload.base_string(named, int(headers["webhook-timestamp"]), body.decode())
    _, _, signed_body = shown.split(".", 2)

    again = Webhook(NEW).sign(named, at, signed_body)
    assert headers["webhook-signature"] == again
    assert shown == f"{headers['webhook-id']}.{int(at.timestamp())}.{body.decode()}"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({}, "/api/v1/sessions/r1"),
        ({"kind": "ehr.changed", "detail": {"type": "Goal"}}, "/api/v1/patients/kpatient/ehr"),
        ({"kind": "reconcile.repaired", "detail": {"resources": 2}}, "/api/v1/status"),
        ({"kind": "export.ready", "detail": {"export": "e1"}}, "/fhir/$export-status/e1"),
    ],
)
def test_a_message_says_where_more_is(change: dict[str, Any], path: str) -> None:
    assert payload.where_more_is({**EVENT, **change}) == path


def test_r50_of_an_answer_a_thousand_bytes_are_kept_and_nothing_that_a_terminal_obeys() -> None:
    nasty = b"\x1b[31mred\x00\r\n\xff" + "\u202eabc\u2028".encode() + b"x" * 5000

    kept = payload.scrubbed(nasty)

    assert len(kept) <= payload.MOST_KEPT
    assert kept.startswith(" [31mred   \ufffd abc xxx")
    assert kept.isprintable()
