"""What differs in an EHR, as an administrator finds and settles it: over HTTP, by commands."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir import codec
from tests.journey import far_side, processes
from tests.journey.installation import SERIES

pytestmark = pytest.mark.slow  # each command is a process of its own

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOTE = [{"text": "Synthetic note: confirmed by phone"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drift")


@pytest.fixture(scope="module")
def sandbox(home: Path) -> Iterator[str]:
    with processes.serving(home, "sandbox", env=processes.environment()) as server:
        yield f"{server.url}/fhir"


@pytest.fixture(scope="module")
def run(home: Path, sandbox: str) -> Run:
    """The commands of an installation that has sent one session."""
    env = processes.environment(home=str(home / "home"))

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        return processes.fhirbridge(*words, env=env)

    for words in (
        ["init"],
        ["destination", "add", "ehr", sandbox],
        ["ingest", str(SERIES[0])],
        ["sync", "run"],
    ):
        assert command(*words).returncode == 0
    return command


def of_json(done: "subprocess.CompletedProcess[str]") -> Any:
    return codec.decode(done.stdout.encode())


def test_an_edit_is_found_shown_and_settled(run: Run, sandbox: str) -> None:
    assert run("reconcile", "ehr").returncode == 0
    pulse, *_ = far_side.search(sandbox, "Observation")
    far_side.change(sandbox, {**pulse, "note": NOTE})

    looked = run("reconcile", "ehr", "--json")
    listed = run("drift", "list", "ehr", "--json")
    (found,) = of_json(listed)
    shown = run("drift", "show", found["id"])
    settled = run("drift", "settle", found["id"], "--ours", "--reason", "a mistake")

    assert (looked.returncode, of_json(looked)["kinds"]) == (3, {"edited": 1})
    assert (listed.returncode, found["resource_id"]) == (3, pulse["id"])
    assert "Synthetic" not in listed.stdout + looked.stdout
    assert NOTE[0]["text"] in " ".join(shown.stdout.split())
    assert settled.returncode == 0
    assert run("sync", "run").returncode == 0
    assert far_side.read(sandbox, f"Observation/{pulse['id']}").get("note") == pulse.get("note")
    assert run("drift", "list").returncode == run("reconcile", "ehr", "--full").returncode == 0


def test_a_choice_without_side_reason_or_policy_is_wrong_use_and_a_policy_is_kept(
    run: Run,
) -> None:
    assert run("drift", "settle", "x", "--reason", "y").returncode == 64
    assert run("drift", "settle", "x", "--ours").returncode == 64
    assert run("drift", "policy", "ehr", "Observation").returncode == 64
    assert run("drift", "policy", "ehr", "Observation", "sometimes").returncode == 64
    unknown = run("drift", "settle", "x", "--theirs", "--reason", "y")
    wrong = run("drift", "policy", "ehr", "observation", "ours")

    assert (unknown.returncode, unknown.stderr[:4]) == (1, "E412")
    assert (wrong.returncode, wrong.stderr[:4]) == (1, "E412")
    assert run("drift", "policy", "ehr", "Observation", "theirs").returncode == 0
    kept = of_json(run("drift", "policy", "ehr", "--json"))
    assert kept == {"*": "hold", "Observation": "theirs"}
