"""fhirbridge as processes of its own: what an administrator starts and a script talks to."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60
PROGRAM = [sys.executable, "-m", "fhirbridge"]


@dataclass(frozen=True)
class Server:
    url: str
    pid: int
    log: Path


def environment(**settings: str) -> dict[str, str]:
    """The machine's environment with these settings of ours and no others."""
    foreign = {n: v for n, v in os.environ.items() if not n.startswith("FHIRBRIDGE_")}  # noqa: TID251
    return {**foreign, **{f"FHIRBRIDGE_{name.upper()}": value for name, value in settings.items()}}


@contextmanager
def serving(folder: Path, *words: str, env: Mapping[str, str]) -> Iterator[Server]:
    """Run `fhirbridge WORDS` (serve or sandbox) on a free port until the block ends."""
    ready, log = folder / f"{words[0]}.address", folder / f"{words[0]}.log"
    ready.unlink(missing_ok=True)
    command = [*PROGRAM, *words, "--bind", "127.0.0.1:0", "--ready-file", str(ready)]
    with (
        log.open("ab") as out,
        subprocess.Popen(command, env=dict(env), stdout=out, stderr=out) as it,
    ):
        try:
            yield Server(_address(it, ready, log), it.pid, log)
        finally:
            it.terminate()


def _address(process: "subprocess.Popen[bytes]", ready: Path, log: Path) -> str:
    for _ in range(SECONDS * 20):
        if ready.exists() and (address := ready.read_text().strip()):
            return address
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise AssertionError(log.read_text())


def fhirbridge(*words: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    return subprocess.run(
        [*PROGRAM, *words],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
