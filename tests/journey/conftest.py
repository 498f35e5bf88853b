"""What journeys share."""

from collections.abc import Iterator

import pytest

from tests.journey import processes


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """FHIR base address of a sandbox EHR in a process of its own; use ids of your own."""
    folder = tmp_path_factory.mktemp("sandbox")
    with processes.serving(folder, "sandbox", env=processes.environment()) as server:
        yield f"{server.url}/fhir"
