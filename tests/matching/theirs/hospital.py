"""A hospital whose EHR has its visits, orders, clinicians and places itself. All synthetic."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fhirbridge.destinations import theirs
from fhirbridge.destinations.registry import Patients
from fhirbridge.destinations.theirs import NPI
from fhirbridge.matching.guard import FRESH_FOR
from fhirbridge.matching.theirs.crosswalk import Change, Kind
from fhirbridge.settings import packaged_mappings
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import Files
from tests.factories import Record, a_visit
from tests.matching.clinic import MATCHED, Clinic, an_ehr_patient, put

VISITS = "urn:oid:2.16.840.1.113883.19.78"
ORDERS = "urn:oid:2.16.840.1.113883.19.79"
NUMBER = "EHR-ENC-1"
ORDER = "EHR-ORDER-1"
ALL_TYPES = {"Encounter": VISITS, "MedicationRequest": ORDERS, "Practitioner": "",
             "Organization": "", "Location": "", "Appointment": ""}  # fmt: skip


def the_whole_set() -> Files:
    """The mappings as they come with the program."""
    return mapping_set.read(packaged_mappings())


def an_encounter(
    own: str = "enc-1", *, number: str = NUMBER, patient: str = "ehr-1", **parts: Any
) -> dict[str, Any]:
    """The hospital's own Encounter of the first visit of the samples."""
    return {
        "resourceType": "Encounter",
        "id": own,
        "identifier": [{"system": VISITS, "value": number}],
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": "2026-03-02T08:45:00-05:00", "end": "2026-03-02T12:00:00-05:00"},
        **parts,
    }


def an_order(own: str = "ord-1", *, patient: str = "ehr-1", **parts: Any) -> dict[str, Any]:
    """The hospital's own order of the drug."""
    return {
        "resourceType": "MedicationRequest",
        "id": own,
        "identifier": [{"system": ORDERS, "value": ORDER}],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Synthetic ketamine"},
        "subject": {"reference": f"Patient/{patient}"},
        **parts,
    }


def a_practitioner(own: str = "prac-1", npi: str = "1234567893", **parts: Any) -> dict[str, Any]:
    """A clinician as the hospital has them."""
    return {
        "resourceType": "Practitioner",
        "id": own,
        "active": True,
        "identifier": [{"system": NPI, "value": npi}],
        "name": [{"family": "Synthetic-Okafor", "given": ["Ada"]}],
        **parts,
    }


def a_numbered_visit() -> Record:
    """A short first visit with a dose and a pulse, and the EHR's numbers of visit and order."""
    whole = a_visit(1)
    dose = {name: one for name, one in whole["administrations"][0].items() if name != "reasons"}
    pulse = {name: whole["vitals"][0][name] for name in ("id", "time", "phase", "heart_rate")}
    kept = (
        "schema", "session_id", "version", "recorded_at", "as_of", "status", "labels", "signed",
        "clinic", "patient", "staff", "visit", "consents",
    )  # fmt: skip
    return {
        **{name: whole[name] for name in kept},
        "visit": {**whole["visit"], "ehr_encounter": NUMBER},
        "orders": [{**one, "ehr_order": ORDER} for one in whole["orders"]],
        "administrations": [dose],
        "vitals": [pulse],
    }


class Hospital(Clinic):
    """A bridge with all mappings, and an EHR of which `matched` types are its own."""

    def __init__(
        self,
        *there: dict[str, Any],
        matched: Mapping[str, str] = {"Encounter": VISITS},
        patients: Patients = MATCHED,
    ) -> None:
        super().__init__(an_ehr_patient(), an_ehr_patient("ehr-2", "SYN-2"), patients=patients)
        self.use_mappings(the_whole_set)
        with self.store.begin() as tx:
            theirs.choose(tx, "ehr", matched)
        for one in there:
            self.put(one)

    beyond_freshness = FRESH_FOR + timedelta(seconds=1)

    def put(self, body: dict[str, Any]) -> None:
        """Let the people there write something."""
        put(self.ehr, body)

    def load(self, kind: Kind, *rows: tuple[str, str], whole: bool = False) -> Change:
        """Load a table."""
        text = "\n".join(["ours,theirs", *(f"{ours},{there}" for ours, there in rows)])
        return self.bridge.theirs.load(
            "ehr", kind, text.encode(), whole=whole, plan=False, actor="test"
        )

    def decided(self, kind: str = "Encounter") -> list[dict[str, Any]]:
        """What counts, of one type."""
        return self.bridge.theirs.listed("ehr", kind=kind, every=True, actor="test")

    def why(self, kind: str = "Encounter") -> list[str]:
        """Why the only one of a type is left out."""
        (one,) = self.decided(kind)
        why: list[str] = one["why"]
        return why

    def ours(self, kind: str) -> list[dict[str, Any]]:
        """What we wrote of a type."""
        made = {one.id for one in self.ledger() if one.type == kind}
        return [one for one in self.ehr.all_of(kind) if one["id"] in made]

    def named(self, element: str, kind: str) -> set[str]:
        """What an element of ours of a type points to; "" where it is not there."""
        found = [one.get(element, {}) for one in self.ours(kind)]
        return {str(one.get("reference", "")) for one in found}

    def visits(self) -> set[str]:
        """Which Encounter our observations and doses point to."""
        return self.named("encounter", "Observation") | self.named(
            "context", "MedicationAdministration"
        )
