"""One site for each engine: each test of the contract runs on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.site import Site


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    made = Site(database, tmp_path)
    yield made
    made.close()
