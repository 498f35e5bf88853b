"""What can be wrong with a database, in words that name no row and no value."""

from http import HTTPStatus

from fhirbridge.errors import BridgeError


class StoreError(BridgeError):
    """The database cannot be used as it is."""

    code = "E601"


class StoreBusyError(BridgeError):
    """The database is locked, full or out of reach; nothing was written."""

    code = "E602"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class StoreConflictError(StoreBusyError):
    """Other transactions were in the way; nothing was written. `Store.commit` does it again."""


class StoreDoubtError(BridgeError):
    """The connection was lost during COMMIT: all of the transaction was written, or nothing.

    Who hears it looks for what it wrote by its key before it writes again.
    """

    code = "E608"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


def lacking() -> StoreError:
    """Return what is said where a table or a column is missing."""
    return StoreError("the database lacks what this program needs", hint="restore it from a backup")


def busy(name: str) -> StoreBusyError:
    """Return what is said where the database gave up with an error of this name."""
    return StoreBusyError(
        f"the database did not answer: {name}",
        hint="nothing was written; check disk space and other writers, then try again",
    )
