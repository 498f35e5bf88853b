"""O19, and connections that are kept: reused when whole, replaced when closed, never mixed up."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhirbridge.egress.exchange import Request, Response, Unknown
from fhirbridge.egress.transport import HttpTransport
from tests.egress import fake_server
from tests.egress.conftest import Serve
from tests.egress.fake_server import Step, Talk, get, put


def test_a_connection_is_used_again(serve: Serve, transport: HttpTransport) -> None:
    server = serve()

    for _ in range(5):
        assert isinstance(transport.send(put(server.url), deadline_seconds=2), Response)

    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    serve: Serve, transport: HttpTransport
) -> None:
    server = serve(
        fake_server.answer_and_hang_up(fake_server.OK), fake_server.answer(fake_server.OK)
    )
    transport.send(put(server.url), deadline_seconds=2)
    for thread in threading.enumerate():
        if thread.name.endswith("(_serve)"):
            thread.join(timeout=2)

    answer = transport.send(put(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert (server.connections, len(server.seen)) == (2, 2)


@pytest.mark.parametrize("method", ["PUT", "POST", "GET", "DELETE"])
@pytest.mark.parametrize(
    "step", [fake_server.commit_then_drop, fake_server.drop_while_written_to], ids=["fin", "rst"]
)
def test_o19_a_kept_connection_closed_as_we_write_is_unknown_and_never_sent_again(
    serve: Serve, transport: HttpTransport, step: Step, method: str
) -> None:
    server = serve(fake_server.answer(fake_server.OK), step)
    request = Request(method=method, url=server.url, headers={}, body=b"{}")
    transport.send(get(server.url), deadline_seconds=2)

    answer = transport.send(request, deadline_seconds=2)

    assert isinstance(answer, Unknown)
    assert (server.connections, len(server.seen)) == (1, 2)


def test_a_connection_is_not_used_again_after_a_broken_answer(
    serve: Serve, transport: HttpTransport
) -> None:
    server = serve(fake_server.answer(fake_server.BAD_CHUNK), fake_server.answer(fake_server.OK))
    transport.send(put(server.url), deadline_seconds=2)

    answer = transport.send(put(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert server.connections == 2


def test_threads_never_get_each_others_answers(serve: Serve, transport: HttpTransport) -> None:
    def echo(talk: Talk) -> None:
        talk.say(fake_server.http(talk.body()))

    server = serve(echo)

    def ask(number: int) -> bool:
        body = b"%d" % number
        answer = transport.send(put(server.url, body), deadline_seconds=10)
        return isinstance(answer, Response) and answer.body == body

    with ThreadPoolExecutor(8) as pool:
        right = list(pool.map(ask, range(200)))

    assert all(right)
    assert server.connections <= 200


def test_after_close_no_connection_is_left_open(serve: Serve, transport: HttpTransport) -> None:
    ended = threading.Event()

    def watch(talk: Talk) -> None:
        talk.say(fake_server.OK)
        if not talk.head():
            ended.set()
        talk.hang_up()

    server = serve(watch)
    transport.send(get(server.url), deadline_seconds=2)

    transport.close()

    assert ended.wait(2)
