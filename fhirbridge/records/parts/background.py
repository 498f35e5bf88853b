"""What the patient brings: home medications, allergies, tests, and procedures of the visit."""

from fhirbridge.records.fields import (
    Choice,
    Flag,
    Moment,
    PartialDate,
    RowRef,
    TableWord,
    Text,
    Word,
)
from fhirbridge.records.parts.consultation import HOW_KNOWN
from fhirbridge.records.parts.medication import DAILY_DOSE
from fhirbridge.records.parts.shapes import ENTERED_IN_ERROR, Row, Rows, coded, measure, rows

RESULT = (
    "time", "enzyme-activity", "blood-concentration", "fraction", "frequency", "pressure", "score",
)  # fmt: skip


class CurrentMedication(Row):
    """A medication that others prescribed, as of a moment. It is never an order of this clinic."""

    retractable = True

    as_of = Moment()
    drug = coded("drug", required=True)
    dose = measure(*DAILY_DOSE)
    route = coded("route")
    frequency = Text()
    as_needed = Flag()
    status = Choice(
        "active", "on-hold", "stopped", "completed", "intended", "not-taken", "unknown",
        ENTERED_IN_ERROR, required=True,
    )  # fmt: skip
    classes = Rows(TableWord("medication-class"))
    start = PartialDate()
    end = PartialDate()
    last_taken = Moment()
    how = Choice(*HOW_KNOWN)
    reasons = Rows(RowRef("conditions"))
    note = Text()


class Reaction(Row):
    """What the substance did."""

    what = coded("adverse-event", required=True)
    severity = coded("severity")


class Allergy(Row):
    """An allergy or intolerance, or the statement that none is known ("none-known")."""

    as_of = Moment()
    kind = Choice("allergy", "intolerance", "none-known", required=True)
    substance = coded("drug")
    reactions = rows(Reaction)
    criticality = Choice("low", "high", "unable-to-assess")
    clinical_status = Choice("active", "inactive", "resolved")
    verification_status = Choice("unconfirmed", "confirmed", "refuted", ENTERED_IN_ERROR)
    onset = PartialDate()
    note = Text()


class LabPart(Row):
    """One line of a test."""

    name = coded(required=True)
    value = measure(*RESULT)
    low = measure(*RESULT)
    high = measure(*RESULT)
    result = coded("lab-result")
    text = Text()


class Lab(Row):
    """A test or check: of blood, urine, heart, pharmacy records, an empty stomach."""

    retractable = True

    kind = coded("lab", required=True)
    time = Moment(required=True)
    status = Choice("final", "preliminary", "not-done", ENTERED_IN_ERROR, required=True)
    status_reason = coded("not-done-reason")
    result = coded("lab-result")
    value = measure(*RESULT)
    text = Text()
    parts = rows(LabPart)
    by = RowRef("staff")
    laboratory = Word()
    specimen = Word()
    note = Text()


class VisitProcedure(Row):
    """Something done to or with the patient that is no drug."""

    retractable = True

    kind = coded("procedure", required=True)
    what = Text()
    status = Choice(
        "completed", "in-progress", "stopped", "not-done", ENTERED_IN_ERROR, required=True
    )
    status_reason = coded("not-done-reason")
    start = Moment(required=True)
    end = Moment()
    performer = RowRef("staff")
    site = coded("site")
    reasons = Rows(RowRef("conditions"))
    outcome = Text()
    note = Text()
