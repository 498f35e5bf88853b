"""Whatever the API's document allows or forbids gets an answer that the document has."""

import pytest

from tests.web.documented_client import document_of, operations_of
from tests.web.fuzzing import Fuzzed, costly
from tests.web.service import Service

pytestmark = pytest.mark.slow


def test_s15_no_case_of_the_document_gets_an_answer_that_it_has_not(service: Service) -> None:
    fuzzed = Fuzzed(service)

    fuzzed.each(lambda label: 8 if costly(label) else 48)
    run = fuzzed.chained(20, steps=4)

    assert run.wrong == []
    assert max(run.statuses) < 500
    assert run.asked.keys() == operations_of(document_of(service.app)).keys()
    assert sum(run.statuses.values()) >= 2_000
    assert {200, 202, 400, 401, 404, 409, 422} <= run.statuses.keys()
