"""`destination types`, `profiles`, `--profile`, `sync tasks` and `close`, as they are typed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir import codec
from tests.cli.test_commands import Run, home, made, run
from tests.factories import a_short_visit, retracted
from tests.fakes import FarSide, FrozenClock
from tests.faults.front import Front

__all__ = ("home", "made", "run")  # fixtures
pytestmark = pytest.mark.slow


@pytest.fixture
def far_side() -> Iterator[str]:
    """Address of an EHR that gives ids."""
    far = FarSide(FrozenClock(), "http://ehr.invalid/fhir")
    far.behave(assigns_ids=True)
    front = Front(far, FrozenClock(), None)
    with closing(front.server):
        yield f"http://127.0.0.1:{front.server.port}/fhir"


def read(said: str) -> Any:
    return codec.decode(said.encode())


def test_an_ehr_that_takes_little_is_set_up_watched_and_put_right_by_hand(
    made: Run, far_side: str, tmp_path: Path
) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("mode: create-only\ntypes: {skip: [Encounter]}\n", "utf-8")
    record, wrong = tmp_path / "record.json", tmp_path / "wrong.json"
    record.write_bytes(codec.encode(a_short_visit()))
    wrong.write_bytes(codec.encode(retracted(a_short_visit())))

    assert "strict-ehr" in made("destination", "profiles").stdout
    added = made("destination", "add", "ehr", far_side, "--profile", str(profile), "--test-patient")
    assert "create-only" in added.stdout
    made("ingest", str(record))
    assert "x not-sent Encounter/" in made("sync", "plan").stdout
    assert made("sync", "run").returncode == 0
    made("ingest", str(wrong))
    assert made("sync", "run").returncode == 3

    listed = made("sync", "tasks", "--json")
    assert listed.returncode == 3
    (task,) = read(listed.stdout)
    assert (task["what"], task["in_the_ehr"][:12]) == ("cannot-retract", "Observation/")
    assert task["task"] in made("sync", "status").stdout
    assert made("sync", "close", "nosuch", "--reason", "done").returncode == 1
    assert made("sync", "close", task["task"], "--reason", "struck there").returncode == 0
    assert made("sync", "tasks").returncode == 0
    assert made("sync", "status").returncode == 0

    shown = read(made("destination", "types", "ehr", "--send", "Encounter", "--json").stdout)
    assert shown == {"name": "ehr", "types": {"Encounter": "send"}}
    carried = read(made("destination", "export", "ehr").stdout)
    assert (carried["declared"], carried["types"]) == ("create-only", {"Encounter": "send"})


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("destination types ehr --skip Visits", 64),
        ("destination types ehr --skip Goal --send Goal", 64),
        ("destination types nosuch", 1),
        ("destination set ehr --profile nosuch", 1),
    ],
)
def test_a_slip_is_refused(made: Run, words: str, status: int) -> None:
    found = made(*words.split())

    assert found.returncode == status
    assert found.stderr
