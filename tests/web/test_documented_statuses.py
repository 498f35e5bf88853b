"""Every status that the document promises is had here; the client checks its shape."""

import pytest

from tests.web import list_provocations, provocations
from tests.web.documented_client import document_of, operations_of
from tests.web.service import Service

PROVOCATIONS = {**provocations.PROVOCATIONS, **list_provocations.PROVOCATIONS}


def test_each_documented_status_is_provoked(service: Service) -> None:
    documented = {
        (name, int(status))
        for name, operation in operations_of(document_of(service.app)).items()
        for status in operation["responses"]
        if " /fhir/" not in name  # in test_fhir_statuses.py
    }

    assert documented == PROVOCATIONS.keys()


@pytest.mark.parametrize(("operation", "status"), PROVOCATIONS)
def test_a_documented_status_comes_as_documented(
    service: Service, operation: str, status: int
) -> None:
    answer = PROVOCATIONS[operation, status](service)

    assert answer.status_code == status
    assert (answer.mimetype == "application/problem+json") == (status >= 400)
