"""The commands of the Makefile, as far as they can be tried without running them whole."""

import os
import subprocess

import pytest

from tests.source_rules import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("flag", [[], ["TEST_PATIENT="], ["TEST_PATIENT=no"], ["TEST_PATIENT=y"]])
def test_the_demo_refuses_a_foreign_server_until_told_that_it_is_a_test_server(
    flag: list[str],
) -> None:
    refused = make("demo", "EHR=http://127.0.0.1:9/fhir", *flag)

    assert refused.returncode != 0
    assert "TEST_PATIENT=yes" in refused.stderr
    assert refused.stdout == ""


def test_the_demo_without_a_server_named_asks_for_nothing() -> None:
    planned = make("--dry-run", "demo")

    assert planned.returncode == 0
    assert "TEST_PATIENT" not in planned.stdout


def test_each_command_is_explained() -> None:
    explained = make("help").stdout

    for command in ("demo", "test", "check", "test-unit", "test-hapi", "lock"):
        assert f"make {command} " in explained


def test_continuous_integration_runs_what_everybody_runs() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "make --no-print-directory test" in script.read_text()
