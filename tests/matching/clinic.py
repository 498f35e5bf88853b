"""A clinic, and an EHR that has its patients already. Synthetic persons, all of them."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Row, select

from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Patients, Policy
from fhirbridge.egress.exchange import Request, Response
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references
from fhirbridge.matching.sight import MATCH_GRADE
from fhirbridge.store.patient_tables import patient_link
from tests.factories import Record, World, a_short_visit
from tests.fakes import FarSide, SandboxTransport
from tests.mapping_sets import few_mappings

CLINIC = "urn:oid:2.16.840.1.113883.19.5"  # as the samples have it
HOSPITAL = "urn:oid:2.16.840.1.113883.19.77"
NUMBER = "SYN-000123"
MATCHED = Patients(policy=Policy.MATCH, systems={CLINIC: HOSPITAL})
OFFERS_MATCH = {"claims": {"match": True}}

Grades = Callable[[Mapping[str, Any]], list[tuple[dict[str, Any], str]]]


def an_ehr_patient(own: str = "ehr-1", number: str = NUMBER, **parts: Any) -> dict[str, Any]:
    """The hospital's own chart of the patient of the samples."""
    return {
        "resourceType": "Patient",
        "id": own,
        "active": True,
        "identifier": [{"system": HOSPITAL, "value": number}],
        "name": [{"family": "SYNTHETIC ALVAREZ", "given": ["Testa"]}],
        "birthDate": "1984-06-11",
        **parts,
    }


def merged_into(other: str) -> dict[str, Any]:
    """What the EHR changes of a patient who became part of another one."""
    link = {"type": "replaced-by", "other": {"reference": f"Patient/{other}"}}
    return {"active": False, "link": [link]}


class Matching(SandboxTransport):
    """An EHR with a $match of its own, which grades as `grades` says."""

    grades: Grades = staticmethod(lambda _patient: [])

    def _serve(self, request: Request) -> Response:
        if not request.url.endswith("/Patient/$match"):
            return super()._serve(request)
        asked = codec.decode(request.body or b"")
        (patient,) = [one["resource"] for one in asked["parameter"] if one["name"] == "resource"]
        entries = [
            {
                "resource": body,
                "search": {
                    "mode": "match",
                    "extension": [{"url": MATCH_GRADE, "valueCode": grade}],
                },
            }
            for body, grade in self.grades(patient)
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        return Response(status=200, headers={}, body=codec.encode(bundle))


class Clinic(World):
    """A bridge whose EHR, `ehr`, makes its patients itself."""

    def __init__(self, *persons: dict[str, Any], patients: Patients = MATCHED) -> None:
        super().__init__(mapped=few_mappings)
        far = self.connect()
        far.transport = Matching(far.model, base_url="http://ehr.invalid/fhir", clock=self.clock)
        with self.store.begin() as tx:
            registry.set_patients(tx, "ehr", patients)
        for one in persons:  # the sandbox takes no link to what is not there
            put(far, {name: value for name, value in one.items() if name != "link"})
        for one in persons:
            put(far, one)

    @property
    def matching(self) -> Matching:
        assert isinstance(self.ehr.transport, Matching)
        return self.ehr.transport

    def offer_match(self, grades: Grades) -> None:
        """Let the EHR say that it has $match."""
        self.matching.grades = grades
        with self.store.begin() as tx:
            known = registry.get(tx, "ehr")
            registry.note_probe(tx, "ehr", {**known.traits, **OFFERS_MATCH})
            registry.pause(tx, "ehr", "")

    def links(self) -> list[Row[Any]]:
        """Every decision, in order."""
        with self.store.read() as tx:
            return list(tx.execute(select(patient_link).order_by(patient_link.c.sequence)))

    @property
    def link(self) -> Row[Any]:
        """The decision that counts, of the one patient there is."""
        (now,) = [one for one in self.links() if not one.ended_at]
        return now

    def waits(self) -> set[str]:
        """Why the patient waits for a person."""
        return set(self.link.why.split())

    def charted(self) -> set[str]:
        """In whose charts something of ours stands."""
        ours = [one for kind in ("Observation", "Provenance") for one in self.ehr.all_of(kind)]
        return {own for one in ours for kind, own in literal_references(one) if kind == "Patient"}

    def patients(self) -> set[str]:
        return {one["id"] for one in self.ehr.all_of("Patient")}


def put(far: FarSide, body: dict[str, Any]) -> None:
    """Write into the EHR as the people there do."""
    reference = f"/{body['resourceType']}/{body['id']}"
    headers = {"Content-Type": codec.FHIR_JSON}
    assert far.model.handle("PUT", reference, headers, codec.encode(body)).status in (200, 201)


def visit(number: int = 1, patient: str = "pt-1", **changes: Any) -> Record:
    """A short visit of one of the clinic's patients, with parts of the patient replaced."""
    made = a_short_visit(number, patient)
    made["patient"] |= changes
    return made
