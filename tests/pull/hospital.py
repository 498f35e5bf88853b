"""A hospital that knows more of the clinic's patient than the clinic does. All of it synthetic."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, select

from fhirbridge.destinations.pulls import Pull
from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.pull.run import Pulled
from fhirbridge.store.pull_tables import ehr_view, event
from tests.fakes import Says
from tests.matching.clinic import Clinic, an_ehr_patient, put, visit

SNOMED = "http://snomed.info/sct"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
THEIRS = "ehr-1"
EVERYTHING = tuple(Pull)
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def concept(system: str = "", code: str = "", text: str = "") -> dict[str, Any]:
    coding = {"coding": [{"system": system, "code": code}]} if code else {}
    return {**coding, **({"text": text} if text else {})}


def a_condition(
    own: str = "con-1", code: dict[str, Any] | None = None, patient: str = THEIRS, **more: Any
) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": own,
        "clinicalStatus": concept(CLINICAL, "active"),
        "code": code or concept(SNOMED, "77386006"),
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def an_allergy(own: str = "all-1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "id": own,
        "code": concept(RXNORM, "6130"),
        "patient": {"reference": f"Patient/{THEIRS}"},
        **more,
    }


def a_prescription(own: str = "med-1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": own,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(text="Synthetic tablets"),
        "subject": {"reference": f"Patient/{THEIRS}"},
        **more,
    }


def a_plan(own: str = "plan-1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CarePlan",
        "id": own,
        "status": "active",
        "intent": "plan",
        "title": "Synthetic plan of the hospital",
        "subject": {"reference": f"Patient/{THEIRS}"},
        **more,
    }


def searchset(*resources: dict[str, Any], onward: str = "") -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": one, "search": {"mode": "match"}} for one in resources],
        "link": [{"relation": "next", "url": onward}] if onward else [],
    }


class Hospital(Clinic):
    """The clinic's one patient is linked to the hospital's own, and one visit was delivered."""

    def __init__(self, *more: dict[str, Any], chosen: tuple[Pull, ...] = EVERYTHING) -> None:
        super().__init__(an_ehr_patient(THEIRS))
        for one in more:
            self.put(one)
        self.receipt = self.take(visit())
        self.bridge.set_pull("ehr", chosen, actor="test")

    @property
    def lane(self) -> str:
        return self.patient_lane().lane

    def put(self, resource: dict[str, Any]) -> None:
        put(self.ehr, resource)

    def pull(self) -> Pulled:
        (done,) = self.bridge.pulls.pull(self.lane, days=30, actor="test")
        return done

    def shown(self) -> dict[str, Any]:
        return self.bridge.pulls.shown("ehr", self.lane, values=True, actor="test")

    def of_type(self, kind: str) -> dict[str, Any]:
        (found,) = [one for one in self.shown()["types"] if one["type"] == kind]
        return dict(found)

    def ids(self) -> list[str]:
        return [one["resource"] for one in self.shown()["resources"]]

    def heard(self) -> list[tuple[str, str]]:
        """Subkind and type of each event."""
        return [(one["subkind"], one["detail"]["type"]) for one in self.heard_of("ehr.changed")]

    def views(self) -> list[Row[Any]]:
        with self.store.read() as tx:
            return list(tx.execute(select(ehr_view).order_by(ehr_view.c.type)))

    def event_rows(self) -> list[Row[Any]]:
        with self.store.read() as tx:
            return list(tx.execute(select(event).order_by(event.c.sequence)))

    def answer(self, kind: str, *bodies: Any, status: int = 200) -> None:
        """Let the EHR answer searches of a type with these bodies in turn, the last for ever."""
        left = [one if isinstance(one, bytes) else codec.encode(one) for one in bodies]

        def choose(request: Request) -> Says | None:
            asked = request.url.endswith(f"/{kind}/_search") or "page=" in request.url
            if not asked:
                return None
            return Says(status=status, body=left.pop(0) if len(left) > 1 else left[0])

        self.ehr.transport.choose = choose


Change = Callable[[Hospital], None]
