"""The full numbers of docs/requirements.md that no test has room for, for `make prove`."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhirbridge.clock import SystemClock
from tests.factories import World
from tests.mapping_sets import few_mappings
from tests.numbers import full_disk, measuring, sending, two_processes
from tests.numbers.killing import Killing, Toll, a_backlog, a_visit_and_its_amendment
from tests.numbers.test_no_phi import FAULTS, SHOWN, leaks
from tests.numbers.test_waking import one_day_of
from tests.operate.conftest import (
    Desk,
    desk,  # noqa: F401  a fixture
    ehr,  # noqa: F401  a fixture
    installed,  # noqa: F401  a fixture
    written_mappings,  # noqa: F401  a fixture
)
from tests.operate.ehr_at_work import EhrAtWork
from tests.operate.test_stopping import running
from tests.outbox.test_low_lane import pile_up
from tests.source_rules import ROOT

Say = Callable[[str], None]
KILLS, RESTARTS, UNCHANGED, EDITS = 1000, 100, 1000, 1000


@pytest.fixture
def far() -> Iterator[EhrAtWork]:
    with EhrAtWork() as at_work:
        yield at_work


def test_r01_p01_a_thousand_kills(
    far: EhrAtWork,
    written_mappings: Path,  # noqa: F811
    tmp_path: Path,
    say: Say,
) -> None:
    killing = Killing(tmp_path, written_mappings, far, a_visit_and_its_amendment())
    toll = Toll()

    for number in range(KILLS):
        killing.run(number % len(killing.boundaries) + 1, toll)

    assert toll.wrong == []
    say(f"R1, P1: {toll.told()}; {len(killing.boundaries)} boundaries, each met")


def test_r20_a_hundred_kills_while_a_backlog_goes(
    far: EhrAtWork,
    written_mappings: Path,  # noqa: F811
    tmp_path: Path,
    say: Say,
) -> None:
    killing = Killing(tmp_path, written_mappings, far, a_backlog(2, 5))
    sending_begins = killing.boundaries.index("before the request")
    places = range(sending_begins, len(killing.boundaries))
    toll = Toll()

    for number in range(RESTARTS):
        killing.run(places[number * len(places) // RESTARTS] + 1, toll)

    assert toll.wrong == []
    assert max(toll.resent) <= 1
    say(f"R20: {toll.runs} kills: units of a lane sent again, by run: {dict(toll.resent)}")


def test_r02_the_same_record_a_hundred_times_from_eight_threads(tmp_path: Path, say: Say) -> None:
    receipts, wrong = sending.same_record(tmp_path, times=104, threads=8)

    assert wrong == []
    say(f"R2: one record {receipts} times, by 8 threads: each source 1 resource in 1 version")


def test_r03_a_thousand_unchanged_records(say: Say) -> None:
    requests, versions = sending.unchanged(UNCHANGED)

    assert (requests, versions) == (0, 0)
    say(f"R3: {UNCHANGED} unchanged records: {requests} requests, {versions} new versions")


def test_r05_two_hundred_patients_with_fifty_edits(say: Say) -> None:
    found = sending.Edits(patients=200, edits=50).run()

    assert (found.inversions, found.unfinished) == (0, 0)
    say(
        f"R5: 200 patients, 50 edits, 8 workers, {found.faults.total()} faults, {found.kills} "
        f"kills: {found.versions} versions, {found.inversions} inversions"
    )


def test_r08_one_bad_record_of_a_thousand(say: Say) -> None:
    found = sending.one_bad(1000)

    assert found == sending.Isolated(delivered=996, parked=1, blocked=3, others=0)
    say(f"R8: 1 bad of 1,000: {found.delivered} arrived, {found.blocked} wait, blocked-by")


def test_r12_an_hour_without_an_answer(say: Say) -> None:
    requests, probes = measuring.an_hour_down()

    assert requests <= 30
    assert probes <= 1
    say(f"R12: an hour down: {requests} requests; {probes} probe before all went again")


def test_r12_the_lag_beside_an_ehr_that_is_down(tmp_path: Path, say: Say) -> None:
    alone, beside = measuring.beside_a_broken_one(tmp_path, rounds=6, samples=10)

    assert beside < 1.1 * alone
    say(f"R12: p95 of the lag beside an EHR that is down: {beside / alone:.2f} times that without")


def test_r34_the_lag_at_the_load_of_ten_clinics(tmp_path: Path, say: Say) -> None:
    found = measuring.ten_clinics(tmp_path, sessions=60, apart=5)  # at five times their peak

    assert found.counted == 2 * 60 - 59  # what all share went with the first one
    assert (found.p95 <= 5, found.p99 <= 30) == (True, True)
    say(
        f"R34: 60 visits, one in 5 s in the mean: lag p50 {found.p50:.1f} s, "
        f"p95 {found.p95:.1f} s, p99 {found.p99:.1f} s"
    )


def test_r16_the_lag_beside_an_ehr_that_takes_thirty_seconds(tmp_path: Path, say: Say) -> None:
    alone = measuring.p95(measuring.beside_a_slow_one(tmp_path, slow=False, samples=40))
    beside = measuring.p95(measuring.beside_a_slow_one(tmp_path, slow=True, samples=40))

    assert beside < 2 * alone
    say(f"R16: p95 of the lag beside a slow EHR: {beside / alone:.2f} times that without")


def test_r17_a_bundle_that_is_too_large(say: Say) -> None:
    refused, size = measuring.too_large()

    assert refused <= 4
    assert size <= 20
    say(f"R17: 413 above 20 entries: settled at {size} after {refused} refused requests")


def test_r18_a_pause_is_heeded_within_five_seconds(tmp_path: Path, say: Say) -> None:
    seconds, late = measuring.pause_takes(tmp_path)

    assert late == 0
    say(f"R18: the last request came {seconds:.2f} s after the pause, none later than 5 s")


def test_r19_live_records_among_a_hundred_thousand_backfills(tmp_path: Path, say: Say) -> None:
    lag = measuring.p95(measuring.among_backfills(tmp_path, pile_up, samples=40))

    assert lag <= 10
    say(f"R19: 100,000 backfills queued: p95 of the lag of live records {lag:.1f} s")


def test_r23_a_thousand_edits_between_our_look_and_our_write(say: Say) -> None:
    kept, held = sending.edited_just_before(EDITS)

    assert (kept, held) == (EDITS, EDITS)
    say(f"R23: {kept} of {EDITS} edits kept, {held} amendments wait for a person")


def test_r32_nothing_of_who_did_not_agree(say: Say) -> None:
    requests, naming, arrived = sending.withheld(1000)

    assert (naming, arrived) == (0, 1000)
    say(f"R32: 500 patients withheld: {naming} of {requests} requests name one of them")


def test_r33_one_day_of_a_year(say: Say) -> None:
    world = World(mapped=few_mappings)
    world.connect()

    considered, sent, planned = one_day_of(world, 365)

    assert (considered, sent, planned) == (1, 0, 1)
    say(f"R33: 1 day of 365: {considered} record considered, {sent} requests")


def test_r35_throughput_of_our_side(tmp_path: Path, say: Say) -> None:
    rate, ratio = measuring.throughput(tmp_path, sessions=100)

    say(
        f"R35: {rate:.0f} resource versions in a second of processor time (goal 200); "
        f"delivering a session takes {ratio:.2f} times what taking it in does"
    )
    assert rate >= 200


def test_r39_p17_a_service_that_is_ended_while_an_ehr_hangs(
    desk: Desk,  # noqa: F811
    ehr: EhrAtWork,  # noqa: F811
    say: Say,
) -> None:
    desk.take(*two_processes.visits(3))
    gate = two_processes.Gate(ehr, first=2)
    clock = SystemClock()
    with running(desk, "serve", "--bind", "127.0.0.1:0") as service:
        assert gate.reached.wait(60)
        began = clock.monotonic()
        service.send_signal(signal.SIGTERM)
        service.wait(60)
        took = clock.monotonic() - began
        gate.opened.set()

    assert took <= 30
    leased = "SELECT lane FROM lane WHERE leased_until != ''"
    assert two_processes.rows(desk.home, leased) == []
    say(f"R39, P17: SIGTERM while the EHR hangs: ended after {took:.1f} s, every lane free")


def test_r40_every_fault(say: Say) -> None:
    found: Counter[str] = Counter()
    for _, trouble in FAULTS:
        found.update(leaks(trouble))

    assert found.total() == 0
    say(f"R40: a token in every field, {len(FAULTS)} faults, {len(SHOWN)} places: 0 hits")


def test_p03_two_processes_and_one_queue(
    desk: Desk,  # noqa: F811
    ehr: EhrAtWork,  # noqa: F811
    say: Say,
) -> None:
    ended, versions = two_processes.two_workers(desk, ehr, patients=100)

    assert set(versions) == {1}
    assert set(ended) <= {0, 3}
    say(f"P3: 2 processes, 100 patients: {versions[1]} resources, each in 1 version")


def test_p07_o28_a_disk_that_is_really_full(tmp_path: Path, say: Say) -> None:
    apart = ["unshare", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*apart, sys.executable, "-m", full_disk.__name__, str(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    say(f"P7: {done.stdout.strip()}")
