"""What is intended: phases and goals of the course."""

from typing import ClassVar

from fhirbridge.records.fields import (
    Choice,
    Day,
    Flag,
    Moment,
    Number,
    RowRef,
    TableWord,
    Text,
    Whole,
    Word,
)
from fhirbridge.records.parts.medication import DOSE
from fhirbridge.records.parts.shapes import (
    ENTERED_IN_ERROR,
    Part,
    Row,
    Rows,
    Strict,
    coded,
    measure,
    rows,
)
from fhirbridge.records.parts.visit import VISIT_KINDS

UNITS_OF_TIME = ("s", "min", "h", "d", "wk", "mo", "a")


class Frequency(Strict):
    """`times` (up to `times_max`) in each `per` (up to `per_max`) of `unit`."""

    times = Whole(least=1, required=True)
    times_max = Whole(least=1)
    per = Number(required=True)
    per_max = Number()
    unit = Choice(*UNITS_OF_TIME, required=True)


class DoseRange(Strict):
    """The doses that a phase allows."""

    dimensions: ClassVar[tuple[str, ...]] = DOSE

    low = Number()
    high = Number()
    options = Rows(Number())
    step = Number()
    unit = Word(required=True)


class DosePerWeight(DoseRange):
    """Doses per body weight."""

    dimensions = ("mass-per-weight",)


class Phase(Row):
    """A stretch of the course: how often, how much, by which way, until when."""

    kind = TableWord("phase-kind", required=True)
    status = Choice(
        "not-started", "scheduled", "in-progress", "on-hold", "completed", "cancelled", "stopped",
        "unknown", required=True,
    )  # fmt: skip
    status_reason = Text()
    frequency = Part(Frequency)
    dates = Rows(Day())
    consecutive_days = Whole(least=1)
    as_needed = Flag()
    as_needed_for = Text()
    as_needed_interval = measure("time")
    start = Day()
    end = Day()
    open_ended = Flag()
    route = coded("route")
    dose = Part(DoseRange)
    dose_per_weight = Part(DosePerWeight)
    duration = measure("time")
    note = Text()


class Target(Strict):
    """The value at which a goal is met."""

    comparator = Choice("<", "<=", "=", ">=", ">", required=True)
    value = Number(required=True)
    unit = Word()


class Goal(Row):
    """What the course is to achieve."""

    description = Text(required=True)
    measure = coded("instrument")
    target = Part(Target)
    start = Day()
    due = Day()
    status = Choice(
        "proposed", "planned", "accepted", "active", "on-hold", "completed", "cancelled",
        "rejected", ENTERED_IN_ERROR, required=True,
    )  # fmt: skip
    achievement = coded("goal-achievement")
    addresses = Rows(RowRef("conditions"))


class PlannedVisit(Row):
    """A visit that the plan foresees; `session_id` is the record of what became of it."""

    phase = RowRef("plan.phases")
    number = Whole(least=1)
    kind = Choice(*VISIT_KINDS)
    status = Choice(
        "proposed", "booked", "arrived", "done", "cancelled", "no-show", ENTERED_IN_ERROR,
        required=True,
    )  # fmt: skip
    start = Moment()
    end = Moment()
    session_id = Word()
    ehr_appointment = Word()
    why = Text()


class Plan(Row):
    """The plan of a series as of a moment; the newest wins, whatever visit brings it."""

    as_of = Moment(required=True)
    status = Choice(
        "draft",
        "active",
        "on-hold",
        "revoked",
        "completed",
        "unknown",
        ENTERED_IN_ERROR,
        required=True,
    )
    status_reason = Text()
    intent = Choice("proposal", "plan", "order", "option", required=True)
    title = Text()
    series = Word()
    start = Day()
    end = Day()
    conditions = Rows(RowRef("conditions"))
    phases = rows(Phase)
    goals = rows(Goal)
    visits = rows(PlannedVisit)
    authors = Rows(RowRef("staff"))
