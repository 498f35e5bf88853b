"""R23: a server that guards no update rests until a person allows it, and then shows as weak."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fhirbridge.fhir import codec
from tests.cli.test_commands import Run, home, made, run
from tests.factories import a_short_visit
from tests.fakes import FarSide, FrozenClock
from tests.faults.front import Front

__all__ = ("home", "made", "run")  # fixtures
pytestmark = pytest.mark.slow
WHY = "the vendor's ticket 4711"


@pytest.fixture
def weak() -> Iterator[str]:
    """Address of an EHR that writes whatever version a client names."""
    far = FarSide(FrozenClock(), "http://ehr.invalid/fhir")
    far.behave(ignores_if_match=True)
    front = Front(far, FrozenClock(), None)
    with closing(front.server):
        yield f"http://127.0.0.1:{front.server.port}/fhir"


def test_r23_a_weak_guard_is_allowed_by_name_and_shown_wherever_one_looks(
    made: Run, weak: str, tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    record.write_bytes(codec.encode(a_short_visit()))
    made("ingest", str(record))

    added = made("destination", "add", "ehr", weak)
    assert "destination set NAME --allow-weak-guard REASON" in added.stderr
    assert made("sync", "run").returncode == 3

    allowed = made("destination", "set", "ehr", "--allow-weak-guard", WHY, "--json")
    (shown,) = codec.decode(allowed.stdout.encode())
    assert (shown["mode"], shown["guard"], shown["weak"]) == ("assigned", "weak", "allowed")
    assert shown["paused"] == ""

    assert "ehr (weak guard)" in made("sync", "plan").stdout
    assert "allowed by a person" in made("doctor").stdout
    assert WHY not in made("doctor").stdout
    assert WHY in made("destination", "show", "ehr", "--reasons").stdout
    done = codec.decode(made("sync", "run", "--json").stdout.encode())
    assert done["waiting"] == []
    (status,) = codec.decode(made("sync", "status", "--json").stdout.encode())["destinations"]
    assert (status["guard"], status["weak"]) == ("weak", "allowed")

    stopped = made("destination", "set", "ehr", "--no-weak-guard", "--json")
    (shown,) = codec.decode(stopped.stdout.encode())
    assert (shown["mode"], shown["weak"]) == ("unproven", "")
    assert "update guarded by If-Match" in shown["paused"]


def test_a_reason_must_be_given(made: Run) -> None:
    assert made("destination", "set", "ehr", "--allow-weak-guard").returncode == 64
