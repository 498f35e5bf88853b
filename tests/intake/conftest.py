"""What tests of the intake share."""

import shutil
from pathlib import Path

import pytest

from fhirbridge import settings
from tests.factories import World


@pytest.fixture
def world() -> World:
    """A bridge with one EHR, `ehr`."""
    made = World()
    made.connect()
    return made


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """The packaged mappings with one case, to be edited."""
    folder = tmp_path / "mappings"
    shutil.copytree(settings.packaged_mappings(), folder)
    for case in (folder / "tests").iterdir():
        if case.name != "01-iv-series-visit-1.v1":
            shutil.rmtree(case)
    return folder
