"""What tests of whole processes on PostgreSQL share."""

from pathlib import Path

import pytest

from tests.operate.conftest import write_mappings


@pytest.fixture(scope="session")
def written_mappings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mappings(tmp_path_factory.mktemp("few") / "mappings")
