"""What tests of the intake share."""

import pytest

from tests.factories import World


@pytest.fixture
def world() -> World:
    """A bridge with one EHR, `ehr`."""
    made = World()
    made.connect()
    return made
