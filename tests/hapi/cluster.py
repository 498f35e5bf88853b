"""A PostgreSQL of our own for a while, for a HAPI server that keeps its resources there."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INSTALLED = Path("/usr/lib/postgresql")
OWNER = "sa"
UNPRIVILEGED = "nobody"  # who runs it where we are root, which PostgreSQL refuses


@contextmanager
def running() -> Iterator[str]:
    """Start a new cluster on a free port of 127.0.0.1; yield its JDBC URL; then remove it."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    who: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        person = pwd.getpwnam(UNPRIVILEGED)
        os.chown(folder, person.pw_uid, person.pw_gid)
        who |= {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}
    held, port = folder / "held", _free_port()
    options = f"-h 127.0.0.1 -p {port} -k {folder}"
    try:
        _run(["initdb", "-D", held, "-U", OWNER, "-A", "trust", "-E", "UTF8"], who)
        _run(["pg_ctl", "-D", held, "-w", "-l", folder / "log", "-o", options, "start"], who)
        try:
            yield f"jdbc:postgresql://127.0.0.1:{port}/postgres"
        finally:
            _run(["pg_ctl", "-D", held, "-w", "-m", "immediate", "stop"], who)
    finally:
        shutil.rmtree(folder)


def _run(command: list[Any], who: dict[str, Any]) -> None:
    program, *rest = command
    subprocess.run([_found(program), *rest], check=True, stdout=subprocess.DEVNULL, **who)


def _found(program: str) -> Path:
    """Return the newest there is: distributions keep versions apart, off the PATH."""
    there = sorted(INSTALLED.glob(f"*/bin/{program}"), key=lambda one: float(one.parts[-3]))
    on_path = shutil.which(program)
    found = there[-1] if there else on_path and Path(on_path)
    assert found, f"{program} is missing: run scripts/install-test-tools"
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
