"""Each case beside the mappings becomes exactly what is expected of it there.

`fhirbridge map test --update` rewrites the files; the difference is what a reviewer reads.
"""

import pytest

from fhirbridge.fhir.validate import problems
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import cases
from fhirbridge.workbench.cases import Bench, Case
from tests.golden import translating

FOUND = cases.find(translating.MAPPINGS)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(mapping_set.read(translating.MAPPINGS), source_schema())


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case.name)
def test_a_case_becomes_exactly_what_is_expected_of_it(bench: Bench, case: Case) -> None:
    result = bench.run(case)

    assert result.differences == ()


@pytest.mark.parametrize("name", translating.SAMPLES)
def test_every_resource_of_every_sample_is_sound(name: str) -> None:
    sent = translating.sample(name)
    found = translating.translate(sent)
    last = translating.provenance(sent, found)

    wrong = {made.mapping: problems(made.body) for made in (*found.resources, last)}

    assert {mapping: said for mapping, said in wrong.items() if said} == {}


@pytest.mark.parametrize("name", translating.SAMPLES)
def test_the_same_record_gives_the_same_bytes(name: str) -> None:
    first = translating.translate(translating.sample(name))
    second = translating.translate(translating.sample(name))

    assert first == second
