"""A scripted server on a real socket that misbehaves on purpose.

Each request that arrives, on whatever connection, plays the next step; the last one repeats.
"""

import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

from fhirbridge.egress.exchange import Request

Step: TypeAlias = Callable[["Talk"], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(slots=True, kw_only=True)
class Seen:
    """A request as it came; `body` is filled when a step reads it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Talk:
    """One connection, as a step sees it after the head of a request has come."""

    sock: socket.socket
    stop: threading.Event
    seen: Seen = field(default_factory=lambda: Seen(method="", target="", headers={}))
    rest: bytes = b""
    over: bool = False

    def head(self) -> bool:
        """Wait for the next request's head; False when the client has gone."""
        while b"\r\n\r\n" not in self.rest:
            more = self.sock.recv(65536)
            if not more:
                return False
            self.rest += more
        raw, self.rest = self.rest.split(b"\r\n\r\n", 1)
        first, *lines = raw.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        self.seen = Seen(method=method, target=target, headers=headers)
        return True

    def body(self) -> bytes:
        """Read the request's body; asked again, return what was read."""
        size = int(self.seen.headers.get("content-length", "0")) - len(self.seen.body)
        while len(self.rest) < size and (more := self.sock.recv(65536)):
            self.rest += more
        self.seen.body += self.rest[:size]
        self.rest = self.rest[size:]
        return self.seen.body

    def say(self, raw: bytes) -> None:
        self.sock.sendall(raw)

    def hang_up(self) -> None:
        self.over = True

    def reset(self) -> None:
        """Hang up with a RST, so that the client's next read fails instead of ending."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.over = True


class FakeServer:
    """Listens on a free port of this machine until closed, and remembers what came."""

    def __init__(self, *steps: Step, context: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.greeting = b""  # said as soon as a client connects
        self._steps = steps or (answer(OK),)
        self._context = context
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for sock in self._open:
                with suppress(OSError):  # the client may have reset it
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock if self._context is None else self._wrapped(self._context, sock) as secured:
                self._converse(secured)
        except OSError:  # the client hung up, or refused the handshake
            return

    @staticmethod
    def _wrapped(context: ssl.SSLContext, sock: socket.socket) -> socket.socket:
        try:
            return context.wrap_socket(sock, server_side=True)
        except BaseException:
            sock.close()
            raise

    def _converse(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.add(sock)
        try:
            sock.sendall(self.greeting)
            talk = Talk(sock, self._stop)
            while not self._stop.is_set() and not talk.over and talk.head():
                with self._lock:
                    self.seen.append(talk.seen)
                    step = self._steps[min(len(self.seen), len(self._steps)) - 1]
                step(talk)
        finally:
            with self._lock:
                self._open.discard(sock)


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole answer with its length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def gzipped(body: bytes) -> bytes:
    """Return the same bytes each time: without a date."""
    return gzip.compress(body, mtime=0)


def chunked(*pieces: bytes) -> bytes:
    """Return a whole answer in chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed


def answer(raw: bytes) -> Step:
    """Take the request, say `raw`, and keep the connection."""

    def step(talk: Talk) -> None:
        talk.body()
        talk.say(raw)

    return step


def answer_and_hang_up(raw: bytes) -> Step:
    """Take the request, say `raw` (or the beginning of an answer), and close."""

    def step(talk: Talk) -> None:
        answer(raw)(talk)
        talk.hang_up()

    return step


def commit_then_drop(talk: Talk) -> None:
    """Take the whole request and close without a word."""
    talk.body()
    talk.hang_up()


def commit_then_reset(talk: Talk) -> None:
    """Take the whole request and reset the connection."""
    talk.body()
    talk.reset()


def drop_while_written_to(talk: Talk) -> None:
    """Hang up when the head has come, with the body under way."""
    talk.reset()


def silence(talk: Talk) -> None:
    """Take the whole request and never answer."""
    talk.body()
    talk.stop.wait(10)
    talk.hang_up()


def deaf(talk: Talk) -> None:
    """Never read the body, never answer."""
    talk.stop.wait(10)
    talk.hang_up()


def sip(talk: Talk) -> None:
    """Read the body slowly, never answer."""
    while not talk.stop.wait(0.05) and talk.sock.recv(65536):
        pass
    talk.hang_up()


def drip(raw: bytes, *, every_seconds: float = 0.02) -> Step:
    """Take the request and say `raw` byte by byte."""

    def step(talk: Talk) -> None:
        talk.body()
        for byte in raw:
            if talk.stop.wait(every_seconds):
                return
            talk.say(bytes([byte]))

    return step


def endless(first: bytes, again: bytes) -> Step:
    """Take the request, say `first`, then `again` for ever."""

    def step(talk: Talk) -> None:
        talk.body()
        talk.say(first)
        while not talk.stop.is_set():
            talk.say(again)

    return step


def redirect(to: str, status: str = "307 Temporary Redirect") -> Step:
    return answer(http(b"moved", f"Location: {to}", status=status))


HALF_HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: appli"
WRONG_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}"
BAD_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
HTML_200 = http(b"<html>Please sign in</html>", "Content-Type: text/html")
GZIP_BOMB = http(gzipped(bytes(5_000_000)), "Content-Encoding: gzip")


def put(url: str, body: bytes | None = b'{"resourceType": "Patient"}') -> Request:
    return Request(
        method="PUT",
        url=f"{url}/fhir/Patient/abc",
        headers={"Content-Type": "application/fhir+json", "If-Match": 'W/"3"'},
        body=body,
    )


def get(url: str) -> Request:
    return Request(method="GET", url=f"{url}/fhir/Patient/abc", headers={})
