"""Synthetic, plausible session records of every kind: each passes the check with nothing held.

A record is first made complete, then thinned: what may be missing sometimes is. Into some of them
comes what records rarely say. The same chance gives the same record.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from fhirbridge.records import course, dosing, invention, ornament
from fhirbridge.records.dice import Chance, Dice, SeededChance
from fhirbridge.records.dosing import DOSE_AT
from fhirbridge.records.invention import Part, Scene
from fhirbridge.records.moments import at as moment
from fhirbridge.records.parts.session import SCHEMA_NAME
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema

__all__ = ["KINDS", "SeededChance", "generate"]

# What other fields or rules need, or what a row says at all.
KEPT = frozenset(
    (
        "class", "status", "start", "end", "as_of", "session_id", "total", "items", "value", "text",
        "parts", "result", "labels", "heart_rate", "administration", "administrations", "orders",
        "phases", "rates", "dose", "reviewed", "minutes_required", "discharged_at", "met",
        "criteria",
        "weight_used", "signed_at", "witness", "status_reason", "amount", "safety_plan",
        "conditions",
        "staff", "suspected", "actions", "procedures", "adequate", "outcome", "prior_treatments",
        "devices", "given", "observation_period", "boluses", "pauses", "concentration",
        "dose_per_weight", "min", "max", "absent_reason", "systolic", "answer", "screen",
    )
)  # fmt: skip


def generate(kind: str, chance: Chance) -> dict[str, Any]:
    """Return one record of a kind in KINDS; KeyError for another."""
    dice = Dice(chance)
    scene = invention.scene(dice)
    record = KINDS[kind](scene, _frame(scene, kind))
    if kind == "crisis":  # nothing of a crisis may be missing
        return record
    kept_of_ten = dice.pick((10, 10, 7, 4))
    if kept_of_ten < 10:  # noqa: PLR2004, of ten
        _thin(record, source_schema(), dice, kept_of_ten)
    if dice.happens(1, 3):
        ornament.adorn(record, source_schema(), dice)
    return record


def _frame(at: Scene, kind: str) -> Part:
    dice = at.dice
    version = dice.whole(1, 3)
    session = f"ses-{kind}-{dice.whole(10000, 99999)}"
    return {
        "schema": SCHEMA_NAME,
        "session_id": session,
        "version": version,
        "recorded_at": at.at(600),
        "as_of": at.at(590),
        **({"amends": version - 1} if version > 1 else {}),
        "status": "active",
        "labels": ["synthetic"],
        "signed": {
            "state": dice.pick(("preliminary", "final", "amended")),
            "by": "st-ordering",
            "at": at.at(595),
        },
        "clinic": invention.clinic(at),
        "patient": invention.patient(at),
        "staff": invention.staff(dice),
        "conditions": invention.conditions(at, pain=kind == "pain-infusion"),
        "consents": invention.consents(at),
    }


def _visit(at: Scene, kind: str, status: str, minutes: int) -> Part:
    return {
        "kind": kind,
        "class": "ambulatory",
        "number": at.number,
        "series": "series-1",
        "status": status,
        "start": at.at(0),
        "end": at.at(minutes),
        "room": "Room 3",
        "ehr_encounter": "EHR-ENC-1",
        "ehr_appointment": "EHR-APT-1",
        "disposition": {"key": at.dice.pick(("home-with-escort", "home"))},
    }


def _treatment(route: str, *, crisis: bool = False) -> Callable[[Scene, Part], Part]:
    def make(at: Scene, record: Part) -> Part:
        given = dosing.ROUTES[route](at)
        done = DOSE_AT + (_length(given) if "end" in given else 0)
        left = max(done + 60, DOSE_AT + 130)
        status = "stopped-early" if given["status"] == "stopped" else "completed"
        rescue = dosing.rescue(at, done + 3)
        rate = "r-1" if given.get("rates") else ""
        times = (8, DOSE_AT + 5, DOSE_AT + 42, done + 30, left - 5)
        return record | {
            "visit": _visit(at, "treatment", status, left + 5),
            "medications_current": course.medications(at),
            "allergies": course.allergies(at),
            "labs": course.labs(at),
            "procedures": course.procedures(at),
            "orders": [dosing.order(at, given)],
            "administrations": [given, rescue],
            "waste": dosing.waste(at, done + 10),
            "vitals": invention.vitals(at, times, crisis=crisis),
            "assessments": invention.assessments(at),
            "sedation": course.sedation(at, DOSE_AT + 20),
            "dissociation": course.dissociation(at, DOSE_AT + 40),
            "adverse_events": course.adverse_events(at, DOSE_AT + 6, rate=rate, rescue="a-2"),
            "observation_period": course.observation(at, done, left),
            "plan": course.plan(at, record["session_id"]),
            "notes": _notes(at),
        }

    return make


def _consultation(at: Scene, record: Part) -> Part:
    return record | {
        "visit": _visit(at, "initial-consultation", "completed", 60),
        "consultation": course.consultation(at),
        "medications_current": course.medications(at),
        "allergies": course.allergies(at),
        "labs": course.labs(at),
        "assessments": invention.assessments(at),
        "plan": course.plan(at, record["session_id"]),
        "notes": _notes(at),
    }


def _follow_up(at: Scene, record: Part) -> Part:
    return record | {
        "visit": _visit(at, "follow-up", "completed", 40),
        "vitals": invention.vitals(at, (5, 20, 35)),
        "assessments": invention.assessments(at),
        "plan": course.plan(at, record["session_id"]),
    }


def _between(at: Scene, record: Part) -> Part:
    visit = _visit(at, "between-visit", "completed", 15)
    kept = {name: visit[name] for name in ("kind", "status", "start", "end", "series")}
    return record | {
        "visit": kept,
        "assessments": invention.assessments(at, home=True),
        "contacts": course.contacts(at),
    }


def _without_visit(status: str) -> Callable[[Scene, Part], Part]:
    def make(at: Scene, record: Part) -> Part:
        visit = _visit(at, "treatment", status, 120)
        visit.pop("disposition")
        if status != "planned":
            visit["status_reason"] = {"key": "patient-absent"}
        if status == "cancelled" and at.dice.happens(1, 4):
            record["patient"]["deceased_on"] = at.day(-3)
            visit["status_reason"] = {"text": "The patient died"}
        return record | {"visit": visit}

    return make


def _retracted(at: Scene, record: Part) -> Part:
    identity = ("schema", "session_id", "version", "recorded_at")
    named = {"patient": {"id": at.patient}} if at.dice.happens(1, 2) else {}
    return {name: record[name] for name in identity} | {"status": "entered-in-error"} | named


KINDS: dict[str, Callable[[Scene, Part], Part]] = {
    "consultation": _consultation,
    **{route: _treatment(route) for route in dosing.ROUTES},
    "crisis": _treatment("infusion", crisis=True),
    "follow-up": _follow_up,
    "between-visit": _between,
    **{status: _without_visit(status) for status in ("planned", "cancelled", "no-show")},
    "retracted": _retracted,
}


def _notes(at: Scene) -> list[Part]:
    return [
        {"id": "n-1", "author": "st-consulting", "time": at.at(50), "text": "Tolerated well."},
        {
            "id": "n-2", "author": "st-consulting", "time": at.at(55),
            "text": "Themes of the session.", "psychotherapy": True,
        },
    ]  # fmt: skip


def _length(given: Part) -> int:
    start, end = moment(given["start"]), moment(given["end"])
    return (end - start) // timedelta(minutes=1) if start and end else 0


def _thin(value: Any, field: SourceField, dice: Dice, kept_of_ten: int) -> None:
    """Take out what may be missing, but for what a measure, a code or a rule needs."""
    if field.kind == "list" and field.item is not None:
        for row in value:
            _thin(row, field.item, dice, kept_of_ten)
    elif field.kind == "object" and not field.dimensions and "code" not in field.fields:
        for name in list(value):
            child = field.fields[name]
            needed = child.required or name in KEPT or name == "id"
            if not needed and not dice.happens(kept_of_ten, 10):
                del value[name]
            else:
                _thin(value[name], child, dice, kept_of_ten)
