"""PostgreSQL with the settings that our promises need. Why it is used so: docs/adr/0012."""

from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, event, exc, text
from sqlalchemy.engine import ExceptionContext

from fhirbridge.errors import BridgeError
from fhirbridge.store import job_schema
from fhirbridge.store.database import Beginning
from fhirbridge.store.errors import StoreConflictError, StoreError, busy, lacking

OLDEST = 13
CONNECT_SECONDS = 10
LOCK_TIMEOUT_MS = 15_000
# A host that sleeps within a transaction stops all writers: it is put out before they give up. It
# may do so twice, since a lock for which it waits is given to it in its sleep.
IDLE_TIMEOUT_MS = 5_000
READER_IDLE_TIMEOUT_MS = 600_000  # who reads stops nobody, and thinks long over a report
AT_ONCE = 40  # connections of one process at most
SETTINGS = {
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
    "synchronous_commit": "on",
    # A plan for any value sorts all that a clinic's records ever said of its Organization to find
    # the newest word: each record then costs as much as there are records.
    "plan_cache_mode": "force_custom_plan",
    "default_transaction_deferrable": "off",
    "timezone": "UTC",
    "client_encoding": "UTF8",
}
CONFLICTS = ("40001", "40P01")  # serialization failure, deadlock
MISSING = ("42P01", "42703", "3F000")  # table, column, schema
NOT_ALLOWED = "42501"
MAKING = 0x66686972  # the advisory lock of who makes the tables


class Postgres:
    """One database of a server.

    Each writer locks the table `meta`: in a mode that keeps every other writer out, or in one that
    keeps out only those. LOCK TABLE comes before the snapshot is taken, as an advisory lock cannot.
    """

    path: Path | None = None
    alone = Beginning(
        options={"isolation_level": "READ COMMITTED"}, first="LOCK TABLE meta IN EXCLUSIVE MODE"
    )
    beside: Beginning | None = Beginning(
        options={"isolation_level": "SERIALIZABLE"}, first="LOCK TABLE meta IN ROW SHARE MODE"
    )
    reader = Beginning(
        options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        first=f"SET LOCAL idle_in_transaction_session_timeout = {READER_IDLE_TIMEOUT_MS}",
    )
    maker = Beginning(
        options={"isolation_level": "READ COMMITTED"},
        first=f"SELECT pg_advisory_xact_lock({MAKING})",
    )

    def __init__(self, url: URL) -> None:
        """Open nothing yet. Raises StoreError for a URL with a password, or without a driver."""
        if url.password is not None or "password" in url.query:
            raise StoreError(
                "the database's URL holds a password, which others may see",
                hint="take it out, and put it in the file that PGPASSFILE names (mode 600)",
            )
        given = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        self._connecting = {
            "options": given,
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": LOCK_TIMEOUT_MS,
            "application_name": "fhirbridge",
        }
        try:
            self.engine = create_engine(
                url.set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                pool_pre_ping=True,
                max_overflow=AT_ONCE - 5,
                pool_timeout=LOCK_TIMEOUT_MS / 1000,
                connect_args=self._connecting,
            )
        except ModuleNotFoundError:
            raise StoreError(
                "PostgreSQL's driver is not installed",
                hint="pip install 'fhirbridge[postgres,worker]'",
            ) from None
        event.listen(self.engine, "handle_error", _without_values)

    def conninfo(self) -> str:
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415  only where it is installed

        _, named = self.engine.dialect.create_connect_args(self.engine.url)
        named.pop("context", None)  # how SQLAlchemy's own connections adapt types
        return make_conninfo(**{**named, **self._connecting})

    def make(self) -> None:
        """Nothing: an administrator makes the database and says who may use it."""

    def exists(self) -> bool:
        return True

    def furnish(self, tx: Connection) -> list[str]:
        return job_schema.furnish(tx)

    def check(self, tx: Connection) -> None:
        job_schema.check(tx)
        found = {
            name: str(tx.scalar(text(f"SHOW {name}")))
            for name in ("server_encoding", "fsync", "full_page_writes", "server_version_num")
        }
        if int(found["server_version_num"]) < OLDEST * 10_000:
            raise StoreError(
                f"PostgreSQL is older than {OLDEST}", hint="use a newer server for the database"
            )
        if found["server_encoding"] != "UTF8":
            raise StoreError(
                "the database's encoding is not UTF8",
                hint="createdb --encoding=UTF8 --template=template0",
            )
        for name in ("fsync", "full_page_writes"):
            if found[name] != "on":
                raise StoreError(
                    f"the server has {name} off: what it acknowledged may be lost",
                    hint=f"set {name} = on in postgresql.conf",
                )

    def describe(self, tx: Connection) -> tuple[str, str]:
        version = tx.scalar(text("SHOW server_version"))
        return "PostgreSQL", f"{version}, synchronous_commit {_shown(tx, 'synchronous_commit')}"

    def history(self, tx: Connection) -> str:
        """Return the cluster, its timeline and the table: a dump that is read back makes anew."""
        asked = (
            "SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
            " || '/' || 'meta'::regclass::oid FROM pg_control_system()"
        )
        return str(tx.scalar(text(asked)))

    def told(self, error: exc.DBAPIError) -> BridgeError | None:
        state = _state(error.orig)
        if state in CONFLICTS:
            return StoreConflictError(
                f"others wrote at the same time: {state}", hint="nothing was written; try again"
            )
        if state in MISSING:
            return lacking()
        if state == NOT_ALLOWED:
            return StoreError(
                "the database's user may not do this", hint="make it the owner of the database"
            )
        lost = isinstance(error, exc.OperationalError | exc.InterfaceError)
        return busy(state or "no connection") if lost or error.connection_invalidated else None


def _shown(tx: Connection, name: str) -> str:
    return str(tx.scalar(text(f"SHOW {name}")))


def _state(error: BaseException | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _without_values(context: ExceptionContext) -> None:
    """Take the server's own text, which names values, out of what may be logged."""
    words = f"{type(context.original_exception).__name__} {_state(context.original_exception)}"
    context.original_exception.args = (words,)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (words,)
