"""The body of an answer, whole or not at all (RFC 9112, section 6). Reads a file, opens nothing.

Stricter than http.client and urllib3, which take a cut gzip stream, a header block without an
end or a chunk without its line end for a complete answer.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

LONGEST_LINE = 8192  # of a chunk size or trailer

_PIECE = 1 << 16
_INFLATED_PIECE = 1 << 20
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_NO_BODY = {204, 304}
_GZIP = 16 + zlib.MAX_WBITS


class BrokenBodyError(Exception):
    """The body is not what its headers promised; the text is a few stable words."""


def read_body(
    file: BinaryIO, *, method: str, status: int, headers: Mapping[str, str], most_bytes: int
) -> bytes:
    """Return the whole body, inflated, of at most `most_bytes`, or raise BrokenBodyError.

    `headers` has lower-case names, repeated headers joined by commas.
    """
    pieces = _framed(file, method=method, status=status, headers=headers, most_bytes=most_bytes)
    raw = _joined(pieces, most_bytes)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if not raw or encoding == "identity":
        return raw
    if encoding not in {"gzip", "x-gzip"}:
        message = "unasked content encoding"
        raise BrokenBodyError(message)
    return _joined(_inflated(raw, most_bytes), most_bytes)


def _framed(
    file: BinaryIO, *, method: str, status: int, headers: Mapping[str, str], most_bytes: int
) -> Iterator[bytes]:
    if method == "HEAD" or status in _NO_BODY:
        return iter(())
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].strip().lower() != "chunked":
            message = "unasked transfer encoding"
            raise BrokenBodyError(message)
        return _chunks(file)
    if "content-length" in headers:
        return _exactly(file, _length(headers["content-length"], most_bytes))
    return _until_closed(file)


def _length(written: str, most_bytes: int) -> int:
    lengths = {one.strip() for one in written.split(",")}
    only = lengths.pop()
    if lengths or not _LENGTH.fullmatch(only):
        message = "contradictory length"
        raise BrokenBodyError(message)
    if int(only) > most_bytes:
        message = "too large"
        raise BrokenBodyError(message)
    return int(only)


def _joined(pieces: Iterator[bytes], most_bytes: int) -> bytes:
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > most_bytes:
            message = "too large"
            raise BrokenBodyError(message)
    return bytes(whole)


def _exactly(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = file.read(min(size, _PIECE))
        if not piece:
            message = "cut short"
            raise BrokenBodyError(message)
        size -= len(piece)
        yield piece


def _until_closed(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while size := _chunk_size(file):
        yield from _exactly(file, size)
        if file.readline(LONGEST_LINE) not in {b"\r\n", b"\n"}:
            message = "bad chunk"
            raise BrokenBodyError(message)
    while (trailer := file.readline(LONGEST_LINE)) not in {b"\r\n", b"\n"}:
        if not trailer.endswith(b"\n"):
            message = "bad trailer"
            raise BrokenBodyError(message)


def _chunk_size(file: BinaryIO) -> int:
    line = _CHUNK_SIZE.fullmatch(file.readline(LONGEST_LINE))
    if line is None:
        message = "bad chunk"
        raise BrokenBodyError(message)
    return int(line[1], 16)


def _inflated(raw: bytes, most_bytes: int) -> Iterator[bytes]:
    """Inflate in pieces, so that a bomb is stopped soon after `most_bytes`."""
    member = zlib.decompressobj(_GZIP)
    try:
        while not member.eof:
            piece = member.decompress(raw, min(_INFLATED_PIECE, most_bytes + 1))
            raw = member.unconsumed_tail
            if not piece and not raw and not member.eof:
                message = "cut short"
                raise BrokenBodyError(message)
            yield piece
    except zlib.error as error:
        message = "bad gzip"
        raise BrokenBodyError(message) from error
    # One member only: a million empty ones are a bomb of time.
    if member.unused_data:
        message = "bad gzip"
        raise BrokenBodyError(message)
