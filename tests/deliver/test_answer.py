"""Every answer falls in one class. 1. the status and the outcome; 2. when to come back."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.deliver.answer import Kind, classify, retry_after
from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.fhir import codec

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
NOTHING = b""
HTML = b"<html><body>Please sign in</body></html>"
BUNDLE = codec.encode({"resourceType": "Bundle", "type": "transaction-response", "entry": []})
PATIENT = codec.encode({"resourceType": "Patient", "id": "a"})


def outcome(code: str, severity: str = "error") -> bytes:
    issue = {"severity": severity, "code": code, "diagnostics": "Synthetic-Alvarez has no bed"}
    return codec.encode({"resourceType": "OperationOutcome", "issue": [issue]})


def answered(status: int, body: bytes = NOTHING, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=named, body=body)


TABLE = [
    *((status, BUNDLE, Kind.OK) for status in (200, 201)),
    # A 2xx that is no Bundle says nothing certain.
    *product((200, 201), (NOTHING, HTML, PATIENT, outcome("invalid")), [Kind.UNKNOWN]),
    *product((200, 201), (b"[]", b'"x"', b"null"), [Kind.UNKNOWN]),
    *product((202, 204, 206), (NOTHING, BUNDLE), [Kind.UNKNOWN]),
    (200, BUNDLE[:-1], Kind.UNKNOWN),
    (200, outcome("informational", "information"), Kind.UNKNOWN),
    *product((408, 423, 425, 429, 503), (NOTHING, HTML, outcome("invalid")), [Kind.RETRY]),
    *product((500, 502, 504), (NOTHING, HTML, outcome("exception")), [Kind.UNKNOWN]),
    (500, outcome("transient"), Kind.UNKNOWN),
    *product((501, 505, 507, 599), [NOTHING], [Kind.UNKNOWN]),
    *product((409, 412), (NOTHING, outcome("conflict"), outcome("lock-error")), [Kind.CONFLICT]),
    *product([401], (NOTHING, HTML, outcome("login")), [Kind.AUTH]),
    *product([410], (NOTHING, outcome("deleted")), [Kind.GONE]),
    *product((400, 403, 404, 405, 406), (NOTHING, outcome("invalid")), [Kind.PERMANENT]),
    *product((413, 414, 415, 422), (NOTHING, outcome("invalid")), [Kind.PERMANENT]),
    *product((301, 302, 303, 307, 308), (NOTHING, HTML), [Kind.PERMANENT]),
    *product((400, 403, 422), map(outcome, ("transient", "throttled", "timeout")), [Kind.RETRY]),
    (422, outcome("transient", "warning"), Kind.PERMANENT),
    (422, b'{"resourceType":"OperationOutcome","issue":"many"}', Kind.PERMANENT),
]  # fmt: skip


def test_the_table_is_a_table() -> None:
    assert len(TABLE) >= 60


@pytest.mark.parametrize(("status", "body", "kind"), TABLE)
def test_each_answer_has_one_class(status: int, body: bytes, kind: Kind) -> None:
    answer = classify(answered(status, body), now=NOW)

    assert answer.kind is kind
    assert str(status) in answer.reason
    assert "Alvarez" not in answer.reason


def test_what_was_not_sent_may_be_sent_again_and_what_is_uncertain_may_not() -> None:
    assert classify(NotSent(reason="connect: refused"), now=NOW).kind is Kind.RETRY
    assert classify(Unknown(reason="read: reset"), now=NOW).kind is Kind.UNKNOWN


@given(status=st.integers(200, 599), body=st.binary(max_size=40), header=st.text(max_size=20))
def test_no_answer_is_too_strange_for_a_class(status: int, body: bytes, header: str) -> None:
    answer = classify(answered(status, body, retry_after=header), now=NOW)

    assert answer.kind is not Kind.OK
    assert answer.retry_after is None or answer.retry_after >= timedelta()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        (" 120 ", 120),
        ("315360000", 10**8),  # ten years; how much of it is waited is the backoff's to say
        ("9" * 400, 10**8),
        ("Mon, 04 May 2026 09:02:00 GMT", 120),
        ("Mon, 04 May 2026 11:02:00 +0200", 120),
        ("Mon, 04 May 2026 08:00:00 GMT", 0),  # past
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str, seconds: int) -> None:
    assert retry_after({"retry-after": value}, NOW) == timedelta(seconds=seconds)


def test_a_date_in_ten_years_is_read() -> None:
    found = retry_after({"retry-after": "Sun, 04 May 2036 09:00:00 GMT"}, NOW)

    assert found is not None
    assert found > timedelta(days=3600)


@pytest.mark.parametrize(
    "value",
    [
        "", "-5", "1.5", "soon", "٣", "0x10", "Mon, 04 May 2026 09:02:00",
        "Mon, 99 Foo 2026", "99999,",
        "Mon, 04 May 99999999999999 09:00:00 GMT", "Mon, 04 May 2026 09:00:00 +99999999",
    ],
)  # fmt: skip
def test_a_retry_after_without_sense_is_none(value: str) -> None:
    assert retry_after({"retry-after": value}, NOW) is None


@given(
    st.text(max_size=60)
    | st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,12} \d\d:\d\d:\d\d [+-]\d{1,9}")
)
def test_no_retry_after_breaks_anything(value: str) -> None:
    found = retry_after({"retry-after": value}, NOW)

    assert found is None or found >= timedelta()
