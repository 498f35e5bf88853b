"""Who may send signed messages, by command: a secret is handed over once, never shown again."""

import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhirbridge.access.sources import read_secret
from fhirbridge.cli import fhirbridge
from fhirbridge.fhir import codec

GIVEN = "whsec_ZmhpcmJyaWRnZSB0ZXN0IHNlY3JldCwgbm9ib2R5J3M="


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FHIRBRIDGE_HOME", str(tmp_path / "home"))
    assert CliRunner().invoke(fhirbridge, ["init"]).exit_code == 0
    return tmp_path


def run(*words: str | Path, stdin: str = "") -> Result:
    named = [str(one) for one in words]
    return CliRunner().invoke(fhirbridge, ["webhook-source", *named], input=stdin)


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = codec.decode(run("list", "--json").stdout.encode())
    return found


def test_a_source_is_added_rotated_and_revoked() -> None:
    first, second = run("add", "clinic"), run("rotate", "clinic")

    assert len(read_secret(first.stdout.strip())) == len(read_secret(second.stdout.strip())) == 32
    assert first.stdout != second.stdout
    [shown] = listed()
    assert [bool(one["expires_at"]) for one in shown["secrets"]] == [True, False]
    assert run("revoke", "clinic").exit_code == 0
    assert [(bool(one["revoked_at"]), one["secrets"]) for one in listed()] == [(True, [])]
    assert "clinic" in run("list").stdout


def test_no_secret_is_ever_listed() -> None:
    secret = run("add", "clinic").stdout.strip()

    said = run("list").output + run("list", "--json").output

    assert secret.removeprefix("whsec_") not in said


def test_a_secret_goes_into_a_file_of_its_owner_alone(home: Path) -> None:
    target = home / "secret"

    done = run("add", "clinic", "--to", target)

    assert (done.exit_code, done.stdout) == (0, "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert len(read_secret(target.read_text().strip())) == 32


def test_no_file_is_written_over_and_then_nothing_is_made(home: Path) -> None:
    target = home / "secret"
    target.write_text("mine")
    (home / "link").symlink_to(home / "elsewhere")

    done = [run("add", "clinic", "--to", one) for one in (target, home / "link", home / "no" / "x")]

    assert [one.exit_code for one in done] == [2, 2, 2]
    assert target.read_text() == "mine"
    assert not (home / "elsewhere").exists()
    assert listed() == []


def test_where_nothing_came_of_it_no_file_stays(home: Path) -> None:
    assert run("rotate", "nobody", "--to", home / "secret").exit_code == 1
    assert not (home / "secret").exists()


def test_a_secret_of_the_senders_comes_from_a_file_and_is_not_printed(home: Path) -> None:
    file = home / "given"
    file.write_text(f"{GIVEN}\n")
    file.chmod(0o600)

    from_file = run("add", "clinic", "--secret-file", file)
    from_stdin = run("add", "lab", "--secret-file", "-", stdin="whsec_" + "QUJD" * 11 + "\n")
    file.chmod(0o644)
    readable = run("add", "other", "--secret-file", file)

    assert (from_file.exit_code, from_stdin.exit_code, readable.exit_code) == (0, 0, 1)
    assert (from_file.stdout, from_stdin.stdout) == ("", "")
    assert [one["name"] for one in listed()] == ["clinic", "lab"]
