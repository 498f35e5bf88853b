"""What tests of the delivery share."""

import pytest

from tests.factories import World


@pytest.fixture
def world() -> World:
    """A bridge with one EHR, `ehr`."""
    made = World()
    made.connect()
    return made
