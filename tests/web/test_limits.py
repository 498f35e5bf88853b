"""I11: what is too large is refused before it is read whole, with or without a length."""

import io

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from tests.records.visits import a_visit
from tests.web.service import JSON, MOST_BYTES, SESSIONS, Service

CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


class CountingBody(io.RawIOBase):
    """A body without an end that knows how much of it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        buffer[:] = b" " * len(buffer)
        self.taken += len(buffer)
        return len(buffer)


def test_a_body_of_just_the_limit_is_read(service: Service) -> None:
    body = b" " * MOST_BYTES

    assert service.send(body).status_code == 400


def test_a_body_past_the_limit_is_refused(service: Service) -> None:
    assert service.send(b" " * (MOST_BYTES + 1)).status_code == 413


@pytest.mark.parametrize("length", [MOST_BYTES + 2, 10**10, 10**30])
def test_a_body_that_says_it_is_too_large_is_not_read_at_all(service: Service, length: int) -> None:
    body = CountingBody()

    answer = service.send_stream(body, {"CONTENT_LENGTH": str(length)})

    assert (answer.status_code, body.taken) == (413, 0)


def test_a_chunked_body_without_an_end_is_cut_off(service: Service) -> None:
    body = CountingBody()

    answer = service.send_stream(body, CHUNKED)

    assert answer.status_code == 413
    assert body.taken <= 2 * MOST_BYTES
    assert service.stored() == 0


def test_a_chunked_body_is_not_cut_into_a_record_that_passes(service: Service) -> None:
    record = codec.encode(a_visit())
    whole = record + b" " * (MOST_BYTES - len(record))

    too_long = service.send_stream(io.BytesIO(whole + b"x"), CHUNKED)
    just_right = service.send_stream(io.BytesIO(whole), CHUNKED)

    assert (too_long.status_code, just_right.status_code) == (413, 202)
    assert codec.decode(just_right.data)["state"] == "current"


def test_an_endless_body_costs_a_stranger_more_than_us(service: Service) -> None:
    body = CountingBody()

    answer = service.client().post(
        SESSIONS, content_type=JSON, environ_overrides={"wsgi.input": body, **CHUNKED}
    )

    assert (answer.status_code, body.taken) == (401, 0)


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "0x10"])
def test_a_length_that_is_no_number_stores_nothing(service: Service, length: str) -> None:
    answer = service.send_stream(io.BytesIO(b"{}"), {"CONTENT_LENGTH": length})

    assert answer.status_code == 400
    assert service.stored() == 0


def test_i16_a_sender_that_hangs_up_in_the_middle_leaves_nothing(service: Service) -> None:
    answer = service.send_stream(io.BytesIO(b'{"session_id": '), {"CONTENT_LENGTH": "1000"})

    assert answer.status_code == 400
    assert service.stored() == 0


def test_a_connection_that_breaks_while_it_is_read_leaves_nothing(service: Service) -> None:
    class Broken(io.RawIOBase):
        def readinto(self, _buffer: object) -> int:
            raise ConnectionResetError

        def readable(self) -> bool:
            return True

    answer = service.send_stream(Broken(), {"CONTENT_LENGTH": "1000"})

    assert answer.status_code == 400
    assert service.stored() == 0


def test_a_limit_on_bodies_does_not_touch_what_has_none(service: Service) -> None:
    service.send(a_visit())

    answer = service.client(Role.OPERATOR).get("/api/v1/status", data=b"x" * (MOST_BYTES + 1))

    assert answer.status_code == 200
