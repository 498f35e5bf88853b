"""What is exported of a visit with everything in it: HAPI takes it whole, HL7's rules hold."""

from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.exports.question import Form, Question
from fhirbridge.fhir import codec
from tests.exports.conftest import resources
from tests.hapi.hl7_validator import Hl7Validator
from tests.journey import far_side
from tests.journey.installation import connect, install

pytestmark = pytest.mark.hapi

WHOLE = Path(__file__).parents[2] / "mappings" / "tests" / "full-record" / "record.json"
FORMS = frozenset({Form.TRANSACTION, Form.COLLECTION, Form.DOCUMENT})


@pytest.fixture(scope="module")
def package(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of what another EHR holds: HAPI knows none of it."""
    folder = tmp_path_factory.mktemp("exported")
    with install(folder / "home").bridge() as bridge:
        connect(bridge, sandbox)
        bridge.accept(WHOLE.read_bytes(), actor="test")
        bridge.sync()
        (ehr,) = bridge.destinations()
        asked = Question(destination=ehr.name, forms=FORMS)
        made = bridge.export(asked, folder / "pack", actor="test")
        assert (made.withheld, made.dangling) == ({}, 0)
    return folder / "pack"


def bundles(package: Path, kind: str) -> list[dict[str, Any]]:
    return [codec.decode(one.read_bytes()) for one in sorted(package.glob(f"bundles/{kind}.*"))]


def test_r66_documents_and_collections_pass_the_validator(
    package: Path, hl7_validator: Hl7Validator
) -> None:
    made = [*bundles(package, "document"), *bundles(package, "collection")]

    assert len(made) == 2
    assert [hl7_validator.errors(one) for one in made] == [[], []]


def test_every_exported_resource_passes_the_validator(
    package: Path, hl7_validator: Hl7Validator
) -> None:
    wrong = {
        name: errors
        for name, body in resources(package).items()
        if (errors := hl7_validator.errors(body))
    }

    assert wrong == {}


def test_the_transaction_of_a_patient_goes_into_a_server_that_has_nothing_of_it(
    package: Path, hapi: str
) -> None:
    (bundle,) = bundles(package, "transaction")

    answer = requests.post(
        hapi,
        data=codec.encode(bundle),
        headers={"Content-Type": "application/fhir+json"},
        timeout=far_side.SECONDS,
    )

    assert answer.status_code == 200, answer.text[:500]
    for name in resources(package):
        assert far_side.read(hapi, name)["id"] == name.partition("/")[2]
