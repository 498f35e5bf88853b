"""The record itself, `fhirbridge/session/v1`: the one definition."""

from collections.abc import Mapping

from marshmallow import ValidationError, validates_schema

from fhirbridge.records.fields import REQUIRED, Choice, Moment, TableWord, Whole, Word
from fhirbridge.records.parts.medication import Administration, Order
from fhirbridge.records.parts.observations import Assessment, VitalSigns
from fhirbridge.records.parts.people import Clinic, Patient, Signed, StaffMember
from fhirbridge.records.parts.plan import Plan
from fhirbridge.records.parts.shapes import ENTERED_IN_ERROR, Part, Rows, Strict, rows
from fhirbridge.records.parts.visit import Condition, Consent, Note, Visit
from fhirbridge.records.source import Json

SCHEMA_NAME = "fhirbridge/session/v1"
IDENTITY = ("schema", "session_id", "version", "recorded_at", "patient")


class SessionRecord(Strict):
    """One visit of one patient, complete at every version.

    `status: entered-in-error` takes the whole visit back: then only its identity is asked for.
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
    consents = rows(Consent)
    orders = rows(Order)
    administrations = rows(Administration)
    vitals = rows(VitalSigns)
    assessments = rows(Assessment)
    plan = Part(Plan)
    notes = rows(Note)

    def load(self, data: Json, *, partial: Json = None, **options: Json) -> Json:
        """Load; of a visit that is taken back nothing but the identity is asked for."""
        if isinstance(data, Mapping) and data.get("status") == ENTERED_IN_ERROR:
            partial = True
        return super().load(data, partial=partial, **options)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def ask_for_identity(
        self, _data: Json, original: Json, *, partial: Json = None, **_: Json
    ) -> None:
        """Ask for the identity also where nothing else is asked for."""
        missing = [name for name in IDENTITY if name not in original]
        if partial is True and missing:
            raise ValidationError({name: [REQUIRED] for name in missing})
