"""What tests of the outbox share."""

from collections.abc import Iterator

import pytest

from tests.factories import World


@pytest.fixture
def world(either: str) -> Iterator[World]:
    """A bridge with one EHR, `ehr`, on each database."""
    made = World(url=either)
    made.connect()
    yield made
    made.store.close()
