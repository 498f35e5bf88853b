"""What was measured and asked: vital signs and assessments."""

from fhirbridge.records.fields import Choice, Flag, Moment, Number, RowRef, Text, Whole, Word
from fhirbridge.records.parts.shapes import (
    ABSENT_REASONS,
    ENTERED_IN_ERROR,
    Coded,
    Part,
    Row,
    Strict,
    coded,
    coded_shape,
    measure,
    rows,
)


class BloodPressure(Strict):
    """Either or both sides, and the mean."""

    systolic = measure("pressure")
    diastolic = measure("pressure")
    mean = measure("pressure")


class TextReading(Row):
    """A reading in words, such as a heart rhythm."""

    name = Word(required=True)
    text = Text(required=True)


class VitalSigns(Row):
    """What was read at one time."""

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    time = Moment(required=True)
    phase = Choice("baseline", "during", "post")
    taken_by = RowRef("staff")
    device = Word()
    position = coded("position")
    blood_pressure = Part(BloodPressure)
    heart_rate = measure("frequency")
    respiratory_rate = measure("frequency")
    spo2 = measure("fraction")
    o2_flow = measure("gas-flow")
    fio2 = measure("fraction")
    etco2 = measure("pressure")
    temperature = measure("temperature")
    weight = measure("mass")
    height = measure("length")
    readings = rows(TextReading)


class InstrumentBase(Coded):
    """A questionnaire or scale; one without a key says its unit and range."""

    version = Word()
    subscale = Word()
    unit = Word()
    min = Number()
    max = Number()


class Item(Row):
    """The answer to one item, by its number in the instrument."""

    number = Whole(least=1, required=True)
    value = Number()
    text = Text()
    absent_reason = Choice(*ABSENT_REASONS)


class Assessment(Row):
    """One instrument filled in once."""

    retractable = True

    status = Choice("completed", "not-done", ENTERED_IN_ERROR)
    status_reason = coded("not-done-reason")
    instrument = Part(coded_shape("instrument", InstrumentBase), required=True)
    time = Moment(required=True)
    timing = Choice(
        "baseline",
        "pre-dose",
        "during",
        "plus-40-min",
        "plus-4-h",
        "plus-24-h",
        "plus-7-d",
        "end-of-series",
    )
    mode = Choice("self", "clinician", "proxy", "phone", "video")
    rated_by = RowRef("staff")
    total = Number()
    items = rows(Item)
    prorated = Flag()
    unanswered = Whole()
