"""The parts of a synthetic visit, complete and plausible; nobody in them exists."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.dice import Dice
from fhirbridge.records.rules.identity import is_npi

Part = dict[str, Any]

FAMILIES = (
    "Alvarez",
    "Berg",
    "Cole",
    "Dorn",
    "Eze",
    "Fischer",
    "Ge",
    "Haddad",
    "Ito",
    "Jónsdóttir",
)
GIVEN = ("Ada", "Bo", "Chi", "Dee", "Eli", "Fay", "Gil", "Hana", "Ivo", "José")
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
WINTER = {name: f"-0{5 + number}:00" for number, name in enumerate(ZONES)}
INDICATIONS = (
    "treatment-resistant-depression", "major-depressive-disorder", "generalised-anxiety-disorder",
    "post-traumatic-stress-disorder", "bipolar-2-disorder", "panic-disorder",
    "social-anxiety-disorder",
)  # fmt: skip
PAIN = (
    "complex-regional-pain-syndrome-1-upper-limb", "fibromyalgia", "neuropathic-pain",
    "chronic-pain-syndrome", "migraine",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all parts of one visit share."""

    dice: Dice
    start: datetime
    zone: str
    patient: str
    weight: Decimal
    number: int  # of the visit in its series

    def at(self, minutes: int) -> str:
        """Return the time so many minutes after the visit began."""
        return (self.start + timedelta(minutes=minutes)).isoformat() + WINTER[self.zone]

    def day(self, days: int) -> str:
        """Return the date so many days after the visit."""
        return (self.start + timedelta(days=days)).date().isoformat()


def scene(dice: Dice) -> Scene:
    """Set a scene: a morning of a winter, so that an offset is never in doubt."""
    day = datetime(2026, 1, 5) + timedelta(days=dice.whole(0, 50))  # noqa: DTZ001, offset added on writing
    return Scene(
        dice=dice,
        start=day + timedelta(hours=dice.whole(8, 13), minutes=5 * dice.whole(0, 11)),
        zone=dice.pick(ZONES),
        patient=f"pt-{dice.whole(1000, 9999)}",
        weight=dice.number("48", "118", "0.1"),
        number=dice.whole(1, 12),
    )


def amount(value: Decimal | int | str, unit: str, **more: str) -> Part:
    """Return a measure."""
    return {"value": Decimal(value), "unit": unit, **more}


def clinic(at: Scene) -> Part:
    return {
        "id": "clinic-synthetic",
        "name": "Synthetic Ketamine Clinic",
        "npi": provider_number(at.dice),
        "rems_site": "SYN-SITE-1",
        "location": "Registered location A",
        "address": address(at.dice),
        "phone": phone(at.dice),
        "zone": at.zone,
        "limits": {"systolic": amount(160, "mmHg"), "diastolic": amount(100, "mmHg")},
    }


def patient(at: Scene) -> Part:
    dice = at.dice
    return {
        "id": at.patient,
        "as_of": at.at(-10),
        "identifiers": [
            {
                "id": "pid-1",
                "system": "urn:oid:2.16.840.1.113883.19.5",
                "type": {"key": dice.pick(vocabulary.keys("identifier-type"))},
                "value": f"SYN-{dice.whole(100000, 999999)}",
                "assigner": "Synthetic General Hospital",
                "start": "2019",
                "end": "2031-01",
            }
        ],
        "name": name(dice),
        "birth_date": f"{dice.whole(1945, 2006)}-{dice.whole(1, 12):02}-{dice.whole(1, 28):02}",
        "gender": dice.pick(("female", "male", "other", "unknown")),
        "telecom": [{"id": "tel-1", "system": "phone", "use": "mobile", "value": phone(dice)}],
        "address": [{"id": "adr-1", "use": "home", **address(dice)}],
        "language": dice.pick(("en-US", "es", "en")),
        "race": [{"text": "Other"}],
        "ethnicity": {"text": "Not said"},
        "rems_id": f"SYN-R-{dice.whole(100, 999)}",
    }


def staff(dice: Dice) -> list[Part]:
    roles = ("ordering", "administering", "monitoring", "consulting", "witness")
    return [
        {
            "id": f"st-{role}",
            "name": name(dice),
            "npi": provider_number(dice, own=str(number)),
            "credentials": "MD" if role in ("ordering", "consulting") else "RN",
            "role": role,
        }
        for number, role in enumerate(roles, start=1)
    ]


def name(dice: Dice) -> Part:
    return {
        "family": f"Synthetic-{dice.pick(FAMILIES)}",
        "given": [dice.pick(GIVEN)],
        "prefix": [dice.pick(("Dr", "Mx"))],
        "suffix": ["Jr"],
    }


def address(dice: Dice) -> Part:
    return {
        "line": [f"{dice.whole(1, 99)} Example Street"],
        "city": "Springfield",
        "district": "Hampden",
        "state": "MA",
        "postal_code": f"{dice.whole(1001, 2799):05}",
        "country": "US",
    }


def phone(dice: Dice) -> str:
    return f"+1-555-01{dice.whole(0, 99):02}"


def provider_number(dice: Dice, own: str = "0") -> str:
    """Return a number with its check digit; `own` keeps those of one record apart."""
    nine = f"1{own}{dice.whole(0, 10**7 - 1):07}"
    return next(nine + str(digit) for digit in range(10) if is_npi(nine + str(digit)))


