"""Names to addresses by the operating system, with a deadline that it does not have itself."""

import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from fhirbridge.egress.exchange import UnresolvedError

MOST_AT_ONCE = 32

_Found: TypeAlias = tuple[IPv4Address | IPv6Address, ...]
_LookUp: TypeAlias = Callable[[str], Sequence[tuple[Any, ...]]]


def _system_look_up(host: str) -> Sequence[tuple[Any, ...]]:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


class SystemResolver:
    """`getaddrinfo` in a thread of its own, since nothing can interrupt it.

    A hung lookup keeps its thread until the system gives up; at most `MOST_AT_ONCE` of them do.
    """

    def __init__(self, *, look_up: _LookUp = _system_look_up) -> None:
        """`look_up` answers as `socket.getaddrinfo` does."""
        self._look_up = look_up
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)

    def resolve(self, host: str, *, timeout_seconds: float) -> _Found:
        """Return every address of `host` once, in the system's order; else UnresolvedError."""
        if not self._places.acquire(blocking=False):
            message = "too many lookups hang"
            raise UnresolvedError(message)
        answers: SimpleQueue[_Found | UnresolvedError] = SimpleQueue()
        # A daemon: a hung lookup must not keep the process from ending.
        threading.Thread(target=self._answer, args=(host, answers), daemon=True).start()
        try:
            answer = answers.get(timeout=timeout_seconds)
        except Empty:
            message = "timeout"
            raise UnresolvedError(message) from None
        if isinstance(answer, UnresolvedError):
            raise answer
        return answer

    def _answer(self, host: str, answers: "SimpleQueue[_Found | UnresolvedError]") -> None:
        try:
            rows = self._look_up(host)
            found = dict.fromkeys(ip_address(str(row[4][0])) for row in rows)
            answers.put(tuple(found) or UnresolvedError("no address"))
        except socket.gaierror as error:
            answers.put(UnresolvedError(_words(error)))
        except (OSError, ValueError):  # UnicodeError is a ValueError: a label over 63 characters
            answers.put(UnresolvedError("failed"))
        finally:
            self._places.release()


def _words(error: socket.gaierror) -> str:
    if error.errno in {socket.EAI_NONAME, socket.EAI_NODATA}:
        return "no such name"
    return "server failed" if error.errno == socket.EAI_AGAIN else "failed"
