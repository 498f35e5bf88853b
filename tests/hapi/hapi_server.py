"""A real HAPI FHIR JPA server (R4), one for a test run; tests keep apart by own ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hapi import jvm

HEAP = "-Xmx1000m"


@contextmanager
def running(folder: Path, *, port: int = 0, file: Path | None = None) -> Iterator[str]:
    """Start the server on a free port and yield its base URL; its log is `folder`/hapi.log.

    `file`: it remembers in this H2 database, written as `file`.mv.db.
    """
    log = folder / "hapi.log"
    options = [HEAP, f"-Dport={port}"]
    if file is not None:
        options.append(f"-Ddb=jdbc:h2:file:{file}")
    with jvm.program("HapiServer", options=options, log=log) as process:
        yield jvm.said_ready(process, log)