def conditions(at: Scene, *, pain: bool) -> list[Part]:
    dice, since = at.dice, at.at(-14400)
    found: list[Part] = [
        {
            "id": "c-1",
            "as_of": since,
            "code": {"key": dice.pick(PAIN if pain else INDICATIONS)},
            "role": "indication",
            "onset": str(dice.whole(2008, 2024)),
            "severity": {"key": dice.pick(vocabulary.keys("severity"))},
            "clinical_status": dice.pick(("active", "recurrence", "relapse")),
            "verification_status": "confirmed",
        },
        {
            "id": "c-2",
            "as_of": since,
            "code": {"text": "Mild intermittent asthma"},
            "role": dice.pick(("comorbidity", "history")),
            "onset": "2001-04",
            "abatement": "2015",
            "clinical_status": "resolved",
            "verification_status": "confirmed",
        },
    ]
    if pain:
        side = {"laterality": dice.pick(("left", "right", "bilateral"))}
        found[0] |= {**side, "body_site": {"text": "Hand"}}
    return found


def consents(at: Scene) -> list[Part]:
    signed = at.at(-14400)
    return [
        {"id": f"cs-{kind}", "kind": kind, "status": "active", "signed_at": signed}
        for kind in ("treatment", "off-label", "sharing")
    ] + [
        {"id": "cs-old", "kind": "sharing", "status": "withdrawn", "recipient": "old-hospital",
         "signed_at": at.at(-20000), "withdrawn_at": at.at(-15000)}
    ]  # fmt: skip


def vitals(at: Scene, minutes: tuple[int, ...], *, crisis: bool = False) -> list[Part]:
    """Make readings at these minutes; the first is the baseline, the last two follow the dose."""
    rows = [_reading(at, number, minute) for number, minute in enumerate(minutes, start=1)]
    rows[0] |= {"phase": "baseline", "height": amount(at.dice.whole(150, 195), "cm"),
                "weight": amount(at.weight, "kg", method="measured")}  # fmt: skip
    for row in rows[-2:]:
        row["phase"] = "post"
    if crisis:
        rows[1] |= {
            "spo2": amount(at.dice.whole(40, 70), "%"),
            "respiratory_rate": amount(0, "/min"),
            "heart_rate": amount(at.dice.whole(15, 40), "/min"),
        }
    return rows


def _reading(at: Scene, number: int, minute: int) -> Part:
    dice = at.dice
    low = dice.whole(62, 92)
    high = low + dice.whole(30, 52)
    return {
        "id": f"v-{number}",
        "status": "final",
        "time": at.at(minute),
        "phase": "during",
        "taken_by": "st-monitoring",
        "device": "Monitor 2",
        "position": {"key": dice.pick(vocabulary.keys("position"))},
        "blood_pressure": {
            "systolic": amount(high, "mmHg", method="measured", device="Cuff 1", label="left arm"),
            "diastolic": amount(low, "mmHg"),
            "mean": amount(low + (high - low) // 3, "mmHg"),
        },
        "heart_rate": amount(dice.whole(52, 110), "/min"),
        "respiratory_rate": amount(dice.whole(10, 20), "/min"),
        "spo2": amount(dice.whole(93, 100), "%"),
        "o2_flow": amount(dice.whole(0, 4), "L/min"),
        "fio2": amount(dice.whole(21, 40), "%"),
        "etco2": amount(dice.whole(30, 45), "mmHg"),
        "temperature": amount(dice.number("36.2", "37.4", "0.1"), "Cel"),
        "readings": [{"id": f"rd-{number}", "name": "rhythm", "text": "Sinus rhythm"}],
    }


def assessments(at: Scene, *, home: bool = False) -> list[Part]:
    dice = at.dice
    answers = [max(0, dice.whole(1, 3) - at.number // 4) for _ in range(8)]  # they fall
    answers.append(0 if dice.happens(3, 4) else dice.whole(1, 3))
    mode = dice.pick(("phone", "video", "self")) if home else "self"
    timing = (
        dice.pick(("plus-4-h", "plus-24-h", "plus-7-d", "end-of-series")) if home else "pre-dose"
    )
    clusters = {key: dice.whole(0, part["max"]) for key, part in _clusters().items()}
    shared = {"time": at.at(5), "timing": timing, "mode": mode, "status": "completed"}
    rows: list[Part] = [
        {**shared, "id": "as-1", "instrument": {"key": "phq-9", "version": "1999"},
         "total": sum(answers), "items": [
             {"id": f"i-{number}", "number": number, "value": value, "text": "as spoken"}
             for number, value in enumerate(answers, start=1)]},
        {**shared, "id": "as-2", "instrument": {"key": "pcl-5"}, "total": sum(clusters.values())},
        {**shared, "id": "as-3", "instrument": {"key": "pain-vas", "unit": "mm"},
         "total": dice.whole(0, 100), "rated_by": "st-monitoring"},
        {**shared, "id": "as-4", "instrument": {"key": "gad-7"}, "prorated": True,
         "unanswered": 1, "total": dice.whole(6, 15),
         "items": [{"id": "g-1", "number": 1, "absent_reason": "asked-declined"}]},
        {**shared, "id": "as-5", "instrument": {"key": "madrs"}, "status": "not-done",
         "status_reason": {"key": "patient-refused"}},
        {**shared, "id": "as-6", "total": dice.whole(0, 50), "instrument": {
            "text": "House mood scale", "unit": "points", "min": 0, "max": 50}},
        {**shared, "id": "as-7", "instrument": {"system": "urn:oid:2.16.840.1.113883.19.6",
         "code": "H2", "display": "House sleep scale", "min": 0, "max": 9}, "total": 4},
    ]  # fmt: skip
    rows += [
        {**shared, "id": f"as-pcl-{key.lower()}", "instrument": {"key": "pcl-5", "subscale": key},
         "total": total} for key, total in clusters.items()
    ]  # fmt: skip
    return rows


def _clusters() -> dict[str, Any]:
    parts: dict[str, Any] = vocabulary.read("instruments.json")["pcl-5"]["subscales"]
    return parts
