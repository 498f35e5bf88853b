"""How fast sessions reach a real EHR: in times of a bare loop that posts the same Bundles.

Both sides write to the same HAPI server (on H2 in memory, then on PostgreSQL) in turn, as many
requests in flight. The bare loop has the Bundles ready, as fhirbridge sent them just before, under
other ids; it reads no answer but the status, keeps nothing and could not go on after a crash. Only
ratios are shown. `python -m benchmarks.sync PAIRS` makes so many pairs.
"""

import hashlib
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import requests

from fhirbridge import settings
from fhirbridge.bridge import Bridge
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.outbox.selection import EVERYTHING
from fhirbridge.translate import mapping_set
from tests.hapi import hapi_server
from tests.journey.installation import SAMPLES, connect, install
from tests.postgres import server

PAIRS = 5
SESSIONS = 24
IN_FLIGHT = (1, 2)
SAMPLE = SAMPLES / "01-iv-series-visit-1.v1.json"
OWN_ID = re.compile(rb"\bk[a-z2-7]{52}\b")
HEADERS = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
SECONDS = 120


class Pair(NamedTuple):
    """One turn of both sides, in seconds."""

    accepting: float
    fhirbridge: float
    bare: float
    nothing: float  # to sync again, where nothing is due
    anew: float  # to make all records anew, find nothing changed, and sync


class Recorder:
    """A way to the EHR that keeps the Bundles which go through it."""

    def __init__(self, inner: Transport, kept: list[bytes]) -> None:
        self._inner = inner
        self._kept = kept

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        """Pass on."""
        if request.method == "POST" and request.body and b'"transaction"' in request.body[:200]:
            self._kept.append(request.body)
        return self._inner.send(request, deadline_seconds=deadline_seconds)


def main() -> int:
    """Print one line for each database and number of requests in flight."""
    many = max(int(sys.argv[1]), 2) if len(sys.argv) > 1 else PAIRS
    with tempfile.TemporaryDirectory() as folder, hapi_server.running(Path(folder)) as base_url:
        compare("H2", Path(folder), base_url, many)
    with (
        server.running() as postgres,
        tempfile.TemporaryDirectory() as folder,
        hapi_server.running(Path(folder), database=postgres.jdbc()) as base_url,
    ):
        compare("PostgreSQL", Path(folder), base_url, many)
    return 0


def compare(name: str, folder: Path, base_url: str, many: int) -> None:
    """Make the pairs against one server and show them."""
    print(f"{SESSIONS} sessions to HAPI on {name}, {many} pairs", flush=True)
    for in_flight in IN_FLIGHT:
        pairs = [
            one_pair(folder / f"{in_flight}-{number}", base_url, in_flight)
            for number in range(many + 1)
        ]
        show(in_flight, pairs[1:])  # the first warms both up


def one_pair(home: Path, base_url: str, in_flight: int) -> Pair:
    """Deliver, then post the same under other ids."""
    kept: list[bytes] = []
    with install(home).bridge() as bridge:
        connect(bridge, base_url)
        bridge.limit_destination("ehr", LimitChange(concurrent=in_flight), actor="benchmark")
        record(bridge, kept)
        accepting = seconds(lambda: [bridge.accept(one, actor="benchmark") for one in sessions()])
        ours = seconds(bridge.sync)
        assert bridge.status().waiting == []
        sent = len(kept)
        nothing = seconds(bridge.sync)
        change_mappings(bridge, home / "mappings")
        anew = seconds(lambda: make_anew(bridge))
        assert len(kept) == sent
    ready = [other_ids(one) for one in kept]
    bare_time = seconds(lambda: bare(base_url, ready, in_flight))
    return Pair(accepting, ours, bare_time, nothing, anew)


def change_mappings(bridge: Bridge, folder: Path) -> None:
    """Make other mappings live, which say the same, and let them be compiled."""
    shutil.copytree(settings.packaged_mappings(), folder)
    with next(folder.glob("resources/*.yaml")).open("a") as mapping:
        mapping.write("# said once more\n")
    bridge.start_mappings(mapping_set.read(folder), actor="benchmark")
    bridge.sync()


def make_anew(bridge: Bridge) -> None:
    """Translate every record again, as after a change of mappings, and sync."""
    made = bridge.replay(EVERYTHING, parked=False, actor="benchmark")
    assert made.translated == SESSIONS, made
    bridge.sync()


def record(bridge: Bridge, kept: list[bytes]) -> None:
    """Keep what goes to every EHR of this bridge."""
    ehr_for = bridge._parts.ehr_for  # noqa: SLF001  the wire is what is compared

    def recorded(destination: Any) -> Any:
        return ehr_for(destination).through(lambda inner: Recorder(inner, kept))

    object.__setattr__(bridge._parts, "ehr_for", recorded)  # noqa: SLF001


def sessions() -> list[bytes]:
    """Return the same visit of so many patients."""
    sent = SAMPLE.read_bytes()
    return [sent.replace(b"iv-001", b"iv-%d" % number) for number in range(1000, 1000 + SESSIONS)]


def other_ids(bundle: bytes) -> bytes:
    """Return a Bundle with other ids, which agree among Bundles as before."""

    def other(found: re.Match[bytes]) -> bytes:
        digest = hashlib.sha256(b"bare " + found[0]).digest()
        return b"k" + bytes(b"abcdefghijklmnopqrstuvwxyz234567"[n % 32] for n in digest * 2)[:52]

    return OWN_ID.sub(other, bundle)


def bare(base_url: str, ready: Sequence[bytes], in_flight: int) -> None:
    """Post what all share, which fhirbridge sent first, then the rest."""
    with ThreadPoolExecutor(in_flight) as pool, requests.Session() as session:

        def post(bundle: bytes) -> None:
            answer = session.post(base_url, data=bundle, headers=HEADERS, timeout=SECONDS)
            assert answer.status_code == 200, answer.status_code  # noqa: PLR2004

        post(ready[0])
        list(pool.map(post, ready[1:]))


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def show(in_flight: int, pairs: Sequence[Pair]) -> None:
    """Print medians, and half the distance between the quartiles."""
    shares = [one.bare / one.fhirbridge for one in pairs]
    low, middle, high = statistics.quantiles(shares, n=4)
    rate = statistics.median(SESSIONS / one.fhirbridge for one in pairs)
    nothing = statistics.median(one.nothing / one.fhirbridge for one in pairs)
    anew = statistics.median(one.anew / (one.accepting + one.fhirbridge) for one in pairs)
    taking = statistics.median(one.accepting / one.fhirbridge for one in pairs)
    print(
        f"  {in_flight} in flight: {middle:.2f} of the bare loop (± {(high - low) / 2:.2f}), "
        f"{rate:.1f} sessions a second; with nothing to do {nothing:.3f} of the first time; "
        f"all made anew and found unchanged {anew:.2f} of taking in and sending; "
        f"taking the records in {taking:.2f} of sending them",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
