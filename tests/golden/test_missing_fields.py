"""A record from which any one field is missing never makes an unsound resource, nor an exception.

Some of the cases here; `make prove` does all of them.
"""

import pytest

from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import cases, mutation
from tests.golden import translating

TRIED = (
    "adverse-event-serious",
    "consents-given",
    "consultation-screen-and-unsuitable",
    "discharge-with-criteria",
    "dose-infusion-restarted",
    "dose-nasal-esketamine-56-mg",
    "labs-and-checks",
    "plan-with-a-missed-visit",
    "rate-children@dose-infusion-with-a-pause",
    "scale-c-ssrs-positive",
    "waste-with-its-witness",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIED)
def test_no_missing_field_makes_anything_unsound(name: str) -> None:
    files = mapping_set.read(translating.MAPPINGS)

    tried, wrong = mutation.run(files, cases.find(translating.MAPPINGS, name), source_schema())

    assert wrong == ()
    assert tried > 50
