"""Clients that are not ours read a facade over a socket and page through it: fhirclient, fhirpy."""

import fhirpy
from fhirclient.client import FHIRClient
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient

from tests.web.fhir_served import serving
from tests.web.service import Service


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
