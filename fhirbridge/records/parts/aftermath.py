"""What the drug did and how the patient left: sedation, dissociation, adverse events, discharge."""

from fhirbridge.records.fields import (
    Choice,
    Flag,
    Moment,
    Number,
    RowRef,
    TableWord,
    Text,
    Whole,
    Word,
)
from fhirbridge.records.parts.observations import InstrumentBase
from fhirbridge.records.parts.shapes import (
    ENTERED_IN_ERROR,
    Part,
    Row,
    Rows,
    Strict,
    coded,
    coded_shape,
    measure,
    rows,
)

CRITERION = ("pressure", "frequency", "fraction", "score", "time")
CONTACT_WAYS = ("phone", "video", "message", "portal", "app", "in-person")


def _instrument() -> Part:
    return Part(coded_shape("instrument", InstrumentBase), required=True)


class Sedation(Row):
    """How deep the sedation was at one time."""

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    instrument = _instrument()
    time = Moment(required=True)
    value = Number()
    text = Text()
    observed_by = RowRef("staff")
    resolved_at = Moment()
    note = Text()


class Subscale(Row):
    """The score of one part of a scale."""

    name = Word(required=True)
    value = Number(required=True)


class Dissociation(Row):
    """Dissociation as scored by the patient and as judged by who watched."""

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    instrument = _instrument()
    time = Moment(required=True)
    total = Number()
    subscales = rows(Subscale)
    judgement = Choice("none", "mild", "moderate", "severe")
    observed_by = RowRef("staff")
    resolved_at = Moment()
    note = Text()


class EventPart(Row):
    """One symptom of an event that has several."""

    event = coded("adverse-event", required=True)


class Action(Row):
    """What was done about an event."""

    kind = TableWord("adverse-event-action", required=True)
    time = Moment()
    administration = RowRef("administrations")
    procedure = RowRef("procedures")
    by = RowRef("staff")
    note = Text()


class AdverseEvent(Row):
    """An unwanted effect. `suspected` names doses, or stretches of an infusion.

    `reported_by` is a staff row or the patient.
    """

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    event = coded("adverse-event", required=True)
    parts = rows(EventPart)
    onset = Moment()
    resolved = Moment()
    severity = coded("severity")
    seriousness = TableWord("seriousness")
    causality = TableWord("causality")
    suspected = Rows(RowRef("administrations", "administrations.rates"))
    actions = rows(Action)
    outcome = TableWord("adverse-event-outcome")
    reported_by = RowRef("staff", "patient")
    note = Text()


class Criterion(Row):
    """One criterion of discharge, and whether it was met."""

    criterion = coded("discharge-criterion", required=True)
    met = Flag()
    value = measure(*CRITERION)
    text = Text()
    time = Moment()


class RecoveryScore(Strict):
    """A score of recovery, such as the modified Aldrete score."""

    instrument = _instrument()
    total = Number()
    time = Moment()


class Escort(Strict):
    """Who takes the patient home."""

    present = Flag(required=True)
    name = Word()
    relation = Word()


class Instructions(Strict):
    """What the patient was told."""

    given = Flag(required=True)
    understood = Flag()
    text = Text()


class SafetyPlan(Strict):
    """What to do when thoughts of suicide come back."""

    reviewed = Flag(required=True)
    at = Moment()
    by = RowRef("staff")
    text = Text()


class NextDayContact(Strict):
    """The call of the day after: when it is due, who makes it."""

    due = Moment()
    by = RowRef("staff")
    way = Choice(*CONTACT_WAYS)
    note = Text()


class ObservationPeriod(Row):
    """From the end of the dose to the door."""

    start = Moment(required=True)
    end = Moment()
    by = RowRef("staff")
    minutes_required = Whole()
    criteria = rows(Criterion)
    score = Part(RecoveryScore)
    escort = Part(Escort)
    transport = Text()
    instructions = Part(Instructions)
    safety_plan = Part(SafetyPlan)
    next_day_contact = Part(NextDayContact)
    discharged_at = Moment()
    discharged_by = RowRef("staff")
    against_advice = Flag()
    note = Text()


class Contact(Row):
    """A call or message, during a visit record or as a contact between visits."""

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    time = Moment(required=True)
    way = Choice(*CONTACT_WAYS, required=True)
    by = RowRef("staff")
    with_ = Choice("patient", "relative", "clinician", "other", data_key="with")
    reason = Text()
    summary = Text()
    outcome = Choice(
        "no-action", "advice", "visit-brought-forward", "referred", "emergency", "not-reached"
    )
    note = Text()
