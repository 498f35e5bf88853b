"""A way to the server that is cut at COMMIT: before the server hears it, or before we are told."""

import select
import socket
from contextlib import suppress
from threading import Event, Thread
from typing import Self

from sqlalchemy.engine import make_url

COMMIT = b"COMMIT"


class Wire:
    """Passes on what is said; `url` is the database through it."""

    def __init__(self, url: str) -> None:
        there = make_url(url)
        self._to = (str(there.host), int(there.port or 0))
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.url = there.set(port=port).render_as_string(hide_password=False)
        self._cut: bool | None = None
        self._over = Event()

    def __enter__(self) -> Self:
        Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.close()

    def cut_at_commit(self, *, arrives: bool) -> None:
        """Lose the connection at the next COMMIT, once."""
        self._cut = arrives

    def _listen(self) -> None:
        with suppress(OSError):
            while not self._over.is_set():
                ours, _ = self._listening.accept()
                Thread(target=self._pass_on, args=(ours,), daemon=True).start()

    def _pass_on(self, ours: socket.socket) -> None:
        with ours, socket.create_connection(self._to) as theirs, suppress(OSError):
            while not self._over.is_set():
                ready, _, _ = select.select([ours, theirs], [], [], 0.2)
                for side in ready:
                    said = side.recv(65_536)
                    if not said:
                        return
                    if side is ours and COMMIT in said and self._cut is not None:
                        arrives, self._cut = self._cut, None
                        if arrives:
                            theirs.sendall(said)
                            theirs.recv(65_536)  # it is done
                        return
                    (theirs if side is ours else ours).sendall(said)
