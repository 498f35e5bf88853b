"""The npm packages of this folder's lock, each checked by its hash, for programs that node runs."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from fhirbridge.fhir import codec

LOCKED = Path(__file__).parent
SECONDS = 120


def installed(folder: Path) -> Path:
    """Fetch them into `folder` as they are locked, run nothing of theirs; return where they lie."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / name, folder)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
    _run("npm", "ci", "--prefix", str(folder), *quiet)
    return folder / "node_modules"


def node(program: Path, *words: str, given: bytes = b"") -> Any:
    """Run a program, its input `given`; return the JSON that it prints."""
    return codec.decode(_run("node", str(program), *words, given=given))


def _run(*command: str, given: bytes = b"") -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
