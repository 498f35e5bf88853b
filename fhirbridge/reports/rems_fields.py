"""What one session record says for the monitoring form of nasal esketamine. Pure.

None: the record does not say it. A "no" is written only where the record says no.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records import units, vocabulary
from fhirbridge.records.moments import at
from fhirbridge.records.rules import given
from fhirbridge.reports.table import Cell, exact

Document = Mapping[str, Any]
YES, NO = "yes", "no"
AWAKE = 5  # MOAA/S
TAKEN = ("active", "on-hold", "unknown", "intended")
MINUTE = timedelta(minutes=1)


@cache
def form() -> Mapping[str, Any]:
    """Return the form: its date, its fields, and what in a record stands for them."""
    raw = resources.files("fhirbridge.reports").joinpath("rems_form.json").read_bytes()
    found: dict[str, Any] = codec.decode(raw)
    return found


def treatments(document: Document) -> list[Mapping[str, Any]]:
    """Return the administrations of nasal esketamine that were given."""
    rules = vocabulary.read("bounds.json")["esketamine"]
    return [
        row
        for row in document.get("administrations", ())
        if given.is_of(row, "drug", rules["drug"])
        and given.is_of(row, "route", rules["route"])
        and row.get("status") in given.GIVEN
    ]


def began(dose: Mapping[str, Any]) -> datetime:
    """Return when the first device was used, else when the administration began."""
    times = [at(device.get("time")) for device in dose.get("devices", ())]
    known = [time for time in times if time]
    return min(known) if known else datetime.fromisoformat(dose["start"])


def fields(document: Document, dose: Mapping[str, Any]) -> dict[str, Cell]:
    """Return each field of the form by its name."""
    start = began(dose)
    period = document.get("observation_period") or {}
    end, left = at(period.get("end")), at(period.get("discharged_at"))
    duration = None if end is None else _minutes(start, end)
    enough = duration is not None and duration >= _rules()["observed_minutes"]
    amount = given.dose(dose)
    lots = sorted({one["lot"] for one in _sources(dose) if one.get("lot")})
    return {
        **_concomitant(document),
        "dose": None if amount is None else str(exact(amount)),
        "lots": ", ".join(lots) or None,
        "duration": None if duration is None else str(duration),
        "ready_to_leave": _ready(start, left, enough=enough),
        "vitals_before_ok": None,  # nobody says so in a record: who watched does
        "vitals_after_ok": _acceptable(period),
        **_pressures(document, start, end),
        **_sedation(document),
        **_dissociation(document),
        "respiratory": YES if list(_events(document, "respiratory_events")) else None,
        "serious_events": _serious(document),
    }


def missing(found: Mapping[str, Cell]) -> list[str]:
    """Return the titles of required fields that the record does not say."""
    return [
        one["title"] for one in form()["fields"] if one["required"] and found[one["name"]] is None
    ]


def _rules() -> Mapping[str, Any]:
    found: Mapping[str, Any] = vocabulary.read("bounds.json")["esketamine"]
    return found


def _minutes(start: datetime, end: datetime) -> int:
    return (end - start) // MINUTE


def _sources(dose: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from dose.get("devices", ())
    yield from dose.get("supplies", ())


def _ready(start: datetime, left: datetime | None, *, enough: bool) -> Cell:
    if enough:
        return "not asked"
    return None if left is None else str(_minutes(start, left))


def _concomitant(document: Document) -> dict[str, Cell]:
    rows = [row for row in document.get("medications_current", ()) if row.get("status") in TAKEN]
    # A medication of which nobody said the class may be any of them.
    all_told = bool(document.get("medications_current")) and all("classes" in r for r in rows)
    known = {one for row in rows for one in _classes(row)}
    return {
        name: YES if kind in known else NO if all_told else None
        for name, kind in form()["concomitant"].items()
    }


def _classes(row: Mapping[str, Any]) -> list[str]:
    own = ["benzodiazepine"] if given.is_of(row, "drug", *form()["benzodiazepine_drugs"]) else []
    return [*own, *row.get("classes", ())]


def _acceptable(period: Mapping[str, Any]) -> Cell:
    """Say no where one criterion of vital signs was not met, yes where all are as at baseline."""
    met = {
        (row.get("criterion") or {}).get("key"): row.get("met")
        for row in period.get("criteria", ())
    }
    if False in (met.get("vital-signs-at-baseline"), met.get("pressure-acceptable")):
        return NO
    return YES if met.get("vital-signs-at-baseline") else None


def _pressures(document: Document, start: datetime, end: datetime | None) -> dict[str, Cell]:
    taken = sorted(
        (
            (datetime.fromisoformat(row["time"]), shown)
            for row in document.get("vitals", ())
            if (shown := _pressure(row.get("blood_pressure")))
        ),
        key=lambda one: one[0],
    )
    rules = _rules()
    first, last = (
        start + int(rules[name]) * MINUTE
        for name in ("pressure_from_minutes", "pressure_to_minutes")
    )
    aim = start + 40 * MINUTE
    before = [one for one in taken if one[0] <= start]
    around = [one for one in taken if first <= one[0] <= last]
    middle = min(around, key=lambda one: abs(one[0] - aim)) if around else None
    since = middle[0] if middle else last
    after = [one for one in taken if one[0] > since and (end is None or one[0] <= end)]
    return {
        "bp_before": before[-1][1] if before else None,
        "bp_40": middle[1] if middle else None,
        "bp_after": after[-1][1] if after else None,
    }


def _pressure(said: object) -> str:
    """Write a pressure as both sides in mmHg; "" where a side is not known."""
    sides = said if isinstance(said, Mapping) else {}
    both = [units.measured(sides.get(one), "pressure") for one in ("systolic", "diastolic")]
    # A tenth of mmHg: a pressure in kPa has no end as a decimal in mmHg.
    found = [str(exact(Fraction(round(one * 10), 10))) for one in both if one is not None]
    return "/".join(found) if len(found) == len(both) else ""


def _sedation(document: Document) -> dict[str, Cell]:
    rows = [*document.get("sedation", ()), *document.get("assessments", ())]
    return _effect("sedation", rows, list(_events(document, "sedation_events")), _is_sedated)


def _dissociation(document: Document) -> dict[str, Cell]:
    rows = [*document.get("dissociation", ()), *document.get("assessments", ())]
    found = list(_events(document, "dissociation_events"))
    return _effect("dissociation", rows, found, _is_dissociated)


def _is_sedated(row: Mapping[str, Any]) -> bool | None:
    value = row.get("value", row.get("total"))
    if value is None:
        return None
    if given.is_of(row, "instrument", "moaa-s"):
        return bool(value < AWAKE)
    return bool(value < 0) if given.is_of(row, "instrument", "rass") else None


def _is_dissociated(row: Mapping[str, Any]) -> bool | None:
    """Judge by who watched; of a score alone only none at all is certain."""
    judgement = row.get("judgement")
    if judgement:
        return bool(judgement != "none")
    is_zero = given.is_of(row, "instrument", "cadss") and row.get("total") == 0
    return False if is_zero else None


def _effect(
    name: str,
    rows: Iterable[Mapping[str, Any]],
    events: list[Mapping[str, Any]],
    judge: Callable[[Mapping[str, Any]], bool | None],
) -> dict[str, Cell]:
    judged = [(row, judge(row)) for row in rows]
    shown = [row for row, said in judged if said]
    onset = [row.get("time") for row in shown] + [row.get("onset") for row in events]
    ended = [row.get("resolved_at") for row in shown] + [row.get("resolved") for row in events]
    was = bool(shown or events)
    said_no = any(said is False for _, said in judged)
    unsure = any(said is None for row, said in judged if "judgement" in row or "text" in row)
    return {
        name: YES if was else NO if said_no and not unsure else None,
        f"{name}_onset": next(iter(_by_time(onset)), None),
        f"{name}_resolved": _by_time(ended)[-1] if was and all(ended) else None,
    }


def _by_time(times: Iterable[Any]) -> list[str]:
    return sorted((str(time) for time in times if time), key=datetime.fromisoformat)


def _events(document: Document, kind: str) -> Iterator[Mapping[str, Any]]:
    for row in document.get("adverse_events", ()):
        parts = [row, *row.get("parts", ())]
        if any(given.is_of(part, "event", *form()[kind]) for part in parts):
            yield row


def _serious(document: Document) -> Cell:
    """List serious events; none only where of each event somebody said that it was not serious."""
    rows = document.get("adverse_events", ())
    listed = [
        f"{_words(row.get('event'))} ({row['seriousness']})"
        for row in rows
        if row.get("seriousness") and row["seriousness"] not in form()["not_serious"]
    ]
    if listed:
        return "; ".join(listed)
    if not rows:
        return "none written down"
    return "none" if all(row.get("seriousness") for row in rows) else None


def _words(coded: object) -> str:
    named = coded if isinstance(coded, Mapping) else {}
    return str(named.get("key") or named.get("display") or named.get("text") or named.get("code"))
