"""What the parts of the EHR contract share."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.contracts.ehr_client import EhrClient, a_patient, json

ABSENT = 'W/"0"'
RACERS = 8
REFUSED = {409, 412}


def assert_outcome(response: requests.Response, *statuses: int) -> None:
    """An error is an OperationOutcome with an error issue that says something."""
    assert response.status_code in statuses, response.text
    assert response.headers["Content-Type"].split(";")[0] == "application/fhir+json"
    body = json(response)
    assert body["resourceType"] == "OperationOutcome"
    assert body["issue"][0]["severity"] in {"error", "fatal"}
    assert body["issue"][0]["diagnostics"]


def race(base_url: str, act: Callable[[EhrClient, int], requests.Response]) -> list[int]:
    """Do one thing from eight clients at once; returns their statuses."""

    def one(number: int) -> int:
        with EhrClient(base_url) as client:
            return act(client, number).status_code

    with ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(one, range(RACERS)))


class WithClient:
    """The fixtures of every part of the contract; a subclass gives `base_url`."""

    @pytest.fixture
    def ehr(self, base_url: str) -> Iterator[EhrClient]:
        with EhrClient(base_url) as client:
            yield client

    @pytest.fixture
    def patient(self, ehr: EhrClient) -> str:
        """A patient who is there: `Patient/…`."""
        patient = a_patient()
        assert ehr.put(patient).status_code == 201
        return f"Patient/{patient['id']}"
