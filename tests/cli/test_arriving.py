"""I15: when a request is there whole, and what is not to be waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.cli.arriving import MOST_BODY, MOST_HEAD, STREAMED, Arriving, Verdict
from fhirbridge.web.api_bulk import OPERATIONS

WAIT, WHOLE = Verdict.WAIT, Verdict.WHOLE
STREAM, REFUSE = Verdict.STREAM, Verdict.REFUSE
HOST = b"\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def with_length(length: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1" + HOST + b"Content-Length: " + length + b"\r\n\r\n" + body


def judged(*parts: bytes) -> Verdict:
    """Judge a request that comes in these parts, as often as one comes."""
    arriving, came = Arriving(), bytearray()
    verdict = WAIT
    for part in parts:
        came += part
        verdict = arriving.judge(came)
        if verdict is not WAIT:
            break
    return verdict


@pytest.mark.parametrize(
    ("request_", "verdict"),
    [
        (b"", WAIT),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", WAIT),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", WHOLE),
        (b"\x16\x03\x01 no HTTP at all", WAIT),
        (b"G" * (MOST_HEAD + 1), REFUSE),
        (with_length(b"3", b"ab"), WAIT),
        (with_length(b"3", b"abc"), WHOLE),
        (with_length(b"3", b"abcGET /"), WHOLE),
        (with_length(b"0"), WHOLE),
        (with_length(str(MOST_BODY).encode()), WAIT),
        (with_length(str(MOST_BODY + 1).encode()), STREAM),
        (with_length(b"9" * 5000), STREAM),
        (with_length(b"-1"), STREAM),
        (with_length(b"ten"), STREAM),
        (with_length(b"3\r\nContent-Length: 4"), STREAM),
        (with_length(b"3\r\nTransfer-Encoding: chunked"), STREAM),
        (CHUNKED, WAIT),
        (CHUNKED + b"3\r\nab", WAIT),
        (CHUNKED + b"3\r\nabc\r\n", WAIT),
        (CHUNKED + b"3\r\nabc\r\n0\r\n", WAIT),
        (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", WHOLE),
        (CHUNKED + b"3;name=value\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", WHOLE),
        (CHUNKED + b"7\r\n0\r\n\r\nab\r\n", WAIT),  # what looks like the end is content
        (CHUNKED + b"zz\r\n", STREAM),
        (CHUNKED + b"-1\r\n", STREAM),
        (CHUNKED + b"f" * 400, REFUSE),
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * MOST_HEAD, REFUSE),
        (CHUNKED + b"ffffffffff\r\n", WAIT),
        (CHUNKED + b"ffffffffff\r\n" + b" " * MOST_BODY, STREAM),
        (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", WHOLE),
        (CHUNKED.replace(b"chunked", b"gzip"), STREAM),
        (STREAMED + b" HTTP/1.1" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", STREAM),
        (STREAMED + b" HTTP/1.1" + HOST + b"Content-Length: 10\r\n\r\n", STREAM),
    ],
)
def test_i15_a_request_gets_a_thread_when_it_is_whole_or_not_to_be_waited_for(
    request_: bytes, verdict: Verdict
) -> None:
    assert judged(request_) is verdict


@given(
    st.sampled_from([with_length(b"10", b"0\r\n\r\n0\r\n\r\n"), CHUNKED + b"2\r\nab\r\n0\r\n\r\n"]),
    st.data(),
)
def test_however_it_is_cut_it_is_whole_at_its_last_byte(whole: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=9)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    arriving, came = Arriving(), bytearray()

    verdicts = []
    for part in parts:
        came += part
        verdicts.append(arriving.judge(came))

    assert verdicts == [WAIT] * (len(parts) - 1) + [WHOLE]


@given(st.binary(max_size=300), st.booleans())
def test_whatever_comes_is_judged(rubbish: bytes, chunked: bool) -> None:  # noqa: FBT001
    assert judged(CHUNKED if chunked else b"", rubbish) in Verdict


def test_a_body_in_chunks_without_an_end_is_not_waited_for_for_ever() -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    assert judged(CHUNKED, *[chunk] * (2 * MOST_BODY // 0x10000)) is STREAM


def test_a_sender_who_waits_to_be_told_to_go_on_is_seen() -> None:
    arriving = Arriving()

    arriving.judge(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n")

    assert arriving.expects_continue


def test_what_is_not_waited_for_is_the_backlog() -> None:
    assert [f"{one.method} {one.rule}".encode() for one in OPERATIONS] == [STREAMED]
