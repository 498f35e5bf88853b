"""`fhirbridge db`: a backup and its return as an administrator sees them."""

from pathlib import Path

import pytest

from fhirbridge.fhir import codec
from tests.journey import processes
from tests.journey.installation import SERIES

pytestmark = pytest.mark.slow  # each command is a process of its own


def test_s35_a_backup_goes_to_another_machine_by_two_commands(tmp_path: Path) -> None:
    first = processes.environment(home=str(tmp_path / "first"))
    second = processes.environment(home=str(tmp_path / "second"))
    secret = tmp_path / "passphrase"
    secret.write_text("synthetic, long enough\n")
    at = str(tmp_path / "monday")
    words = ("--passphrase-file", str(secret), "--json")
    assert processes.fhirbridge("init", env=first).returncode == 0
    assert processes.fhirbridge("ingest", str(SERIES[0]), env=first).returncode == 0

    made = processes.fhirbridge("db", "backup", at, *words, env=first)
    checked = processes.fhirbridge("db", "check", at, "--json", env=second)
    back = processes.fhirbridge("db", "restore", at, *words, env=second)
    status = processes.fhirbridge("sync", "status", "--json", env=second)
    again = processes.fhirbridge("db", "restore", at, *words, env=second)

    assert made.returncode == checked.returncode == back.returncode == 0
    assert made.stdout == checked.stdout == back.stdout
    assert codec.decode(status.stdout.encode())["records"] == 1
    said = " ".join(back.stderr.split())
    assert "must be sent to it once more" in said
    assert "make new API tokens (fhirbridge token make)" in said
    assert "retire, erase and withdraw again what was since" in said
    assert (again.returncode, again.stdout) == (1, "")
    assert "E806 there is a database already" in again.stderr
