"""Send in the background: a hand for each endpoint that has something to take.

One that hangs keeps its own hand, and nobody else's; no delivery waits for any.
"""

import threading

from fhirbridge import log
from fhirbridge.errors import BridgeError
from fhirbridge.webhooks import sender
from fhirbridge.webhooks.sender import Rooms

LOOK_SECONDS = 2.0
LOOKS_OF_AN_ERASURE = 1800  # once an hour


class Posting:
    """Looks for what is owed and hires hands, until it is stopped."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._hands: dict[str, threading.Thread] = {}  # by endpoint
        self._looks = 0

    def start(self) -> None:
        """Start the thread; after a fork, never before."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Begin nothing new, and wait for what is under way."""
        self._stop.set()
        until = self._rooms.clock.monotonic() + timeout_seconds
        for one in (self._thread, *self._hands.values()):
            if one.is_alive():
                one.join(max(until - self._rooms.clock.monotonic(), 0))

    def look(self) -> None:
        """Write what is owed, and begin where something is due."""
        sender.prepare(self._rooms)
        if self._looks % LOOKS_OF_AN_ERASURE == 0:
            sender.erase(self._rooms)
        self._looks += 1
        self._hands = {name: one for name, one in self._hands.items() if one.is_alive()}
        for endpoint in sender.ready(self._rooms):
            if endpoint not in self._hands:
                hand = threading.Thread(
                    target=self._send, args=(endpoint,), name="webhook", daemon=True
                )
                self._hands[endpoint] = hand
                hand.start()

    def _goes_on(self) -> bool:
        return not self._stop.is_set()

    def _send(self, endpoint: str) -> None:
        try:
            sender.send_due(self._rooms, endpoint, self._goes_on)
        except BridgeError as error:
            log.get().error("webhooks.broke_off", code=error.code)
        except Exception as error:  # noqa: BLE001  one endpoint must not stop the others
            log.get().error("webhooks.broke_off", kind=type(error).__name__)

    def _run(self) -> None:
        while self._goes_on():
            try:
                self.look()
            except BridgeError as error:
                log.get().error("webhooks.broke_off", code=error.code)
            except Exception as error:  # noqa: BLE001  a thread that ends sends nothing any more
                log.get().error("webhooks.broke_off", kind=type(error).__name__)
            self._stop.wait(LOOK_SECONDS)
