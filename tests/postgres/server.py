"""A PostgreSQL server of our own: a free port of 127.0.0.1, a folder that is gone after it."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from signal import SIGINT, SIGKILL
from tempfile import mkdtemp
from threading import Event
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Composed, Identifier, Literal

from fhirbridge.store.engine import Store

USER = "fhirbridge"
TEMPLATE = "made"
# Making a database writes a thousand files, which a disk takes a second for.
MEMORY = Path("/dev/shm")
START_SECONDS = 60
STOP_SECONDS = 30
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where it is; the password lies in a file, as an installation has it."""

    folder: Path
    port: int
    process: "Process"

    def url(self, database: str = "postgres") -> str:
        passfile = self.folder / "pgpass"
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}?passfile={passfile}"

    def database(self, *, made: bool = True) -> str:
        """Make a database, with our tables or empty; return its URL."""
        name = f"test_{next(_NUMBERS)}"
        template = TEMPLATE if made else "template0"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template))
            )
        return self.url(name)

    def jdbc(self) -> str:
        """Return the URL of a new database, for a program in Java."""
        name = str(conninfo_to_dict(self.database(made=False))["dbname"])
        password = (self.folder / "pgpass").read_text("ascii").strip().rpartition(":")[2]
        where = f"//127.0.0.1:{self.port}/{name}"
        return f"jdbc:postgresql:{where}?user={USER}&password={password}"

    def cut_off(self) -> None:
        """Let a standby hear nothing more of its primary."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")
            _until(connection, SQL("SELECT count(*) = 0 FROM pg_stat_wal_receiver"))

    def take_over(self) -> None:
        """Make a standby the primary, as whoever keeps it does when the old one is lost."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_promote(wait => true)")

    def restart(self) -> None:
        """Stop it as an administrator does, and start it on the same port."""
        self.process.stop()
        self.process.start()
        _wait(self)

    def caught_up(self, standby: "Server") -> None:
        """Wait until a standby has all that was committed here."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        with psycopg.connect(standby.url(), autocommit=True) as connection:
            now = SQL("SELECT pg_last_wal_replay_lsn() >= {}::pg_lsn").format(
                Literal(row and row[0])
            )
            _until(connection, now)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = str(conninfo_to_dict(url)["dbname"])
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
            )


def programs() -> Path:
    """Return the folder of the newest server's programs. Raises FileNotFoundError."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    if not found:
        raise FileNotFoundError("PostgreSQL's server is not installed: scripts/install-test-tools")
    return found[-1].parent


class Process:
    """The server's process, and the one that comes after it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._command = _serving(folder, port)
        self._log = folder / "log"
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def has_ended(self) -> bool:
        return self._running is None or self._running.poll() is not None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it as a machine ends that loses its power."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def stop(self) -> None:
        if self._running is None:
            return
        self._running.send_signal(SIGINT)  # ends at once, and whole
        try:
            self._running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._running.send_signal(SIGKILL)
            self._running.wait()


@contextmanager
def running() -> Iterator[Server]:
    """Start a server and stop it at the end, also where this process is killed."""
    folder = Path(mkdtemp(prefix="fhirbridge-postgres-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        port = _free_port()
        password = secrets.token_hex(16)
        _write_private(folder / "pgpass", f"*:*:*:{USER}:{password}\n")
        _initialise(folder, password)
        process = Process(folder, port)
        try:
            process.start()
            server = Server(folder=folder, port=port, process=process)
            _wait(server)
            _make_template(server)
            yield server
        finally:
            process.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """Start a second server that follows another one, and stop it at the end."""
    folder = Path(mkdtemp(prefix="fhirbridge-postgres-", dir=primary.folder.parent))
    try:
        folder.chmod(0o711)
        _write_private(folder / "pgpass", (primary.folder / "pgpass").read_text("ascii"))
        (folder / "data").mkdir(mode=0o700)
        if os.geteuid() == 0:
            for path in (folder, folder / "data"):
                shutil.chown(path, "nobody", "nogroup")
        _copy(primary, folder)
        port = _free_port()
        process = Process(folder, port)
        try:
            process.start()
            server = Server(folder=folder, port=port, process=process)
            _wait(server)
            yield server
        finally:
            process.stop()
    finally:
        shutil.rmtree(folder)


def _copy(primary: Server, folder: Path) -> None:
    """Copy all of a server that runs; the copy knows whom to follow."""
    passfile = folder / "passfile"  # of whom the server runs as
    _write_private(passfile, (folder / "pgpass").read_text("ascii"))
    if os.geteuid() == 0:
        shutil.chown(passfile, "nobody", "nogroup")
    where = f"host=127.0.0.1 port={primary.port} user={USER} passfile={passfile}"
    words = [str(programs() / "pg_basebackup"), f"--pgdata={folder / 'data'}"]
    words += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", where]
    subprocess.run([*_as_nobody(), *words], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _until(connection: psycopg.Connection[Any], asked: Composed | SQL) -> None:
    until = time.monotonic() + START_SECONDS  # noqa: TID251  a real server on a real clock
    while not (row := connection.execute(asked).fetchone()) or not row[0]:
        if time.monotonic() > until:  # noqa: TID251
            raise RuntimeError(f"it does not come true: {asked}")
        Event().wait(0.05)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")


def _as_nobody() -> list[str]:
    """The server refuses to run as root; it ends when who started it ends."""
    words = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        words += ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    return words


def _initialise(folder: Path, password: str) -> None:
    folder.chmod(0o711)
    _write_private(folder / "password", password)
    (folder / "data").mkdir(mode=0o700)
    if os.geteuid() == 0:
        for path in (folder / "password", folder / "data"):
            shutil.chown(path, "nobody", "nogroup")
    words = [str(programs() / "initdb"), "-D", str(folder / "data"), "-U", USER, "--encoding=UTF8"]
    # Not C: the order of texts must be ours, whatever the order of the server's language is.
    words += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
    words += ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    words += ["--no-sync", "--no-instructions"]
    subprocess.run([*_as_nobody(), *words], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _serving(folder: Path, port: int) -> list[str | Path]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "shared_buffers": "32MB",
        "max_connections": 200,
        "fsync": "on",
    }
    given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [*_as_nobody(), programs() / "postgres", "-D", folder / "data", *given]


def _wait(server: Server) -> None:
    until = time.monotonic() + START_SECONDS  # noqa: TID251  a real server on a real clock
    while True:
        try:
            psycopg.connect(server.url()).close()
        except psycopg.OperationalError:
            if server.process.has_ended or time.monotonic() > until:  # noqa: TID251
                log = (server.folder / "log").read_text("utf-8", "replace")
                raise RuntimeError(f"PostgreSQL did not start: {log}") from None
            Event().wait(0.05)
        else:
            return


def _make_template(server: Server) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    store = Store(server.url(TEMPLATE))
    store.create()
    store.close()
