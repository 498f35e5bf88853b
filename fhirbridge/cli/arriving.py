"""Whether a request has come whole, so that a thread need not wait for the rest of it. Pure.

What is not as it should be is handed on at once to whoever refuses it. Refused here is only what
nobody else would refuse before more of it came.
"""

from enum import Enum, auto

HEAD_END = b"\r\n\r\n"
MOST_HEAD = 65_536  # bytes, and of trailers; the server would take no longer line than 8 kB
MOST_BODY = 4_000_000  # bytes that are waited for; what is longer is read as it comes
MOST_DIGITS = 15
LONGEST_CHUNK_LINE = 300
# A backlog is answered while it comes: it must not be waited for.
STREAMED = b"POST /api/v1/records/bulk"


class Verdict(Enum):
    """What to do with what came."""

    WAIT = auto()  # for more
    WHOLE = auto()  # all of it is there
    REFUSE = auto()  # a line, or the lines, of it are too long
    STREAM = auto()  # let it be read as it comes, and close the connection after it


class Arriving:
    """One request on its way in."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self.expects_continue = False  # its sender waits for 100 before he sends the body
        self._body = 0  # where it begins; 0: its head is not there yet
        self._end: int | None = None  # of the whole; None: it comes in chunks
        self._chunk = 0  # where the next chunk begins

    def judge(self, came: bytes | bytearray) -> Verdict:
        """Judge all bytes that came so far."""
        if not self._body:
            found = came.find(HEAD_END)
            if found < 0:
                return Verdict.REFUSE if len(came) > MOST_HEAD else Verdict.WAIT
            self._body = self._chunk = found + len(HEAD_END)
            if not self._read_head(bytes(came[:found])):
                return Verdict.STREAM
        if self._end is None:
            return self._in_chunks(came)
        return Verdict.WHOLE if len(came) >= self._end else Verdict.WAIT

    def _read_head(self, head: bytes) -> bool:
        """Find out where the body ends; False where it is not to be waited for."""
        lines = head.lower().split(b"\r\n")
        fields = [(name, text.strip()) for name, _, text in (one.partition(b":") for one in lines)]
        lengths = [text for name, text in fields if name == b"content-length"]
        codings = b",".join(text for name, text in fields if name == b"transfer-encoding")
        self.expects_continue = (b"expect", b"100-continue") in fields
        if head.startswith(STREAMED) or (codings and lengths) or len(lengths) > 1:
            return False
        if codings:
            return codings.rpartition(b",")[2].strip() == b"chunked"
        length = lengths[0] if lengths else b"0"
        if not length.isdigit() or len(length) > MOST_DIGITS or int(length) > MOST_BODY:
            return False
        self._end = self._body + int(length)
        return True

    def _in_chunks(self, came: bytes | bytearray) -> Verdict:
        while True:
            if len(came) - self._body > MOST_BODY:
                return Verdict.STREAM
            end = came.find(b"\r\n", self._chunk, self._chunk + LONGEST_CHUNK_LINE)
            if end < 0:
                is_long = len(came) - self._chunk >= LONGEST_CHUNK_LINE
                return Verdict.REFUSE if is_long else Verdict.WAIT
            digits = bytes(came[self._chunk : end]).partition(b";")[0].strip()
            try:
                size = int(digits, 16)
            except ValueError:
                return Verdict.STREAM
            if size < 0:
                return Verdict.STREAM
            if size == 0:  # trailers, or the end at once
                return _after_the_last(came, end)
            following = end + 2 + size + 2
            if len(came) < following:
                return Verdict.WAIT
            self._chunk = following


def _after_the_last(came: bytes | bytearray, line: int) -> Verdict:
    """Wait for the empty line that ends a body in chunks; `line`: where the last size ends."""
    if came.find(HEAD_END, line) >= 0:
        return Verdict.WHOLE
    return Verdict.REFUSE if len(came) - line > MOST_HEAD else Verdict.WAIT
