"""Pause, resume, Ctrl-C and SIGTERM: nothing new is begun, nothing is lost, nothing goes twice."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fhirbridge.deliver.places import AHEAD
from tests.factories import a_short_visit
from tests.journey import processes
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import Asked, EhrAtWork, Trouble

pytestmark = pytest.mark.slow  # dozens of commands, each with a database of its own


def test_r18_a_paused_destination_is_asked_nothing_until_it_is_resumed(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit())

    paused = desk.run("sync", "pause", "--destination", "ehr")
    ran = desk.run("sync", "run")
    asked = list(ehr.asked)
    resumed = desk.run("sync", "resume", "--destination", "ehr")
    desk.run("sync", "run")

    assert (paused.status, ran.status, resumed.status) == (0, 3, 0)
    assert asked == []
    assert set(desk.states()) == {"delivered"}
    assert set(ehr.versions().values()) == {1}


def test_r18_a_paused_patient_waits_and_the_others_go_on(desk: Desk, ehr: EhrAtWork) -> None:
    first, _ = desk.take(a_short_visit(1, "pt-1"), a_short_visit(1, "pt-2"))
    patient = desk.json("sync", "plan", "--record", first)["deliveries"][-1]["patient"]

    desk.run("sync", "pause", "--patient", patient)
    desk.run("sync", "run")
    there = len(ehr.history("Patient"))
    told = desk.json("sync", "status")["pauses"]
    desk.run("sync", "resume", "--patient", patient)
    desk.run("sync", "run")

    assert there == 1
    assert [(one["destination"], one["patient"], one["actor"]) for one in told] == [
        ("", patient, "cli")
    ]
    assert len(ehr.history("Patient")) == 2


@pytest.mark.usefixtures("ehr")
def test_pausing_and_resuming_stand_in_the_evidence(desk: Desk) -> None:
    for command in ("pause", "pause", "resume", "resume"):
        desk.run("sync", command, "--destination", "ehr")

    assert len(desk.evidence("deliveries.paused")) == 1
    assert len(desk.evidence("deliveries.resumed")) == 1


def test_a_pause_outlasts_a_probe(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "pause", "--destination", "ehr")
    desk.run("destination", "probe", "ehr")
    ehr.asked.clear()

    assert desk.run("sync", "run").status == 3
    assert ehr.asked == []


def test_what_a_probe_must_settle_is_not_resumed_by_a_word(desk: Desk, ehr: EhrAtWork) -> None:
    ehr.promises = {"software": {"name": "another"}}
    desk.run("destination", "test", "ehr")

    said = desk.run("sync", "resume", "--destination", "ehr")

    assert said.status == 1
    assert "still paused" in said.err


def test_a_refused_sign_in_is_resumed_once_it_is_mended(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(a_short_visit())
    ehr.before = lambda _asked: (401, b"")
    desk.run("sync", "run")
    ehr.before = lambda _asked: None

    assert desk.run("sync", "resume", "--destination", "ehr").status == 0
    desk.run("sync", "run")
    assert set(desk.states()) == {"delivered"}


@pytest.mark.usefixtures("ehr")
@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((), 64),
        (("--destination", "nosuch"), 1),
        (("--patient", "nosuch"), 1),
        (("--patient", "shared"), 1),
    ],
)
def test_what_is_not_there_cannot_be_paused(
    desk: Desk, words: tuple[str, ...], status: int
) -> None:
    assert desk.run("sync", "pause", *words).status == status


def test_r18_a_pause_reaches_a_run_that_is_under_way_before_its_next_request(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.run("destination", "set", "ehr", "--concurrent", "1")
    desk.take(*(a_short_visit(1, f"pt-{number}") for number in range(6)))
    gate = Gate(ehr, after=2)

    with running(desk, "sync", "run") as run:
        gate.reached.wait(60)
        desk.run("sync", "pause", "--destination", "ehr")
        begun = len(ehr.asked)
        gate.opened.set()
        status = run.wait(60)

    assert status == 3
    assert len(ehr.asked) == begun  # the one under way was answered, none was begun
    desk.run("sync", "resume", "--destination", "ehr")
    desk.run("sync", "run")
    assert set(desk.states()) == {"delivered"}
    assert set(ehr.versions().values()) == {1}


def test_r18_a_run_that_is_cancelled_ends_after_its_exchange_and_what_is_retried_goes_once(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.run("destination", "set", "ehr", "--concurrent", "1")
    desk.take(*(a_short_visit(1, f"pt-{number}") for number in range(6)))
    gate = Gate(ehr, after=2)

    with running(desk, "sync", "run") as run:
        gate.reached.wait(60)
        cancelled = desk.run("sync", "cancel", "--destination", "ehr", "--yes", "--json")
        gate.opened.set()
        run.wait(60)
    while_cancelled = len(ehr.asked)
    states = desk.states()
    retried = desk.run("sync", "retry", "--reason", "cancelled:")
    desk.run("sync", "run")

    assert (cancelled.status, retried.status) == (3, 0)
    assert cancelled.data["under_way"] == while_cancelled - 1  # the first brought what is shared
    assert states == {"delivered": while_cancelled, "parked": cancelled.data["cancelled"]}
    assert set(desk.states()) == {"delivered"}
    assert set(ehr.versions().values()) == {1}


@pytest.mark.usefixtures("ehr")
def test_r18_nothing_is_cancelled_unasked(desk: Desk) -> None:
    desk.take(a_short_visit())

    unsaid = desk.run("sync", "cancel", "--yes")
    unasked = desk.run("sync", "cancel", "--all")

    assert (unsaid.status, unasked.status) == (64, 64)
    assert "2 deliveries would be cancelled: say --yes" in unasked.err
    assert set(desk.states()) == {"pending"}


@pytest.mark.usefixtures("ehr")
@pytest.mark.parametrize(("said", "status", "after"), [("n", 1, "pending"), ("y", 0, "parked")])
def test_r18_who_sits_at_a_terminal_is_asked_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, said: str, status: int, after: str
) -> None:
    desk.take(a_short_visit())
    typed = io.StringIO(f"{said}\n")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)

    answer = desk.run("sync", "cancel", "--all", "--json")

    assert answer.status == status
    assert "Cancel 2 deliveries?" in answer.err
    assert set(desk.states()) == {after}


@pytest.mark.usefixtures("ehr")
def test_r18_what_is_delivered_is_not_cancelled(desk: Desk) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    (queued, _) = desk.evidence("delivery.queued")

    named = desk.run("sync", "cancel", queued.delivery_id, "--yes")

    assert named.status == 1
    assert "no delivery of this id is queued" in named.err
    assert desk.run("sync", "cancel", "--all", "--yes").status == 0
    assert set(desk.states()) == {"delivered"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_r39_a_run_that_is_stopped_ends_after_its_exchange_and_leaves_no_lease(
    desk: Desk, ehr: EhrAtWork, number: signal.Signals
) -> None:
    desk.take(*(a_short_visit(1, f"pt-{one}") for one in range(6)))
    gate = Gate(ehr, after=2)

    with running(desk, "sync", "run") as run:
        gate.reached.wait(60)
        os.kill(run.pid, number)
        gate.opened.set()
        status = run.wait(30)

    assert status == 3
    # What all share, then one for each of the two hands: what they were at, and nothing after it.
    assert 2 <= len(ehr.asked) <= 3
    assert desk.run("sync", "run").status == 0  # at once: a lease that was left would last a minute
    assert set(ehr.versions().values()) == {1}


def test_r39_p17_a_service_that_is_ended_ends_after_its_exchange_and_leaves_no_lease(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(*(a_short_visit(1, f"pt-{one}") for one in range(6)))
    gate = Gate(ehr, after=2)

    with running(desk, "serve", "--bind", "127.0.0.1:0") as service:
        gate.reached.wait(60)
        service.terminate()
        gate.opened.set()
        status = service.wait(30)

    assert status == 0
    assert 2 <= len(ehr.asked) <= 3  # as above
    assert desk.run("sync", "run").status == 0
    assert set(ehr.versions().values()) == {1}


def test_an_applied_plan_that_is_killed_is_finished_by_applying_it_again(
    desk: Desk, ehr: EhrAtWork, tmp_path: Path
) -> None:
    file = str(tmp_path / "a.plan")
    desk.take(*(a_short_visit(1, f"pt-{number}") for number in range(6)))
    desk.run("sync", "plan", "--out", file)
    gate = Gate(ehr, after=3)

    with running(desk, "sync", "apply", file) as run:
        gate.reached.wait(60)
        run.kill()
        run.wait(30)
        gate.opened.set()
    # The places of killed hands are free again after half a minute, which nobody waits for here.
    desk.run("destination", "set", "ehr", "--concurrent", "8")
    rest = desk.run("sync", "apply", file, "--json")

    assert rest.data["resumed"] is True
    left = [one["state"] for one in rest.data["deliveries"] if one["state"] != "delivered"]
    # What the two hands, and the one ahead, had taken keeps its lease for a minute.
    assert len(left) <= 2 + AHEAD
    assert set(left) <= {"sending", "pending"}
    assert rest.status == (3 if left else 0)
    assert set(ehr.versions().values()) == {1}


class Gate:
    """Holds back the answer to one request until it is opened."""

    def __init__(self, ehr: EhrAtWork, *, after: int) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self._ehr, self._after = ehr, after
        ehr.before = self._hold

    def _hold(self, _asked: Asked) -> Trouble:
        if len(self._ehr.asked) == self._after:
            self.reached.set()
            self.opened.wait(60)
        return None


def running(desk: Desk, *words: str) -> "subprocess.Popen[bytes]":
    """The program as a process of its own, with the desk's settings; it asks only to deliver."""
    names = ("home", "site", "tenant", "mappings")
    here = {name: os.environ[f"FHIRBRIDGE_{name.upper()}"] for name in names}  # noqa: TID251
    said = (desk.folder / "said").open("ab")
    with said:
        return subprocess.Popen(
            [*processes.PROGRAM, *words],
            env=processes.environment(**here, watch_seconds="0"),
            stdout=said,
            stderr=said,
        )
