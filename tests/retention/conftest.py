"""What tests of retention share."""

from collections.abc import Iterator

import pytest

from tests.retention.archive import Archive


@pytest.fixture
def archive() -> Archive:
    """An archive on SQLite in memory."""
    return Archive()


@pytest.fixture
def archive_on_either(either: str) -> Iterator[Archive]:
    """An archive on SQLite, and on PostgreSQL."""
    made = Archive(url=either)
    yield made
    made.store.close()
