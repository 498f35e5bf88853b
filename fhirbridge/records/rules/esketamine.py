"""Nasal esketamine: dose by devices, a pressure about 40 minutes after, two hours of watching."""

from datetime import datetime, timedelta
from typing import Any

from fhirbridge.records import units, vocabulary
from fhirbridge.records.draft import Draft, Path, rows_in
from fhirbridge.records.moments import at
from fhirbridge.records.rules import discharge, given
from fhirbridge.records.source import Json

GIVEN = ("completed", "stopped")
VISIT_OVER = ("completed", "stopped-early")


def check(draft: Draft) -> None:
    """Warn of each nasal esketamine dose that departs from its monitoring rules."""
    rules = vocabulary.read("bounds.json")["esketamine"]
    for path, row in draft.rows("administrations"):
        if not (
            given.is_of(row, "drug", rules["drug"]) and given.is_of(row, "route", rules["route"])
        ):
            continue
        if row.get("status") in GIVEN:
            _warn_of_dose(draft, path, row, rules)
            if draft.part("visit").get("status") in VISIT_OVER and row.get("setting") != "home":
                _warn_of_watch(draft, path, row, rules)


def _warn_of_dose(draft: Draft, path: Path, row: dict[str, Any], rules: Json) -> None:
    mass = given.dose(row)
    if mass is None:
        return
    if mass not in rules["doses"]:
        draft.warn(
            (*path, "dose"), "R303", "dose is not one of the usual doses of nasal esketamine"
        )
    devices = [device for _, device in rows_in(row, "devices", path)]
    amounts = [units.measured(device.get("given"), "mass") for device in devices]
    each = [rules["device"] if amount is None else amount for amount in amounts]
    if devices and sum(each) != mass:
        draft.warn((*path, "devices"), "R313", "the devices do not add up to the dose")


def _warn_of_watch(draft: Draft, path: Path, row: dict[str, Any], rules: Json) -> None:
    start = _first_spray(row)
    if start is None:
        return
    since = start + timedelta(minutes=int(rules["pressure_from_minutes"]))
    until = start + timedelta(minutes=int(rules["pressure_to_minutes"]))
    taken = [
        at(vital.get("time")) for _, vital in draft.rows("vitals") if "blood_pressure" in vital
    ]
    if not any(time and since <= time <= until for time in taken):
        draft.warn(path, "R309", "no blood pressure about 40 minutes after this dose")
    place, left = discharge.left_at(draft)
    if left and left < start + timedelta(minutes=int(rules["observed_minutes"])):
        draft.warn(place, "R310", "less than two hours of observation after nasal esketamine")


def _first_spray(row: dict[str, Any]) -> datetime | None:
    times = [at(device.get("time")) for _, device in rows_in(row, "devices", ())]
    known = [time for time in times if time]
    return min(known) if known else at(row.get("start"))
