"""Lines of a stream of any length, in constant memory."""

from collections.abc import Iterator
from typing import Protocol


class Stream(Protocol):
    """What is read: a file, or a body that still comes in."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line with its end, or its first `size` bytes; nothing at the end."""
        ...


def lines(body: Stream, most: int) -> Iterator[bytes | None]:
    """Yield each line without its end; None for one of more than `most` bytes, which is skipped."""
    while line := body.readline(most + 2):
        if line.endswith(b"\n") or len(line) <= most:
            text = line.rstrip(b"\r\n")
            yield text if len(text) <= most else None
            continue
        while line and not line.endswith(b"\n"):
            line = body.readline(most + 2)
        yield None
