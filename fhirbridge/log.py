"""Structured logs: one JSON object a line, only fields from a fixed list, so no PHI can slip in."""

import logging
import os
import select
import stat
import sys
import threading
from collections.abc import MutableMapping
from select import PIPE_BUF
from typing import Any, TextIO

import structlog

# Opaque ids, codes, counts and names that an administrator gave. Any other field is dropped.
FIELDS = frozenset(
    {
        "action",
        "alert",
        "attempt",
        "code",
        "count",
        "delivery",
        "destination",
        "endpoint",
        "entries",
        "event",
        "kind",
        "lane",
        "level",
        "method",
        "outcome",
        "reason",
        "record",
        "request",
        "route",
        "set_digest",
        "state",
        "status",
        "timestamp",
        "token",
        "version",
    }
)
DROPPED = "fields_dropped"
ROOM_TO_TELL = 200  # characters of the line that says how many were lost

Event = MutableMapping[str, Any]


def keep_allowed(_logger: Any, _method: str, event: Event) -> Event:
    """Drop every field that is not on the list, and say how many went."""
    kept = {name: value for name, value in event.items() if name in FIELDS}
    if len(kept) < len(event):
        kept[DROPPED] = len(event) - len(kept)
    return kept


def configure(stream: TextIO | None = None) -> None:
    """Send logs to `stream` (standard error), for this program and for what writes to `logging`."""
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed,
            # ASCII only: control and bidirectional characters cannot forge or hide a line.
            structlog.processors.JSONRenderer(sort_keys=True, ensure_ascii=True),
        ],
        logger_factory=_Sink(out),
        cache_logger_on_first_use=False,
    )
    # Libraries log what they handle: URLs, statements. Their warnings pass, without the text.
    logging.basicConfig(handlers=[_Quiet()], level=logging.WARNING, force=True)


def quieten(name: str) -> None:
    """Let a library that writes a log of its own speak as the others do."""
    logger = logging.getLogger(name)
    logger.handlers = [_Quiet()]
    logger.propagate = False


class _Sink:
    """Writes lines to a stream. One that is blocked, full or gone stops nobody; the loss counts.

    A pipe of which nobody reads would hold up whoever writes, so it is asked first whether it takes
    a line. Beside other processes that write to it the answer may be old by then.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._ready = _readiness(stream)
        self._lock = threading.Lock()
        self._lost = 0

    def __call__(self, *_: Any) -> "_Sink":
        """Return the logger that structlog asks for: this one."""
        return self

    def msg(self, line: str) -> None:
        with self._lock:
            try:
                if not self._takes(line):
                    self._lost += 1
                    return
                if self._lost:
                    told = f'{{"count": {self._lost}, "event": "log.lost", "level": "warning"}}'
                    self._write(told)
                    self._lost = 0
                self._write(line)
            except (OSError, ValueError):  # ValueError: the stream was closed
                self._lost += 1

    debug = info = warning = error = critical = exception = msg

    def _takes(self, line: str) -> bool:
        """Say whether a line, and the one that tells what was lost, can be written at once."""
        if self._ready is None:
            return True
        return len(line) + ROOM_TO_TELL <= PIPE_BUF and bool(self._ready.poll(0))

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _readiness(stream: TextIO) -> "select.poll | None":
    """Return what tells whether a stream takes a line now; None where it always does."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):  # in memory, or closed
        return None
    if stat.S_ISREG(mode):
        return None
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    return ready


class _Quiet(logging.Handler):
    """Says that a library warned, and which one; its text may hold what it handled."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        get().warning("library.warned", kind=record.name, code=record.levelname)


def get() -> Any:
    """Return the logger: `log.get().info("delivery.settled", delivery=…, state=…)`."""
    return structlog.get_logger()
