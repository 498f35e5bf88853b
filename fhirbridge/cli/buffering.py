"""gunicorn's threaded worker, whose threads never wait for a slow sender.

A request is read by the one loop that waits for all connections, and gets a thread once it is
there whole. So hundreds of senders that are slow, or mean to be, cost a place in a list each, and
for half a minute: docs/adr/0027. It overrides what gunicorn calls private; a test with real sockets
says whether a newer gunicorn still calls it.
"""

import contextlib
import socket
import struct
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from fhirbridge.cli.arriving import Arriving, Verdict
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec

REQUEST_SECONDS = 25  # from its first byte, or from the connection, to its last byte
GOODBYE_SECONDS = 2  # for the other side to close, so that it gets our answer to the end
SILENCE_SECONDS = 30  # of who sends as we read, or does not read what we send
LOOK_SECONDS = 0.5  # between two looks for those whose time is over
MOST_HELD = 64_000_000  # bytes of requests that are not answered yet, of all connections together
AT_ONCE = 65_536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _problem(status: HTTPStatus, detail: str, hint: str, more: bytes = b"") -> bytes:
    """Return a whole answer, for a request that no application sees."""
    said = codec.encode(
        {
            "type": "about:blank",
            "title": status.phrase,
            "status": status.value,
            "detail": detail,
            "instance": "urn:fhirbridge:request:unread",
            "hint": hint,
        }
    )
    first = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: {len(said)}\r\n".encode()
    rest = b"Content-Type: application/problem+json\r\nConnection: close\r\n\r\n"
    return first + more + rest + said


FULL = _problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "more requests are coming in than this service can hold; nothing was stored",
    "wait as long as Retry-After says, then send it again",
    b"Retry-After: 5\r\n",
)
TOO_LONG = _problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the head of the request, or what stands between its chunks, is too long",
    "send fewer and shorter header fields",
)


@dataclass(slots=True)
class Arrival:
    """What came of one request so far, and until when the rest must be there."""

    deadline: float
    came: bytearray = field(default_factory=bytearray)
    arriving: Arriving = field(default_factory=Arriving)
    streamed: bool = False
    continued: bool = False


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """See above. All but `handle` and what it calls runs in the loop's own thread."""

    def init_process(self) -> None:
        """Begin without a connection."""
        self._clock = SystemClock()
        self._arrivals: dict[TConn, Arrival] = {}  # that the loop reads
        self._given: dict[TConn, Arrival] = {}  # that have a thread, or wait for one
        self._leaving: dict[TConn, float] = {}  # that are closed from our side
        self._held = 0
        self._look_at = 0.0
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Take a connection, and wait for its first request."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        _bound(client)
        self.nr_conns += 1
        conn = TConn(self.cfg, client, address, listener.getsockname())
        self._await(conn, REQUEST_SECONDS)

    def handle(self, conn: TConn) -> Any:
        """Answer a request that came; in a thread."""
        conn.data_ready = True
        conn.sock.setblocking(True)
        conn.init()
        conn.parser.unreader.unread(bytes(self._given[conn].came))
        return super().handle(conn)

    def _keepalive_after(self, conn: TConn, keepalive: Any) -> bool:
        """Say whether another request may come; where not all was read, none is looked for."""
        return not self._given[conn].streamed and super()._keepalive_after(conn, keepalive)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Wait for the next request of a connection, or end it."""
        self._held -= len(self._given.pop(conn).came)
        try:
            goes_on = not fs.cancelled() and bool(fs.result()) and self.alive
            rest = conn.parser.unreader.take_buffered() if goes_on else b""
        except Exception:  # noqa: BLE001  whatever it was, it was told where it happened
            self._end(conn)
            return
        if goes_on:
            self._await(conn, self.cfg.keepalive, rest)
        else:
            self._part(conn)

    def murder_pending(self) -> None:
        """End those whose time is over; gunicorn calls it all the time."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        for conn in [one for one, arrival in self._arrivals.items() if arrival.deadline <= now]:
            self._forget(conn)
            self._end(conn)
        for conn in [one for one, deadline in self._leaving.items() if deadline <= now]:
            self._gone(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """Before the end: who sent nothing has nothing to wait for, the others little time."""
        for conn, arrival in list(self._arrivals.items()):
            arrival.deadline = min(arrival.deadline, deadline)
            if not arrival.came:
                self._forget(conn)
                self._end(conn)

    def _await(self, conn: TConn, seconds: float, begun: bytes = b"") -> None:
        """Read the next request; `begun`: what of it is there already."""
        self._arrivals[conn] = Arrival(self._clock.monotonic() + seconds)
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, EVENT_READ, partial(self._readable, conn))
        if begun:
            self._took(conn, begun)

    def _readable(self, conn: TConn, _sock: Any) -> None:
        try:
            data = conn.sock.recv(AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._forget(conn)
            self._end(conn)
            return
        if data:
            self._took(conn, data)
        elif self._arrivals[conn].came:
            self._give(conn, streamed=True)  # it ends too early, and gets an answer that says so
        else:
            self._forget(conn)
            self._end(conn)

    def _took(self, conn: TConn, data: bytes) -> None:
        arrival = self._arrivals[conn]
        if not arrival.came:
            arrival.deadline = self._clock.monotonic() + REQUEST_SECONDS
        arrival.came += data
        self._held += len(data)
        verdict = arrival.arriving.judge(arrival.came)
        if verdict is Verdict.REFUSE or self._held > MOST_HELD:
            self._forget(conn)
            _send(conn, TOO_LONG if verdict is Verdict.REFUSE else FULL)
            self._part(conn)
        elif verdict is not Verdict.WAIT:
            self._give(conn, streamed=verdict is Verdict.STREAM)
        elif arrival.arriving.expects_continue and not arrival.continued:
            arrival.continued = True
            _send(conn, CONTINUE)

    def _give(self, conn: TConn, *, streamed: bool) -> None:
        """Let a thread answer it."""
        self.poller.unregister(conn.sock)
        arrival = self._given[conn] = self._arrivals.pop(conn)
        arrival.streamed = streamed
        self.enqueue_req(conn)

    def _forget(self, conn: TConn) -> None:
        """Read no more of it."""
        self.poller.unregister(conn.sock)
        self._held -= len(self._arrivals.pop(conn).came)

    def _part(self, conn: TConn) -> None:
        """Close our side; the other one may read to the end what we said."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(conn)
            return
        self._leaving[conn] = self._clock.monotonic() + GOODBYE_SECONDS
        self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: TConn, _sock: Any) -> None:
        try:
            over = not conn.sock.recv(AT_ONCE)
        except (BlockingIOError, InterruptedError):
            over = False
        except OSError:
            over = True
        if over:
            self._gone(conn)

    def _gone(self, conn: TConn) -> None:
        del self._leaving[conn]
        self.poller.unregister(conn.sock)
        self._end(conn)

    def _end(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def _bound(client: socket.socket) -> None:
    """Let no thread wait for long on what is read or written as it comes."""
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        client.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SILENCE_SECONDS, 0))


def _send(conn: TConn, said: bytes) -> None:
    """Say a few bytes, which always fit; a sender who is gone hears nothing."""
    with contextlib.suppress(OSError):
        conn.sock.send(said)
