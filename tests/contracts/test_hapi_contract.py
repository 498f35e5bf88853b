"""The real HAPI server keeps the contract that the sandbox keeps."""

import pytest

from tests.contracts.ehr_contract import EhrContract

pytestmark = pytest.mark.hapi


class TestHapi(EhrContract):
    @pytest.fixture
    def base_url(self, hapi: str) -> str:
        return hapi
