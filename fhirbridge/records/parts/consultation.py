"""The initial consultation: why the patient comes, what was tried, whether ketamine is safe."""

from fhirbridge.records.fields import Choice, Flag, Moment, Number, PartialDate, RowRef, Text, Whole
from fhirbridge.records.parts.medication import DAILY_DOSE
from fhirbridge.records.parts.plan import Goal
from fhirbridge.records.parts.shapes import Part, Row, Strict, coded, measure, rows

NOT_CHECKED = ("not-checked", "unknown")
HOW_KNOWN = ("stated", "record", "examined", "measured", "laboratory", "other")


class Symptom(Row):
    """What the patient comes with."""

    symptom = coded(required=True)
    since = PartialDate()
    severity = coded("severity")
    note = Text()


class HistoryItem(Row):
    """One thing of the mental-health history, coded or in words."""

    kind = Choice(
        "diagnosis", "hospital-stay", "suicide-attempt", "self-harm", "psychosis", "mania",
        "substance-use", "trauma", "family", "other", required=True,
    )  # fmt: skip
    what = coded("condition")
    date = PartialDate()
    text = Text()
    note = Text()


class PriorTreatment(Row):
    """A treatment that was tried before; two adequate failures make a depression resistant."""

    kind = Choice("medication", "ect", "tms", "psychotherapy", "ketamine", "other", required=True)
    drug = coded("drug")
    name = Text()
    dose = measure(*DAILY_DOSE)
    weeks = Number()
    sessions = Whole()
    adequate = Flag()
    outcome = Choice(
        "remission", "response", "partial-response", "no-response", "intolerance", "unknown"
    )
    start = PartialDate()
    end = PartialDate()
    why_stopped = Text()
    note = Text()


class ScreenItem(Row):
    """One contraindication that was asked about. Without an answer it was not checked."""

    item = coded("contraindication", required=True)
    answer = Choice("yes", "no", "not-applicable", *NOT_CHECKED)
    how = Choice(*HOW_KNOWN)
    as_of = Moment()
    note = Text()


class Suitability(Strict):
    """Whether the patient may have the treatment, who says so and why."""

    decision = Choice("suitable", "with-precautions", "unsuitable", required=True)
    by = RowRef("staff")
    at = Moment()
    why = Text()
    precautions = Text()


class Consultation(Strict):
    """What the initial consultation found."""

    presenting = rows(Symptom)
    mental_health_history = rows(HistoryItem)
    prior_treatments = rows(PriorTreatment)
    screened_at = Moment()
    screened_by = RowRef("staff")
    screen = rows(ScreenItem)
    suitability = Part(Suitability)
    goals = rows(Goal)
