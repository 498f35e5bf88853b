"""What tests of the facade share."""

import pytest

from tests.facade.reading import Reading


@pytest.fixture
def reading() -> Reading:
    """A bridge with one facade, `portal`, and nobody else."""
    return Reading()
