"""How fast signed messages are taken in, in times of a bare route that stores their bytes.

Both run under the same server, with as many threads, on SQLite with the same durability; the same
client signs and posts to each in turn. The bare route verifies nothing, checks nothing, translates
nothing and owes nothing. Only ratios mean anything. `python -m benchmarks.intake MESSAGES`.
"""

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response, request
from standardwebhooks import Webhook

from fhirbridge.cli.serving import Served
from fhirbridge.fhir import codec
from fhirbridge.store.sqlite import pragmas

MESSAGES = 200
PAIRS = 3
AT_ONCE = 4
TOP = Path(__file__).parents[1]
SAMPLE = codec.decode(
    (TOP / "fhirbridge" / "samples" / "01-iv-series-visit-1.v1.json").read_bytes()
)
NUMBERS = count()


def bare(database: str, ready: str) -> None:
    """Serve a route that stores the bytes of each body in a commit of its own."""

    def make() -> Flask:
        app = Flask(__name__)
        with connected(database) as tx:
            tx.execute("CREATE TABLE body (id INTEGER PRIMARY KEY, raw BLOB NOT NULL)")

        @app.post("/webhooks/v1/sessions")
        def take() -> Response:
            connection = connected(database)
            with connection:
                connection.execute("INSERT INTO body (raw) VALUES (?)", (request.get_data(),))
            connection.close()
            return Response(status=202)

        return app

    def started(worker: Any) -> None:
        host, port = worker.sockets[0].getsockname()[:2]
        Path(ready).write_text(f"http://{host}:{port}\n", encoding="ascii")

    Served(make, {"bind": "127.0.0.1:0", "post_worker_init": started}).run()


def connected(database: str) -> sqlite3.Connection:
    """Open a database as fhirbridge opens its own."""
    connection = sqlite3.connect(database)
    for one in pragmas(sqlite3.sqlite_version_info):
        connection.execute(one)
    connection.execute("PRAGMA busy_timeout=30000")
    return connection


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[str]:
    """Give the address of a server that is started with these words and a file to say it in."""
    ready = folder / "ready"
    command = [sys.executable, *words, str(ready)]
    running = subprocess.Popen(command, cwd=TOP, stderr=subprocess.DEVNULL, env=environment(folder))
    try:
        while not ready.exists() or not ready.read_text().endswith("\n"):
            if running.poll() is not None:
                raise SystemExit("a server did not start")
            time.sleep(0.05)
        yield ready.read_text().strip()
    finally:
        running.terminate()
        running.wait()


def environment(folder: Path) -> dict[str, str]:
    """Return our environment with an installation of its own."""
    unlimited = {"FHIRBRIDGE_REQUESTS_PER_SECOND": "0"}
    return {**os.environ, "FHIRBRIDGE_HOME": str(folder / "home"), **unlimited}


def fhirbridge(folder: Path, *words: str) -> str:
    """Run one command and return what it printed."""
    command = [sys.executable, "-m", "fhirbridge", *words]
    done = subprocess.run(
        command, cwd=TOP, check=True, env=environment(folder), capture_output=True, text=True
    )
    return done.stdout.strip()


def posted(address: str, secret: str, messages: int) -> list[float]:
    """Post so many messages; return the seconds that each took, and last those of all."""
    signer = Webhook(secret)
    sessions = [requests.Session() for _ in range(AT_ONCE)]

    def post(place: int) -> list[float]:
        taken = []
        for _ in range(messages // AT_ONCE):
            number = next(NUMBERS)
            body = codec.encode({**SAMPLE, "session_id": f"s-{number}"})
            at = datetime.now(UTC)
            headers = {
                "Content-Type": "application/json",
                "webhook-id": f"msg_{number}",
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": signer.sign(f"msg_{number}", at, body.decode()),
            }
            begin = time.perf_counter()
            answer = sessions[place].post(
                f"{address}/webhooks/v1/sessions", data=body, headers=headers, timeout=60
            )
            taken.append(time.perf_counter() - begin)
            if answer.status_code != requests.codes.accepted:
                raise SystemExit(f"answered {answer.status_code}")
        return taken

    begin = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        each = [one for part in pool.map(post, range(AT_ONCE)) for one in part]
    return [*each, time.perf_counter() - begin]


def main(messages: int) -> None:
    """Print the medians of both, and their ratios."""
    rates, slowest = [], []
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        ours, theirs = Path(one), Path(other)
        fhirbridge(ours, "init")
        secret = fhirbridge(ours, "webhook-source", "add", "benchmark")
        serve = ("-m", "fhirbridge", "serve", "--no-deliver", "--bind", "127.0.0.1:0")
        plain = ("-m", "benchmarks.intake", "bare", str(theirs / "bodies.db"))
        with serving(ours, *serve, "--ready-file") as signed, serving(theirs, *plain) as bodies:
            for address in (signed, bodies):
                posted(address, secret, AT_ONCE)  # opens connections, compiles, fills caches
            for _ in range(PAIRS):
                a, b = posted(signed, secret, messages), posted(bodies, secret, messages)
                rates.append((messages / a[-1], messages / b[-1]))
                slowest.append(tuple(statistics.quantiles(x[:-1], n=100)[98] for x in (a, b)))
    ours_rate, bare_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    ours_p99, bare_p99 = (statistics.median(column) for column in zip(*slowest, strict=True))
    print(f"{PAIRS} pairs of {messages} messages, {AT_ONCE} at once")
    print(f"a second: {ours_rate:.0f} signed and durable, {bare_rate:.0f} bare")
    print(f"p99: {ours_p99 * 1000:.0f} ms, bare {bare_p99 * 1000:.0f} ms")
    print(f"ratio of rates {ours_rate / bare_rate:.2f}, of p99 {ours_p99 / bare_p99:.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        bare(*sys.argv[2:])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES)
