import io
import tracemalloc
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.egress.body import BrokenBodyError, read_body
from tests.egress import fake_server

GZIP = {"content-encoding": "gzip"}


def read(
    raw: bytes,
    headers: Mapping[str, str],
    *,
    method: str = "GET",
    status: int = 200,
    most: int = 1_000_000,
) -> bytes:
    file = io.BytesIO(raw)
    return read_body(file, method=method, status=status, headers=headers, most_bytes=most)


def in_chunks(pieces: list[bytes]) -> bytes:
    whole = [piece for piece in pieces if piece]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in whole) + b"0\r\n\r\n"


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_chunks_are_put_together(pieces: list[bytes]) -> None:
    assert read(in_chunks(pieces), {"transfer-encoding": "chunked"}) == b"".join(pieces)


@given(st.lists(st.binary(max_size=50), max_size=6), st.data())
def test_chunks_cut_anywhere_are_no_body(pieces: list[bytes], data: st.DataObject) -> None:
    whole = in_chunks(pieces)
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(BrokenBodyError):
        read(whole[:cut], {"transfer-encoding": "chunked"})


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_body_shorter_than_its_length_is_no_body(body: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(body) - 1))

    with pytest.raises(BrokenBodyError, match="cut short"):
        read(body[:cut], {"content-length": str(len(body))})


@given(st.binary(max_size=3000))
def test_gzip_is_inflated(body: bytes) -> None:
    assert read(fake_server.gzipped(body), GZIP) == body


@given(st.binary(max_size=3000), st.data())
def test_gzip_cut_anywhere_is_no_body(body: bytes, data: st.DataObject) -> None:
    whole = fake_server.gzipped(body)
    cut = data.draw(st.integers(1, len(whole) - 1))

    with pytest.raises(BrokenBodyError, match="cut short"):
        read(whole[:cut], GZIP)


@pytest.mark.parametrize(
    ("raw", "headers", "words"),
    [
        (b"zz\r\n{}\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, "bad chunk"),
        (b"-2\r\n{}\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, "bad chunk"),
        (b"0x2\r\n{}\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, "bad chunk"),
        (b"2\r\n{}XX\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, "bad chunk"),
        (b"2\r\n{}XX0\r\n\r\n", {"transfer-encoding": "chunked"}, "bad chunk"),
        (b"f" * 20 + b"\r\n", {"transfer-encoding": "chunked"}, "bad chunk"),
        (b"2;" + b"x" * 9000 + b"\r\n", {"transfer-encoding": "chunked"}, "bad chunk"),
        (b"0\r\n" + b"x" * 9000 + b"\r\n\r\n", {"transfer-encoding": "chunked"}, "bad trailer"),
        (b"{}", {"transfer-encoding": "gzip, chunked"}, "transfer encoding"),
        (b"{}", {"transfer-encoding": "identity"}, "transfer encoding"),
        (b"{}", {"content-length": "-2"}, "length"),
        (b"{}", {"content-length": "+2"}, "length"),
        (b"{}", {"content-length": "2, 3"}, "length"),
        (b"{}", {"content-length": "two"}, "length"),
        (b"{}", {"content-length": ""}, "length"),
        (b"{}", {"content-encoding": "br"}, "content encoding"),
        (b"{}", {"content-encoding": "gzip, gzip"}, "content encoding"),
        (b"{}", GZIP, "bad gzip"),
        (fake_server.gzipped(b"{}") + b"x", GZIP, "bad gzip"),
        (fake_server.gzipped(b"{}") * 2, GZIP, "bad gzip"),
        (fake_server.gzipped(b"{}")[:-1] + b"x", GZIP, "bad gzip"),
    ],
)
def test_o15_a_body_that_breaks_its_promise_is_refused(
    raw: bytes, headers: Mapping[str, str], words: str
) -> None:
    with pytest.raises(BrokenBodyError, match=words):
        read(raw, headers)


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"{}", {"content-length": "2, 2"}),
        (b"{}", {}),
        (b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n", {"transfer-encoding": "Chunked"}),
        (b"2\r\n{}\r\n0\r\n\r\n", {"transfer-encoding": "chunked", "content-length": "9"}),
        (b"{}", {"content-encoding": "identity"}),
        (fake_server.gzipped(b"{}"), {"content-encoding": "x-gzip"}),
    ],
)
def test_a_body_that_keeps_its_promise_is_taken(raw: bytes, headers: Mapping[str, str]) -> None:
    assert read(raw, headers) == b"{}"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_without_a_body_are_not_waited_for(method: str, status: int) -> None:
    headers = {"content-length": "50", **GZIP}

    assert read(b"", headers, method=method, status=status) == b""


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"x" * 11, {}),
        (b"x" * 11, {"content-length": "11"}),
        (b"", {"content-length": "10000000000"}),
        (b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}),
        (b"fffffffffff\r\n" + b"x" * 100, {"transfer-encoding": "chunked"}),
    ],
)
def test_s11_a_body_over_the_cap_is_refused(raw: bytes, headers: Mapping[str, str]) -> None:
    with pytest.raises(BrokenBodyError, match="too large"):
        read(raw, headers, most=10)


def test_o16_a_gzip_bomb_is_stopped_before_it_fills_the_memory() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(200)) + packer.flush()
    tracemalloc.start()

    with pytest.raises(BrokenBodyError, match="too large"):
        read(bomb, GZIP)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
