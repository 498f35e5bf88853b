"""A real HAPI FHIR JPA server (R4), one for a test run; tests keep apart by own ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hapi import jvm

HEAP = "-Xmx1000m"


@contextmanager
def running(
    folder: Path,
    *,
    port: int = 0,
    file: Path | None = None,
    database: str = "",
    client_ids: str = "ALPHANUMERIC",
    strict: Path | None = None,
) -> Iterator[str]:
    """Start the server on a free port and yield its base URL; its log is `folder`/hapi.log.

    `file`: it remembers in this H2 database, written as `file`.mv.db; `database`: in this one, a
    JDBC URL of PostgreSQL. Else in memory. `client_ids`: which ids a client may choose, as HAPI
    names it; NOT_ALLOWED for none. `strict`: a file; while its first word is that, it changes
    nothing and takes none of the types that follow.
    """
    log = folder / "hapi.log"
    options = [HEAP, f"-Dport={port}", f"-Dhapi.resourceClientIdStrategy={client_ids}"]
    if strict is not None:
        options.append(f"-Dstrict={strict}")
    if file is not None:
        database = f"jdbc:h2:file:{file}"
    if database:
        options.append(f"-Ddb={database}")
    with jvm.program("HapiServer", options=options, log=log) as process:
        yield jvm.said_ready(process, log)
