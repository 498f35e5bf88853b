"""How the patient left: too early, before the criteria, or without a plan for the night."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fhirbridge.records.draft import Draft, rows_in
from fhirbridge.records.moments import at
from fhirbridge.records.rules import given, suicidality

PLACE = ("observation_period",)


def check(draft: Draft) -> None:
    """Warn."""
    period = draft.part("observation_period")
    if period:
        _warn_of_criteria(draft, period)
        _warn_of_minutes(draft, period)
        _warn_of_escort(draft, period)
    _warn_of_ideation(draft, period)


def left_at(draft: Draft) -> tuple[tuple[str, ...], Any]:
    """Return when the watching ended, and where the record says so."""
    for part, name in (("observation_period", "discharged_at"), ("observation_period", "end")):
        if draft.part(part).get(name):
            return (part, name), at(draft.part(part)[name])
    return ("visit", "end"), at(draft.part("visit").get("end"))


def _warn_of_criteria(draft: Draft, period: dict[str, Any]) -> None:
    unmet = [path for path, row in rows_in(period, "criteria", PLACE) if row.get("met") is not True]
    if unmet and "discharged_at" in period and not period.get("against_advice"):
        text = "the patient was discharged and nobody wrote that this criterion was met"
        draft.warn(unmet[0], "R318", text)
    left = at(period.get("discharged_at"))
    for path, row in rows_in(period, "criteria", PLACE):
        met = at(row.get("time")) if row.get("met") is True else None
        if met and left and met > left:
            text = "this criterion was met after the patient was discharged; check the times"
            draft.warn((*path, "time"), "R318", text)


def _warn_of_minutes(draft: Draft, period: dict[str, Any]) -> None:
    start, (path, left) = at(period.get("start")), left_at(draft)
    required = period.get("minutes_required")
    if start and left and required is not None and left - start < timedelta(minutes=required):
        draft.warn(path, "R319", "the patient was watched for less time than minutes_required")


def _warn_of_escort(draft: Draft, period: dict[str, Any]) -> None:
    escort = period.get("escort")
    absent = isinstance(escort, dict) and escort.get("present") is False
    if absent and given.is_of(draft.part("visit"), "disposition", "home-with-escort"):
        draft.warn(
            (*PLACE, "escort"), "R330", "the disposition names an escort and none was present"
        )


def _warn_of_ideation(draft: Draft, period: Mapping[str, Any]) -> None:
    plan = period.get("safety_plan")
    reviewed = isinstance(plan, dict) and plan.get("reviewed") is True
    found = next(suicidality.places(draft.document, at_discharge=bool(period)), None)
    if found is not None and not reviewed:
        text = "thoughts of suicide are written down here, and no safety plan was reviewed"
        draft.warn(found, "R324", text)
