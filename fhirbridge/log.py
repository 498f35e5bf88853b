"""Structured logs: one JSON object a line, only fields from a fixed list, so no PHI can slip in."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

# Opaque ids, codes, counts and names that an administrator gave. A field that is not here is dropped.
FIELDS = frozenset(
    {
        "action",
        "attempt",
        "code",
        "count",
        "delivery",
        "destination",
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
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    # Libraries log what they handle: URLs, statements. Only their warnings pass, without their text.
    logging.basicConfig(handlers=[_Quiet(out)], level=logging.WARNING, force=True)


class _Quiet(logging.Handler):
    """Says that a library warned, and which one; its text may hold what it handled."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        get().warning("library.warned", kind=record.name, code=record.levelname)


def get() -> Any:
    """Return the logger: `log.get().info("delivery.settled", delivery=…, state=…)`."""
    return structlog.get_logger()
