"""When and why: the visit, its conditions, its consents, its notes."""

from fhirbridge.records.fields import (
    Choice,
    Flag,
    Moment,
    PartialDate,
    RowRef,
    TableWord,
    Text,
    Whole,
    Word,
)
from fhirbridge.records.parts.shapes import ENTERED_IN_ERROR, Row, Strict, coded

VISIT_KINDS = ("initial-consultation", "treatment", "follow-up", "between-visit")


class Visit(Strict):
    """One visit, or one contact between visits."""

    kind = Choice(*VISIT_KINDS, required=True)
    class_ = Choice("ambulatory", "emergency", "inpatient", "home", data_key="class")
    number = Whole(least=1)
    series = Word()
    status = Choice(
        "planned",
        "in-progress",
        "completed",
        "stopped-early",
        "cancelled",
        "no-show",
        required=True,
    )
    status_reason = coded("not-done-reason")
    start = Moment(required=True)
    end = Moment()
    room = Word()
    ehr_encounter = Word()
    ehr_appointment = Word()
    disposition = coded("disposition")


class Condition(Row):
    """An indication, a comorbidity or a part of the history, as of a moment."""

    as_of = Moment(required=True)
    code = coded("condition", required=True)
    role = Choice("indication", "comorbidity", "history", required=True)
    body_site = coded()
    laterality = Choice("left", "right", "bilateral")
    onset = PartialDate()
    abatement = PartialDate()
    severity = coded("severity")
    clinical_status = Choice("active", "recurrence", "relapse", "inactive", "remission", "resolved")
    verification_status = Choice(
        "unconfirmed", "provisional", "differential", "confirmed", "refuted", ENTERED_IN_ERROR
    )


class Consent(Row):
    """What the patient agreed to, or no longer does. Without a `recipient` it is for all."""

    kind = TableWord("consent-kind", required=True)
    status = Choice(
        "proposed", "active", "rejected", "withdrawn", "expired", ENTERED_IN_ERROR, required=True
    )
    recipient = Word()
    signed_at = Moment()
    withdrawn_at = Moment()


class Note(Row):
    """A free text. A psychotherapy note never leaves the clinic."""

    author = RowRef("staff")
    time = Moment(required=True)
    text = Text(required=True)
    psychotherapy = Flag()
