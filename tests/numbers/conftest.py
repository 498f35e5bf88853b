"""An installation with few mappings and an EHR behind a socket, as operators' tests have them."""

from tests.operate.conftest import desk, ehr, installed, written_mappings

__all__ = ["desk", "ehr", "installed", "written_mappings"]
