"""The record itself, `fhirbridge/session/v1`: the one definition."""

from collections.abc import Mapping

from fhirbridge.records.fields import Choice, Moment, TableWord, Whole, Word
from fhirbridge.records.parts.aftermath import (
    AdverseEvent,
    Contact,
    Dissociation,
    ObservationPeriod,
    Sedation,
)
from fhirbridge.records.parts.background import Allergy, CurrentMedication, Lab, VisitProcedure
from fhirbridge.records.parts.consultation import Consultation
from fhirbridge.records.parts.medication import Administration, Order, Waste
from fhirbridge.records.parts.observations import Assessment, VitalSigns
from fhirbridge.records.parts.people import Clinic, Patient, Signed, StaffMember
from fhirbridge.records.parts.plan import Plan
from fhirbridge.records.parts.shapes import ENTERED_IN_ERROR, Part, Rows, Strict, rows
from fhirbridge.records.parts.visit import Condition, Consent, Note, Visit
from fhirbridge.records.source import Json

SCHEMA_NAME = "fhirbridge/session/v1"
# What a visit that is taken back may leave out; whatever it still says must be right.
NOT_ASKED_OF_A_RETRACTION = (
    "clinic", "visit", "patient", "patient.as_of", "patient.name", "patient.gender",
)  # fmt: skip


class SessionRecord(Strict):
    """One visit of one patient, complete at every version.

    `status: entered-in-error` takes the whole visit back: then only the identity of the session
    is asked for, and of a patient that is named the id.
    """

    schema = Choice(SCHEMA_NAME, required=True)
    session_id = Word(required=True)
    version = Whole(least=1, required=True)
    recorded_at = Moment(required=True)
    as_of = Moment()
    amends = Whole(least=1)
    status = Choice("active", ENTERED_IN_ERROR, required=True)
    labels = Rows(TableWord("label"))
    signed = Part(Signed)
    clinic = Part(Clinic, required=True)
    patient = Part(Patient, required=True)
    staff = rows(StaffMember)
    visit = Part(Visit, required=True)
    conditions = rows(Condition)
    consultation = Part(Consultation)
    medications_current = rows(CurrentMedication)
    allergies = rows(Allergy)
    labs = rows(Lab)
    procedures = rows(VisitProcedure)
    consents = rows(Consent)
    orders = rows(Order)
    administrations = rows(Administration)
    waste = rows(Waste)
    vitals = rows(VitalSigns)
    assessments = rows(Assessment)
    sedation = rows(Sedation)
    dissociation = rows(Dissociation)
    adverse_events = rows(AdverseEvent)
    observation_period = Part(ObservationPeriod)
    contacts = rows(Contact)
    plan = Part(Plan)
    notes = rows(Note)

    def load(self, data: Json, *, partial: Json = None, **options: Json) -> Json:
        """Load; of a visit that is taken back nothing but the session is asked for."""
        if isinstance(data, Mapping) and data.get("status") == ENTERED_IN_ERROR:
            partial = NOT_ASKED_OF_A_RETRACTION
        return super().load(data, partial=partial, **options)
