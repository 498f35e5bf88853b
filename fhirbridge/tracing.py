"""Traces: which step of a record's journey took how long. Off unless begun; they carry no PHI.

All steps of one record version are one trace. Its id is made of the record's opaque id, so that
what is delivered days later joins it, in whatever process, and nothing of traces is stored.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from fhirbridge.clock import SystemClock
from fhirbridge.errors import BridgeError

# Opaque ids, codes, counts and names that an administrator gave. Any other attribute is dropped.
ATTRIBUTES = frozenset(
    {
        "attempt",
        "code",
        "count",
        "delivery",
        "destination",
        "entries",
        "kind",
        "outcome",
        "record",
        "state",
        "step",
    }
)
_CLOCK = SystemClock()
_NANOSECONDS = 10**9

Value = str | int


@dataclass(slots=True)
class Span:
    """One step, and the steps within it. Times are nanoseconds since 1970."""

    name: str
    start: int = 0
    end: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    within: "list[Span]" = field(default_factory=list)

    def set(self, **attributes: Value) -> None:
        """Say more of it; what is not on the list is dropped."""
        self.attributes |= {k: v for k, v in attributes.items() if k in ATTRIBUTES}

    @property
    def trace_id(self) -> int:
        """The trace of its record; of what became no record, one of its own moment."""
        named = self.attributes.get("record") or f"{self.name} {self.start}"
        return int.from_bytes(hashlib.sha256(str(named).encode()).digest()[:16]) or 1


class Sink(Protocol):
    """Takes whole spans away; neither waits nor raises."""

    def take(self, span: Span) -> None:
        """Take a span with all that is within it."""
        ...

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        ...


class _Nowhere:
    def take(self, span: Span) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """There is nothing."""


NOWHERE: Sink = _Nowhere()
_SINKS: list[Sink] = [NOWHERE]
_CURRENT: ContextVar[Span | None] = ContextVar("current span", default=None)


def begin(sink: Sink) -> None:
    """Send spans there from now on, in this process; after a fork, not before."""
    _SINKS[0] = sink


def end() -> None:
    """Send what is left, and then nothing more."""
    sink, _SINKS[0] = _SINKS[0], NOWHERE
    sink.close()


@contextmanager
def span(name: str, **attributes: Value) -> Iterator[Span]:
    """Measure one step. What it raises is named by its code or kind, never by its text."""
    made = Span(name)
    made.set(**attributes)
    if _SINKS[0] is NOWHERE:
        yield made
        return
    around = _CURRENT.get()
    token = _CURRENT.set(made)
    made.start = _now()
    try:
        yield made
    except BaseException as error:
        made.set(**_named(error))
        raise
    finally:
        made.end = _now()
        _CURRENT.reset(token)
        if around is not None:
            around.within.append(made)
        else:
            _SINKS[0].take(made)


def _named(error: BaseException) -> Mapping[str, str]:
    kind = type(error).__name__
    return {"kind": kind, "code": error.code} if isinstance(error, BridgeError) else {"kind": kind}


def _now() -> int:
    return int(_CLOCK.now().timestamp() * _NANOSECONDS)
