"""Synthetic orders, doses and waste, one story for each way that ketamine is given."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.invention import Part, Scene, amount

DOSE_AT = 30  # minutes after the visit began


def infusion(at: Scene) -> Part:
    """Run at one rate, pause, run at a lower one: the sum is the dose."""
    minutes = at.dice.whole(15, 25)
    rate = (at.weight * at.dice.number("0.5", "0.9", "0.05")).quantize(Decimal("0.1"))
    bolus = Decimal(at.dice.whole(2, 5))
    given = rate * 2 * minutes / 60 + bolus
    halt, again = DOSE_AT + minutes, DOSE_AT + minutes + 5
    return _dose(at, "ketamine", "intravenous-infusion", given, minutes=2 * minutes + 5) | {
        "site": {"key": at.dice.pick(("antecubital-vein", "forearm"))},
        "rates": [
            {"id": "r-1", "start": at.at(DOSE_AT), "end": at.at(halt),
             "rate": amount(rate, "mg/h")},
            {"id": "r-2", "start": at.at(again), "end": at.at(again + minutes),
             "rate": amount(rate, "mg/h")},
        ],
        "pauses": [{"id": "p-1", "start": at.at(halt), "end": at.at(again), "reason": "Nausea"}],
        "boluses": [{"id": "b-1", "time": at.at(DOSE_AT), "dose": amount(bolus, "mg")}],
    }  # fmt: skip


def pain_infusion(at: Scene) -> Part:
    """Run for hours per body weight and minute, as pain clinics do."""
    hours = at.dice.whole(2, 4)
    rate = at.dice.number("3", "12", "0.5")  # ug/kg/min
    given = rate * at.weight * hours * 60 / 1000
    return _dose(at, "ketamine", "intravenous-infusion", given, minutes=60 * hours) | {
        "rates": [
            {"id": "r-1", "start": at.at(DOSE_AT), "end": at.at(DOSE_AT + 60 * hours),
             "rate": amount(rate, "ug/kg/min")}
        ],
    }  # fmt: skip


def stopped(at: Scene) -> Part:
    """Stop an infusion before its time."""
    whole = infusion(at)
    kept = whole["rates"][0]
    bolus = whole["boluses"][0]["dose"]["value"]
    minutes = _minutes(at, kept)
    given = kept["rate"]["value"] * minutes / 60 + bolus
    return whole | {
        "status": "stopped",
        "status_reason": {"key": "adverse-event"},
        "rates": [kept],
        "pauses": [],
        "end": kept["end"],
        "dose": amount(given.quantize(Decimal("0.01")), "mg"),
    }


def bolus(at: Scene) -> Part:
    """Push a dose into a vein."""
    return _per_weight(at, "intravenous-bolus", "0.1", "0.3", minutes=2)


def nasal(at: Scene) -> Part:
    """Let the patient spray esketamine under supervision, device by device."""
    devices = at.dice.whole(2, 3)
    given = _dose(at, "esketamine", "intranasal", Decimal(28 * devices), minutes=5 * devices)
    return given | {
        "performer": at.patient,
        "observed_by": "st-administering",
        "site": {"key": "nasal-cavity"},
        "devices": [
            {
                "id": f"d-{number}", "time": at.at(DOSE_AT + 5 * number), "given": amount(28, "mg"),
                "wasted": amount(0, "mg"), "lot": "SYN-E-7", "expiry": "2027-05",
            }
            for number in range(devices)
        ],
    }  # fmt: skip


def compounded_nasal(at: Scene) -> Part:
    """Count sprays whose content is not known."""
    row = _dose(at, "ketamine", "intranasal", Decimal(1), minutes=5)
    return row | {"dose": amount(at.dice.whole(1, 6), "spray"), "performer": at.patient}


def oral(at: Scene) -> Part:
    """Give a capsule or a lozenge that is held in the mouth, then swallowed."""
    row = _per_weight(at, at.dice.pick(("oral", "sublingual", "buccal")), "0.5", "2.5", minutes=10)
    return row | {
        "performer": at.patient,
        "held_in_mouth": amount(at.dice.whole(5, 15), "min"),
        "swallowed": True,
    }


def intramuscular(at: Scene) -> Part:
    """Inject into a muscle."""
    row = _per_weight(at, "intramuscular", "0.3", "1.0", minutes=1)
    return row | {"site": {"key": at.dice.pick(("left-deltoid", "thigh", "vastus-lateralis"))}}


def subcutaneous(at: Scene) -> Part:
    """Inject under the skin."""
    return _per_weight(at, "subcutaneous", "0.2", "0.8", minutes=1)


def transdermal(at: Scene) -> Part:
    """Put on a patch of a mixture whose dose nobody knows."""
    row = _dose(at, "ketamine", "transdermal", Decimal(1), minutes=60)
    row.pop("dose_per_weight")
    return row | {
        "drug": {"text": "Ketamine and lidocaine cream"},
        "dose": {"absent_reason": "unknown", "label": "not weighed"},
        "ingredients": [
            {"id": "in-1", "drug": {"key": "ketamine"}, "amount": amount(100, "mg/mL")},
            {"id": "in-2", "drug": {"key": "lidocaine"}, "amount": amount(50, "mg/mL")},
        ],
    }


def not_given(at: Scene) -> Part:
    """Plan a dose and not give it."""
    row = _dose(at, "ketamine", "intravenous-infusion", Decimal(1), minutes=1)
    for name in ("dose", "end", "dose_per_weight", "supplies"):
        row.pop(name)
    reason = at.dice.pick(vocabulary.keys("not-done-reason"))
    return row | {"status": "not-done", "status_reason": {"key": reason}}


ROUTES: Mapping[str, Callable[[Scene], Part]] = {
    "infusion": infusion,
    "stopped-infusion": stopped,
    "pain-infusion": pain_infusion,
    "bolus": bolus,
    "nasal": nasal,
    "compounded-nasal": compounded_nasal,
    "oral": oral,
    "intramuscular": intramuscular,
    "subcutaneous": subcutaneous,
    "transdermal": transdermal,
    "not-given": not_given,
}


def order(at: Scene, given: Part) -> Part:
    """Return the order that a dose follows."""
    mass = given.get("dose", {})
    per_weight = given.get("dose_per_weight")
    return {
        "id": "o-1",
        "status": "completed",
        "drug": given["drug"],
        "route": given["route"],
        "dose": mass if "value" in mass else {"absent_reason": "unknown"},
        **({"dose_per_weight": per_weight} if per_weight else {}),
        "dose_cap": amount(1500 if given.get("rates") else 300, "mg"),
        **_run(given),
        "ordered_by": "st-ordering",
        "ordered_at": at.at(6),
        "ehr_order": "EHR-ORDER-1",
        "note": "As discussed",
    }


def _run(given: Part) -> Part:
    """Return rate and duration of an order, where something runs."""
    if not given.get("rates"):
        return {}
    return {"rate": given["rates"][0]["rate"], "planned_duration": amount(40, "min")}


def rescue(at: Scene, minute: int) -> Part:
    """Return a dose against nausea."""
    row = _dose(at, "ondansetron", "intravenous-bolus", Decimal(4), minutes=1, start=minute)
    for name in ("order", "weight_used", "dose_per_weight", "supplies"):
        row.pop(name)
    return row | {"id": "a-2", "role": "rescue"}


def waste(at: Scene, minute: int) -> list[Part]:
    """Return what was left in the vial, seen by two people."""
    return [
        {
            "id": "w-1", "status": "final", "time": at.at(minute), "administration": "a-1",
            "drug": {"key": "ketamine"}, "amount": amount(at.dice.whole(1, 60), "mg"),
            "lot": "SYN-LOT-5", "vial": "SYN-V-5", "why": "Rest of the vial",
            "giver": "st-administering", "witness": "st-witness", "note": "Poured away",
        }
    ]  # fmt: skip


def _per_weight(at: Scene, route: str, least: str, most: str, *, minutes: int) -> Part:
    per_kilogram = at.dice.number(least, most, "0.05")
    row = _dose(at, "ketamine", route, per_kilogram * at.weight, minutes=minutes)
    return row | {"dose_per_weight": amount(per_kilogram, "mg/kg")}


def _dose(
    at: Scene, drug: str, route: str, given: Decimal, *, minutes: int, start: int = DOSE_AT
) -> Part:
    mass = given.quantize(Decimal("0.01"))
    return {
        "id": "a-1",
        "role": "study-drug",
        "drug": {"key": drug},
        "route": {"key": route},
        "setting": "clinic",
        "performer": "st-administering",
        "observed": True,
        "observed_by": "st-monitoring",
        "status": "completed",
        "start": at.at(start),
        "end": at.at(start + minutes),
        "dose": amount(mass, "mg", method="measured"),
        "dose_per_weight": amount((mass / at.weight).quantize(Decimal("0.001")), "mg/kg"),
        "weight_used": amount(at.weight, "kg"),
        "supplies": [
            {
                "id": "s-1", "lot": "SYN-LOT-5", "expiry": "2027-09-30", "ndc": "00000-0000-00",
                "vial": "SYN-V-5", "amount": amount(mass, "mg"),
                "concentration": amount(10, "mg/mL"), "start": at.at(start),
                "end": at.at(start + minutes),
            }
        ],
        "order": "o-1",
        "reasons": ["c-1"],
        "note": "Tolerated",
    }  # fmt: skip


def _minutes(at: Scene, row: Mapping[str, Any]) -> int:
    return next(n for n in range(DOSE_AT, 24 * 60) if at.at(n) == row["end"]) - DOSE_AT
