"""What tests of notifications share."""

import pytest

from fhirbridge.reconcile import stops
from tests.factories import World
from tests.mapping_sets import few_mappings


@pytest.fixture
def world() -> World:
    """A bridge with one EHR, `ehr`, looked at a moment ago."""
    made = World(mapped=few_mappings)
    made.connect()
    now = made.clock.now()
    with made.store.begin() as tx:
        stops.note(tx, "ehr", now=now, date=now, full=True, stop="")
    return made
