"""The tables of procrastinate, which wakes workers on PostgreSQL: made and upgraded with ours.

Which of its migrations were done is noted at its table, in the transaction that does them.
"""

from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, text

from fhirbridge.store.errors import StoreError

LIBRARY = "procrastinate"
_NOTED = text("SELECT obj_description(to_regclass('procrastinate_jobs'), 'pg_class')")


def furnish(tx: Connection) -> list[str]:
    """Make its tables, or do what is missing; return the names of what was done, in order.

    Raises StoreError where procrastinate is not installed, or is older than its tables.
    """
    folder, found = _installed(), _noted(tx)
    newest = _newest(folder)
    if found > newest:
        raise _newer()
    if found == newest:
        return []
    missing = [one for one in _migrations(folder) if one.stem > found]
    for one in missing if found else [folder / "schema.sql"]:
        _run(tx, one)
    _note(tx, newest)
    return [f"{LIBRARY} {one.stem}" for one in missing] if found else [f"{LIBRARY} {newest}"]


def check(tx: Connection) -> None:
    """Refuse tables that are missing, or not of the procrastinate that is installed."""
    found, newest = _noted(tx), _newest(_installed())
    if found > newest:
        raise _newer()
    if found != newest:
        raise StoreError(
            "the database lacks what wakes its workers",
            hint="make a backup, then run: fhirbridge db upgrade",
        )


def _newer() -> StoreError:
    return StoreError(
        "the database was upgraded by a newer procrastinate than is installed here",
        hint="pip install --upgrade 'fhirbridge[postgres,worker]'",
    )


def _installed() -> Path:
    """Return the folder of its SQL. Looking does not import it, which takes half a second."""
    found = find_spec(LIBRARY)
    places = found.submodule_search_locations if found is not None else None
    if not places:
        raise StoreError(
            f"{LIBRARY} is not installed, which wakes workers on PostgreSQL",
            hint="pip install 'fhirbridge[postgres,worker]'",
        )
    return Path(places[0]) / "sql"


def _migrations(folder: Path) -> list[Path]:
    """Return all of them in order: each name begins with the version that it came with."""
    return sorted((folder / "migrations").glob("*.sql"))


def _newest(folder: Path) -> str:
    return _migrations(folder)[-1].stem


def _noted(tx: Connection) -> str:
    return tx.scalar(_NOTED) or ""


def _note(tx: Connection, migration: str) -> None:
    tx.exec_driver_sql(f"COMMENT ON TABLE procrastinate_jobs IS '{migration}'")


def _run(tx: Connection, file: Path) -> None:
    # Without parameters: several statements at once, and a % that means itself.
    tx.exec_driver_sql(file.read_text("utf-8"), execution_options={"no_parameters": True})
