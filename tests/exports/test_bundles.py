"""R66: a Bundle holds all that it points to, and is the same for the same resources."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from fhirbridge.exports import bundles, sbom
from fhirbridge.exports.holdings import Held
from fhirbridge.exports.question import Form, Question
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references
from tests.exports.conftest import resources
from tests.factories import World, a_visit

FORMS = frozenset(Form) - {Form.CSV}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole visits of one patient, as Bundles of each kind and with their notes."""
    world = World()
    world.connect()
    for number in (1, 2):
        world.take(a_visit(number))
    target = tmp_path_factory.mktemp("bundles") / "pack"
    world.bridge.export(Question(destination="ehr", forms=FORMS), target, actor="test")
    return target


def made(package: Path, kind: str) -> list[dict[str, Any]]:
    paths = sorted(package.glob(f"bundles/{kind}.*"))
    return [codec.decode(one.read_bytes()) for one in paths]


def named(body: dict[str, Any]) -> str:
    return f"{body['resourceType']}/{body['id']}"


def test_a_transaction_of_a_patient_puts_all_that_is_there_under_its_id(package: Path) -> None:
    (bundle,) = made(package, "transaction")

    urls = [one["request"]["url"] for one in bundle["entry"]]
    assert sorted(urls) == sorted(resources(package))


@pytest.mark.parametrize("kind", ["transaction", "collection", "document"])
def test_r66_nothing_in_a_bundle_points_out_of_it(package: Path, kind: str) -> None:
    for bundle in made(package, kind):
        Bundle.model_validate_json(codec.encode(bundle))
        there = {
            f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in bundle["entry"]
        }
        assert len(there) == len(bundle["entry"])
        assert {f"{kind}/{own}" for kind, own in literal_references(bundle)} <= there


def test_r66_each_session_is_a_document_that_begins_with_its_composition(package: Path) -> None:
    documents = made(package, "document")

    assert len(documents) == 2
    for one in documents:
        first = one["entry"][0]["resource"]
        assert first["resourceType"] == "Composition"
        listed = {row["reference"] for part in first["section"] for row in part["entry"]}
        assert listed == {named(row["resource"]) for row in one["entry"][1:]}
    assert len({one["identifier"]["value"] for one in documents}) == 2


def test_the_readable_notes_are_files_of_their_own(package: Path) -> None:
    notes = sorted(package.glob("notes/*.html"))

    assert len(notes) == 2
    assert all(b"<svg" in one.read_bytes() for one in notes)  # vital signs against the infusion


def test_a_session_without_a_visit_makes_no_document() -> None:
    row: Any = SimpleNamespace(session_key="s")
    alone = Held(row=row, delivery="", raw=b'{"resourceType":"Patient","id":"p"}')

    assert list(bundles.documents([alone], "https://x.invalid")) == []


def test_what_a_resource_points_to_is_found_and_no_text_is_taken_for_it() -> None:
    row: Any = SimpleNamespace()
    body = {
        "subject": {"reference": "Patient/p"},
        "note": [{"text": '"reference":"Patient/q"'}],
        "focus": [{"reference": "#contained"}, {"reference": "urn:uuid:1"}],
        "basedOn": [{"reference": "https://x.invalid/fhir/ServiceRequest/s/_history/2"}],
    }
    held = Held(row=row, delivery="", raw=codec.encode(body))

    assert held.named == {*literal_references(body)} == {("Patient", "p"), ("ServiceRequest", "s")}


def test_the_sbom_lists_what_is_installed_and_is_the_same_each_time() -> None:
    listed = codec.decode(sbom.document())

    assert listed["bomFormat"] == "CycloneDX"
    names = [one["name"] for one in listed["components"]]
    assert {"sqlalchemy", "joserfc"} <= set(names)
    assert names == sorted(names)
    assert sbom.document() == sbom.document()
