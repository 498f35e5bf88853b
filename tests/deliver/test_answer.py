"""Every answer falls in one class. 1. the status and the outcome; 2. when to come back."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.deliver.answer import Asked, Kind, classify, retry_after
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


TRANSIENT = ("transient", "lock-error", "throttled", "timeout", "no-store")
CONTENT = (
    "invalid", "structure", "required", "value", "invariant", "security", "unknown", "forbidden",
    "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found",
    "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict",
    "exception", "incomplete", "quux",
)  # fmt: skip

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
    # A redirect is never followed.
    *product((301, 302, 303, 304, 307, 308), (NOTHING, HTML), [Kind.PERMANENT]),
    *product((400, 403, 422), map(outcome, TRANSIENT), [Kind.RETRY]),
    *product((400, 422), map(outcome, CONTENT), [Kind.PERMANENT]),
    *product((400, 403), map(outcome, ("login", "expired")), [Kind.AUTH]),
    *product((400, 404, 422), [outcome("deleted")], [Kind.GONE]),
    (422, outcome("transient", "warning"), Kind.PERMANENT),
    (422, b'{"resourceType":"OperationOutcome","issue":"many"}', Kind.PERMANENT),
    # Nobody knows what these mean: five times, unless the outcome says that it will stay so.
    *product((402, 407, 418, 421, 426, 428, 444, 451, 499), (NOTHING, HTML), [Kind.RETRY]),
    *product((428, 451), map(outcome, ("invalid", "forbidden", "duplicate")), [Kind.PERMANENT]),
    *product((428, 451), map(outcome, ("processing", "exception", "quux")), [Kind.RETRY]),
    *product((520, 522, 530), (NOTHING, HTML, outcome("invalid")), [Kind.UNKNOWN]),
]  # fmt: skip


def test_r09_the_table_is_a_table() -> None:
    assert len({(status, body) for status, body, _ in TABLE}) >= 60


@pytest.mark.parametrize(("status", "body", "kind"), TABLE)
def test_r09_each_answer_has_one_class(status: int, body: bytes, kind: Kind) -> None:
    answer = classify(answered(status, body), now=NOW)

    assert answer.kind is kind
    assert str(status) in answer.reason
    assert "Alvarez" not in answer.reason


ALONE = [
    *product((200, 201), (PATIENT, NOTHING, outcome("informational", "information")), [Kind.OK]),
    (204, NOTHING, Kind.OK),
    *product((200, 201), (HTML, BUNDLE, outcome("invalid"), b"[]", b"{}"), [Kind.UNKNOWN]),
    *product((202, 206), (PATIENT, NOTHING), [Kind.UNKNOWN]),
    *product((409, 412), [NOTHING], [Kind.CONFLICT]),
    *product((400, 403, 405, 413, 415, 422), [NOTHING], [Kind.PERMANENT]),
    *product((408, 423, 425, 429, 503), [NOTHING], [Kind.RETRY]),
    *product((500, 502, 504, 520), [NOTHING], [Kind.UNKNOWN]),
    (401, NOTHING, Kind.AUTH),
    (410, NOTHING, Kind.GONE),
    (404, outcome("deleted"), Kind.GONE),
]


@pytest.mark.parametrize("asked", [Asked.CREATE, Asked.UPDATE])
@pytest.mark.parametrize(("status", "body", "kind"), ALONE)
def test_the_answer_to_one_resource_has_one_class(
    asked: Asked, status: int, body: bytes, kind: Kind
) -> None:
    assert classify(answered(status, body), now=NOW, asked=asked).kind is kind


@pytest.mark.parametrize(
    ("asked", "kind"),
    [(Asked.UPDATE, Kind.GONE), (Asked.CREATE, Kind.PERMANENT), (Asked.BUNDLE, Kind.PERMANENT)],
)
def test_not_found_is_a_removal_where_the_ledger_has_it(asked: Asked, kind: Kind) -> None:
    for body in (NOTHING, outcome("not-found")):
        assert classify(answered(404, body), now=NOW, asked=asked).kind is kind


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_says_that_it_is_one(status: int) -> None:
    answer = classify(answered(status, HTML, location="http://169.254.169.254/"), now=NOW)

    assert answer.redirects
    assert answer.reason == f"answered {status}, a redirect, which is never followed"


@pytest.mark.parametrize(
    ("status", "body", "counted"),
    [
        (418, NOTHING, True),
        (451, outcome("processing"), True),
        (422, outcome("transient"), False),
        (418, outcome("throttled"), False),
        (429, NOTHING, False),
        (503, HTML, False),
    ],
)
def test_only_what_nobody_knows_is_counted(status: int, body: bytes, *, counted: bool) -> None:
    assert classify(answered(status, body), now=NOW).counted is counted


def test_what_was_not_sent_may_be_sent_again_and_what_is_uncertain_may_not() -> None:
    assert classify(NotSent(reason="connect: refused"), now=NOW).kind is Kind.RETRY
    assert classify(Unknown(reason="read: reset"), now=NOW).kind is Kind.UNKNOWN


@given(status=st.integers(200, 599), body=st.binary(max_size=40), header=st.text(max_size=20))
def test_no_answer_is_too_strange_for_a_class(status: int, body: bytes, header: str) -> None:
    answer = classify(answered(status, body, retry_after=header), now=NOW)

    assert answer.kind is not Kind.OK
    assert str(status) in answer.reason
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
