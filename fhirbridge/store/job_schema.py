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
    folder = _installed()
    if folder is None:
        raise lacks_procrastinate()
    newest, found = _migrations(folder)[-1].stem, _noted(tx)
    if not found:
        _run(tx, folder / "schema.sql")
        _note(tx, newest)
        return [f"{LIBRARY} {newest}"]
    if found > newest:
        raise _newer()
    missing = [one for one in _migrations(folder) if one.stem > found]
    for one in missing:
        _run(tx, one)
    if missing:
        _note(tx, newest)
    return [f"{LIBRARY} {one.stem}" for one in missing]


def check(tx: Connection) -> None:
    """Refuse tables that are missing, or not of the procrastinate that is installed."""
    folder, found = _installed(), _noted(tx)
    if folder is not None and found > _migrations(folder)[-1].stem:
        raise _newer()
    if not found or (folder is not None and found != _migrations(folder)[-1].stem):
        raise StoreError(
            "the database lacks what wakes its workers",
            hint="make a backup, then run: fhirbridge db upgrade",
        )


def lacks_procrastinate() -> StoreError:
    """Return what is said where it is needed and not installed."""
    return StoreError(
        "procrastinate is not installed, which wakes workers on PostgreSQL",
        hint="pip install 'fhirbridge[postgres,worker]'",
    )


def _newer() -> StoreError:
    return StoreError(
        "the database was upgraded by a newer procrastinate than is installed here",
        hint="pip install --upgrade 'fhirbridge[postgres,worker]'",
    )


def _installed() -> Path | None:
    """Return the folder of its SQL. Looking does not import it, which takes half a second."""
    found = find_spec(LIBRARY)
    places = found.submodule_search_locations if found is not None else None
    return Path(places[0]) / "sql" if places else None


def _migrations(folder: Path) -> list[Path]:
    """Return all of them in order: each name begins with the version that it came with."""
    return sorted((folder / "migrations").glob("*.sql"))


def _noted(tx: Connection) -> str:
    return tx.scalar(_NOTED) or ""


def _note(tx: Connection, migration: str) -> None:
    tx.exec_driver_sql(f"COMMENT ON TABLE procrastinate_jobs IS '{migration}'")


def _run(tx: Connection, file: Path) -> None:
    # Without parameters: several statements at once, and a % that means itself.
    tx.exec_driver_sql(file.read_text("utf-8"), execution_options={"no_parameters": True})
