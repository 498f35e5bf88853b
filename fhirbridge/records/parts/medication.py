"""What was ordered and what was given."""

from fhirbridge.records.fields import Choice, Flag, Moment, PartialDate, RowRef, Text, Word
from fhirbridge.records.parts.shapes import ENTERED_IN_ERROR, Row, Rows, coded, measure, rows

DOSE = ("mass", "mass-per-weight", "volume", "count")
DAILY_DOSE = (*DOSE, "mass-rate")
RATE = ("mass-rate", "mass-rate-per-weight", "volume-rate")


class Order(Row):
    """What a prescriber asked for in this visit."""

    retractable = True

    status = Choice("active", "completed", "stopped", "cancelled", ENTERED_IN_ERROR)
    drug = coded("drug", required=True)
    route = coded("route", required=True)
    dose_per_weight = measure("mass-per-weight")
    dose = measure(*DOSE)
    dose_cap = measure("mass")
    rate = measure(*RATE)
    planned_duration = measure("time")
    ordered_by = RowRef("staff")
    ordered_at = Moment()
    ehr_order = Word()
    note = Text()


class Ingredient(Row):
    """One drug of a mixture."""

    drug = coded("drug", required=True)
    amount = measure("mass", "volume", "concentration")


class RateSegment(Row):
    """A stretch of an infusion at one rate."""

    start = Moment(required=True)
    end = Moment()
    rate = measure(*RATE, required=True)


class Pause(Row):
    """A stretch of an infusion in which nothing ran."""

    start = Moment(required=True)
    end = Moment()
    reason = Text()


class Bolus(Row):
    """A dose given at once within an administration."""

    time = Moment(required=True)
    dose = measure(*DOSE, required=True)


class Device(Row):
    """A single-use device, such as one nasal spray."""

    time = Moment()
    given = measure("mass", "count")
    wasted = measure("mass", "count")
    lot = Word()
    expiry = PartialDate()


class Supply(Row):
    """Where the drug came from."""

    lot = Word()
    expiry = PartialDate()
    ndc = Word()
    vial = Word()
    amount = measure("mass", "volume", "count")
    concentration = measure("concentration")
    start = Moment()
    end = Moment()


class Administration(Row):
    """One drug given once by one route: an infusion, a bolus, sprays, an injection, a tablet.

    `drug` names the product, also of a mixture; `ingredients` says what is in it. `dose` is all
    that was given in this row, boluses included. `performer` is a staff row or the patient.
    """

    retractable = True

    role = Choice("study-drug", "adjunct", "rescue", "placebo", required=True)
    drug = coded("drug", required=True)
    ingredients = rows(Ingredient)
    route = coded("route", required=True)
    site = coded("site")
    setting = Choice("clinic", "home", "other")
    performer = RowRef("staff", "patient")
    observed = Flag()
    observed_by = RowRef("staff")
    status = Choice(
        "planned", "in-progress", "on-hold", "completed", "stopped", "not-done", "unknown",
        ENTERED_IN_ERROR, required=True,
    )  # fmt: skip
    status_reason = coded("not-done-reason")
    start = Moment(required=True)
    end = Moment()
    dose = measure(*DOSE)
    dose_per_weight = measure("mass-per-weight")
    weight_used = measure("mass")
    held_in_mouth = measure("time")
    swallowed = Flag()
    rates = rows(RateSegment)
    pauses = rows(Pause)
    boluses = rows(Bolus)
    devices = rows(Device)
    supplies = rows(Supply)
    order = RowRef("orders")
    reasons = Rows(RowRef("conditions"))
    note = Text()


class Waste(Row):
    """Drug that was drawn or opened and not given. The witness is another person than the giver.

    It may stand without a dose: a vial dropped, a device opened and not used.
    """

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    time = Moment(required=True)
    administration = RowRef("administrations")
    drug = coded("drug", required=True)
    amount = measure("mass", "volume", "count")
    lot = Word()
    vial = Word()
    why = Text()
    giver = RowRef("staff")
    witness = RowRef("staff")
    note = Text()
