"""Workers on hosts of their own: network namespaces, with ways to one database and one EHR only.

Where namespaces are not allowed (they want root), the workers run side by side on one network,
and what is told of the run says so.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from tests.journey import processes

LIBC = ctypes.CDLL(None)
CLONE_NEWNET = 0x40000000
NAMESPACES = Path("/run/netns")

# A lease of a minute is long for a test: `lease_seconds` shortens it, and what goes with it.
WORKER = """
import sys
from datetime import timedelta
from fhirbridge.outbox import claim
seconds = float(sys.argv.pop(1))
claim.AT_WORK *= seconds / claim.LEASE.total_seconds()
claim.LEASE = timedelta(seconds=seconds)
from fhirbridge.cli import main
main()
"""


class Relay:
    """A way from 127.0.0.1 of a host to the same port of this machine."""

    def __init__(self, host: str, port: int) -> None:
        self._port = port
        self._listening = _within(host, lambda: socket.create_server(("127.0.0.1", port)))
        self._over = Event()
        Thread(target=self._listen, daemon=True).start()

    def cut(self) -> None:
        """Pass on nothing more; what is on its way is lost."""
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while not self._over.is_set():
                ours, _ = self._listening.accept()
                Thread(target=self._pass_on, args=(ours,), daemon=True).start()

    def _pass_on(self, ours: socket.socket) -> None:
        with ours, suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as theirs:
            sides = {ours: theirs, theirs: ours}
            while not self._over.is_set():
                for side in select.select([*sides], [], [], 0.2)[0]:
                    said = side.recv(65_536)
                    if not said:
                        return
                    sides[side].sendall(said)


@dataclass
class Network:
    """The networks of the hosts, each apart from all others; no `relays` where none are allowed."""

    names: list[str]
    relays: dict[str, list[Relay]]

    @property
    def is_apart(self) -> bool:
        return bool(self.relays)

    def within(self, host: int) -> list[str]:
        """Return the words before a command that is run on a host."""
        return ["ip", "netns", "exec", self.names[host]] if self.is_apart else []

    def cut(self, host: int) -> None:
        """Take a host's ways out away."""
        for relay in self.relays.pop(self.names[host], []):
            relay.cut()


@contextmanager
def network(hosts: int, ports: Sequence[int]) -> Iterator[Network]:
    """Make a network namespace for each host, with ways to these ports, or say there are none."""
    names = [f"fhirbridge-{os.getpid()}-{host}" for host in range(hosts)]
    made = Network(names, {})
    try:
        try:
            for name in names:
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
                made.relays[name] = [Relay(name, port) for port in ports]
        except (OSError, subprocess.CalledProcessError):
            made.relays.clear()
        yield made
    finally:
        for host, name in enumerate(names):
            made.cut(host)
            with suppress(OSError, subprocess.CalledProcessError):
                _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _within(host: str, make: Callable[[], socket.socket]) -> socket.socket:
    """Make a socket in a host's network, where it stays: by a thread that moves there and ends."""
    made: list[socket.socket | OSError] = []

    def work() -> None:
        try:
            with (NAMESPACES / host).open() as there:
                failed = LIBC.setns(there.fileno(), CLONE_NEWNET)
            made.append(OSError("setns") if failed else make())
        except OSError as error:
            made.append(error)

    thread = Thread(target=work)
    thread.start()
    thread.join()
    (one,) = made
    if isinstance(one, OSError):
        raise one
    return one


class Host:
    """One `fhirbridge worker` on a host."""

    def __init__(self, within: list[str], env: Mapping[str, str], log: Path, lease: float) -> None:
        self.log = log
        command = [*within, sys.executable, "-c", WORKER, str(lease), "worker"]
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                command, env=dict(env), stdout=said, stderr=said, start_new_session=True
            )

    def send(self, number: signal.Signals) -> None:
        os.killpg(self._process.pid, number)

    def end(self) -> int:
        """Tell it to end; return its exit status."""
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
        return self._process.wait(processes.SECONDS)
