"""What journeys share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hapi import hapi_server
from tests.journey import processes


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """FHIR base address of a sandbox EHR in a process of its own; use ids of your own."""
    folder = tmp_path_factory.mktemp("sandbox")
    with processes.serving(folder, "sandbox", env=processes.environment()) as server:
        yield f"{server.url}/fhir"


@pytest.fixture(scope="session")
def hapi_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A HAPI server that gives every id itself, and the file by which it takes even less."""
    folder = tmp_path_factory.mktemp("hapi-names")
    strict = folder / "strict.txt"
    with hapi_server.running(folder, client_ids="NOT_ALLOWED", strict=strict) as base_url:
        yield base_url, strict
