"""A real HAPI FHIR JPA server (R4), one for a test run; tests keep apart by own ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hapi import jvm

HEAP = "-Xmx1000m"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start the server on a free port and yield its base URL; its log is `folder`/hapi.log."""
    log = folder / "hapi.log"
    with jvm.program("HapiServer", options=[HEAP, "-Dport=0"], log=log) as process:
        yield jvm.said_ready(process, log)
