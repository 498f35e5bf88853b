"""Clients that are not ours read a facade and page through it: two of PyPI and one of npm."""

from pathlib import Path

import fhirpy
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient

from tests.npm import packages
from tests.web.fhir_served import serving
from tests.web.service import Service

FHIR_KIT = Path(__file__).parent / "fhir_kit.mjs"


def test_fhirpy_and_fhirclient_read_search_and_page_through_a_facade(service: Service) -> None:
    with serving(service) as served:
        signed = f"Bearer {served.token}"
        ours = fhirpy.SyncFHIRClient(served.base, authorization=signed)
        (patient,) = ours.resources("Patient").fetch_all()
        charted = ours.resources("Observation").search(patient=patient.id)
        found = charted.limit(5).fetch_all()
        pulse = charted.search(code="8867-4").first()
        again = ours.reference("Patient", patient.id).to_resource()

        other = FHIRClient(settings={"app_id": "ehr", "api_base": served.base})
        other.server.session.headers["Authorization"] = signed
        search = Observation.where({"patient": patient.id, "_count": "5"})
        paged = {one.id for one in search.perform_resources_iter(other.server)}
        read = Patient.read(patient.id, other.server)

    assert dict(again) == dict(patient)
    assert pulse is not None
    assert pulse["code"]["coding"][0]["code"] == "8867-4"
    assert len(found) > 5
    assert paged == {one.id for one in found}
    assert read.birthDate.isostring == patient["birthDate"]


def test_npms_fhir_kit_client_reads_searches_and_pages_through_a_facade(
    service: Service, tmp_path: Path
) -> None:
    package = packages.installed(tmp_path) / "fhir-kit-client"

    with serving(service) as served:
        found = packages.node(FHIR_KIT, str(package), served.base, served.token)

    assert found["pages"] > 3
    assert len(found["observations"]) == len(set(found["observations"])) > 5
    assert found["posted"] > 0
    assert (found["told"], found["versions"]) == ("CapabilityStatement", 1)
