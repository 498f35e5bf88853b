"""A backlog comes line by line: each line is stored and answered for itself, in little memory."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from fhirbridge.records.lines import lines
from fhirbridge.store.engine import StoreBusyError
from fhirbridge.store.tables import delivery
from tests.records.test_stock import a_stock
from tests.records.visits import a_visit
from tests.web.service import MOST_BYTES, Service
from tests.web.test_sessions import connect

BULK = "/api/v1/records/bulk"
NDJSON = "application/x-ndjson"
CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


def send(service: Service, body: bytes, **more: Any) -> TestResponse:
    client = service.client(Role.INTEGRATOR)
    return client.post(BULK, data=body, content_type=NDJSON, **more)


def told(answer: TestResponse) -> list[dict[str, Any]]:
    return [codec.decode(line) for line in answer.data.splitlines()]


def backlog(*names: str) -> bytes:
    return b"".join(codec.encode(a_visit(session_id=name)) + b"\n" for name in names)


def test_each_line_is_stored_and_answered_and_the_last_one_counts(service: Service) -> None:
    stock = codec.encode(a_stock())
    body = backlog("a", "b") + b"\r\n{}\nno JSON\n" + stock + b"\n" + codec.encode(a_visit())

    answer = send(service, body)

    assert [(one["line"], one["status"], one["state"]) for one in told(answer)] == [
        (1, 202, "current"),
        (2, 202, "current"),
        (4, 422, "refused"),
        (5, 400, "refused"),
        (6, 202, "current"),
        (7, 202, "current"),
        (7, 200, "complete"),
    ]
    assert told(answer)[-1]["detail"] == "2 refused"
    assert service.stored() == 3


def test_a_backlog_goes_after_all_that_is_live(service: Service, sandbox: str) -> None:
    connect(service, sandbox)

    send(service, backlog("a"))
    service.send(a_visit())

    with service.bridge._store.read() as tx:
        assert set(tx.scalars(select(delivery.c.low))) == {True, False}


def test_what_is_sent_again_is_a_repeat(service: Service) -> None:
    first, again = send(service, backlog("a", "b")), send(service, backlog("a", "b"))

    assert [one["state"] for one in told(again)] == ["repeated", "repeated", "complete"]
    assert [one["id"] for one in told(again)] == [one["id"] for one in told(first)]


def test_a_line_that_is_too_long_is_refused_and_the_next_one_is_taken(service: Service) -> None:
    long = b'{"x":"' + b"x" * (3 * MOST_BYTES) + b'"}\n'

    answer = send(service, long + backlog("a"))

    assert [(one["line"], one["status"]) for one in told(answer)] == [(1, 413), (2, 202), (2, 200)]


def test_a_whole_backlog_may_be_larger_than_one_body(service: Service) -> None:
    names = [str(number) for number in range(9)]
    assert len(backlog(*names)) > MOST_BYTES

    whole = send(service, backlog(*names))
    stream = io.BytesIO(backlog("x", *names))
    by_chunks = service.client(Role.INTEGRATOR).post(
        BULK, content_type=NDJSON, environ_overrides={"wsgi.input": stream, **CHUNKED}
    )

    assert told(whole)[-1]["state"] == told(by_chunks)[-1]["state"] == "complete"
    assert service.stored() == 10


def test_i16_a_connection_that_breaks_leaves_what_was_answered(service: Service) -> None:
    class Broken(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            if not line:
                raise ConnectionResetError
            return line

    client = service.client(Role.INTEGRATOR)
    stream = {"wsgi.input": Broken(backlog("a", "b")), **CHUNKED}

    with pytest.raises(ConnectionResetError):
        client.post(BULK, content_type=NDJSON, environ_overrides=stream)

    assert service.stored() == 2
    assert [one["state"] for one in told(send(service, backlog("a", "b")))] == [
        "repeated",
        "repeated",
        "complete",
    ]


def test_i20_a_database_that_is_busy_breaks_it_off_at_a_line_that_is_named(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = service.bridge.take_item
    count = iter(range(10))

    def busy(raw: bytes, **more: Any) -> Any:
        if next(count) == 1:
            raise StoreBusyError("locked")
        return take(raw, **more)

    monkeypatch.setattr(service.bridge, "take_item", busy)

    answer = send(service, backlog("a", "b", "c"))

    assert [(one["line"], one["status"], one["state"]) for one in told(answer)] == [
        (1, 202, "current"),
        (2, 503, "broken off"),
    ]
    assert service.stored() == 1


def test_a_place_is_given_back_whatever_becomes_of_a_backlog(service: Service) -> None:
    for _ in range(5):
        assert send(service, backlog("a")).status_code == 200
        assert send(service, b"", headers={"Content-Encoding": "gzip"}).status_code == 415


def test_lines_are_read_one_by_one_and_never_more_than_the_limit() -> None:
    asked: list[int] = []

    class Endless(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            asked.append(size or -1)
            return b"x" * (size or 0) if len(asked) < 1000 else b"\n"

    def first(found: Iterator[bytes | None]) -> bytes | None:
        return next(found)

    assert first(lines(Endless(), 100)) is None
    assert (len(asked), max(asked)) == (1000, 102)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", []),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\n\nb\n", [b"a", b"", b"b"]),
        (b"1234\n12345\n1234", [b"1234", None, b"1234"]),
        (b"1234\r\n12345\r\n", [b"1234", None]),
        (b"1234567", [None]),
        (b"12345", [None]),
    ],
)
def test_lines_have_their_ends_taken_off(body: bytes, found: list[bytes | None]) -> None:
    assert list(lines(io.BytesIO(body), 4)) == found
