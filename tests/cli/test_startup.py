"""Starting is light: what a command does not need is not imported."""

import subprocess
import sys

import pytest

LOADED = """
import sys
from fhirbridge.cli import main
sys.argv = ["fhirbridge", "--version"]
try:
    main()
except SystemExit as stop:
    assert not stop.code
print("\\n".join(sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "0." in done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "heavy",
    [
        "cryptography",
        "fhir.resources",
        "flask_smorest",
        "jinja2",
        "marshmallow",
        "pydantic",
        "requests",
        "rich",
        "sqlalchemy",
        "werkzeug",
        "yaml",
    ],
)
def test_asking_for_the_version_imports_nothing_heavy(loaded: set[str], heavy: str) -> None:
    assert heavy not in loaded
