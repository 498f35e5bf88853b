"""What tests of reconciling share."""

import pytest

from tests.factories import World, few_mappings


@pytest.fixture
def world() -> World:
    """A bridge with one EHR, `ehr`: Patient, clinic, pulses and Provenance, already looked at."""
    made = World(mapped=few_mappings)
    made.connect()
    made.bridge.reconcile("ehr", actor="test")
    return made
