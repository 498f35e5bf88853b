"""R67: synthetic esketamine treatments, each with what the form should say, worked out beforehand.

The story is chosen first; record and expected cells are written from it, and not from each other.
"""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fhirbridge.reports import rems
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.table import Period
from tests.records.visits import amount
from tests.reports.stocks import STAFF, rows

YEAR = Period(since=date(2026, 1, 1), until=date(2026, 12, 31))
TODAY = date(2026, 6, 15)
KINDS = {
    "benzodiazepines": "benzodiazepine",
    "sedative_hypnotics": "sedative-hypnotic",
    "psychostimulants": "stimulant",
    "maois": "maoi",
    "opioids": "opioid",
}
ASKED = {
    "benzodiazepines": "Concomitant benzodiazepines",
    "sedative_hypnotics": "Concomitant non-benzodiazepine sedative hypnotics",
    "psychostimulants": "Concomitant psychostimulants",
    "maois": "Concomitant MAOIs",
    "dose": "Dose administered (mg)",
    "lots": "Lot numbers",
    "duration": "Minutes from the first device to the end of monitoring",
    "ready_to_leave": "If below two hours: minutes until ready to leave",
    "vitals_before_ok": "Vital signs acceptable before administration",
    "vitals_after_ok": "Vital signs acceptable before completion",
    "bp_before": "Blood pressure before",
    "bp_40": "Blood pressure about 40 minutes after",
    "bp_after": "Blood pressure before completion",
    "sedation": "Sedation",
    "dissociation": "Dissociation",
    "serious_events": "Serious adverse events",
}


class Story:
    """One treatment: `record` as the clinic sends it, `cells` as the form should have them."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.chance = chance
        self.own = f"rec-{number}"
        self.start = datetime(2026, 1, 5, 14, tzinfo=UTC) + timedelta(
            days=chance.randint(0, 250), minutes=chance.randint(0, 200)
        )
        self.record: dict[str, Any] = {
            "clinic": {"id": "clinic-1", "name": "Synthetic", "rems_site": "SITE-1"},
            "patient": {"id": f"SYN-{number}", "rems_id": f"REMS-{number}"},
            "staff": STAFF,
            "visit": {"kind": "treatment", "status": "completed", "start": self.at(-30)},
        }
        self.cells: dict[str, Any] = {"vitals_before_ok": None, "respiratory": None}
        for part in (
            self.medications, self.dose, self.monitoring, self.pressures, self.sedation,
            self.dissociation, self.events, self.form,
        ):  # fmt: skip
            part()

    def at(self, minutes: int) -> str:
        return (self.start + timedelta(minutes=minutes)).isoformat()

    def maybe(self) -> bool:
        return self.chance.random() < 0.7

    def medications(self) -> None:
        taken = {name for name in KINDS if self.chance.random() < 0.25}
        told = self.maybe()
        listed = [
            {"id": name, "status": "active", "drug": {"text": "x"}, "classes": [KINDS[name]]}
            for name in taken
        ]
        plain: dict[str, Any] = {"id": "plain", "status": "active", "drug": {"text": "y"}}
        listed.append({**plain, "classes": []} if told else plain)
        listed.append({"id": "past", "status": "stopped", "drug": {"key": "lorazepam"}})
        self.record["medications_current"] = listed
        for name in KINDS:
            self.cells[name] = "yes" if name in taken else "no" if told else None

    def dose(self) -> None:
        devices = self.chance.choice((2, 3))
        lots = self.chance.choice((["E-1"], ["E-1", "E-2"], []))
        rows_of = [
            {"id": f"d-{n}", "time": self.at(5 * n), "given": amount(28, "mg"),
             **({"lot": lots[n % len(lots)]} if lots else {})}
            for n in range(devices)
        ]  # fmt: skip
        self.record["administrations"] = [
            {
                "id": "a-1", "role": "study-drug", "status": "completed",
                "drug": {"key": "esketamine"}, "route": {"key": "intranasal"},
                "start": self.at(self.chance.choice((-1, 0))),
                "dose": amount(28 * devices, "mg"), "devices": rows_of,
            },
            {
                "id": "a-2", "role": "adjunct", "status": "completed", "start": self.at(0),
                "drug": {"key": "ondansetron"}, "route": {"key": "oral"}, "dose": amount(4, "mg"),
            },
        ]  # fmt: skip
        self.cells |= {"dose": str(28 * devices), "lots": ", ".join(lots) or None}

    def monitoring(self) -> None:
        ends, leaves = self.maybe(), self.maybe()
        self.minutes = self.chance.choice((60, 119, 120, 150))
        period: dict[str, Any] = {"id": "op", "start": self.at(0)}
        if ends:
            period["end"] = self.at(self.minutes)
        if leaves:
            period["discharged_at"] = self.at(self.minutes + 7)
        met = self.chance.choice((True, False, None))
        if met is not None:
            criterion = {"key": "vital-signs-at-baseline"}
            period["criteria"] = [{"id": "c", "criterion": criterion, "met": met}]
        self.record["observation_period"] = period
        self.ends = ends
        self.cells["duration"] = str(self.minutes) if ends else None
        ready = str(self.minutes + 7) if leaves else None
        self.cells["ready_to_leave"] = "not asked" if ends and self.minutes >= 120 else ready
        self.cells["vitals_after_ok"] = {True: "yes", False: "no", None: None}[met]

    def pressures(self) -> None:
        times = {
            "bp_before": self.chance.choice((-20, -5, None)),
            "bp_40": self.chance.choice((31, 40, 59, None)),
            "bp_after": self.chance.choice((61, self.minutes, None)),
        }
        if not self.ends and times["bp_after"] is not None:
            times["bp_after"] = 200
        if self.ends and self.minutes < 61:
            times["bp_after"] = None
            times["bp_40"] = times["bp_40"] and 40
        vitals = []
        for name, minute in times.items():
            high, low = self.chance.randint(100, 180), self.chance.randint(60, 100)
            sides = {"systolic": amount(high, "mmHg"), "diastolic": amount(low, "mmHg")}
            if minute is not None:
                vitals.append({"id": name, "time": self.at(minute), "blood_pressure": sides})
            self.cells[name] = f"{high}/{low}" if minute is not None else None
        vitals.append({"id": "half", "time": self.at(45), "blood_pressure": {
            "systolic": amount(1, "mmHg")}})  # fmt: skip
        self.chance.shuffle(vitals)
        self.record["vitals"] = vitals

    def sedation(self) -> None:
        depth = self.chance.choice((5, 4, 2, None))
        ended = self.at(80) if self.maybe() else None
        row = {"id": "sd", "instrument": {"key": "moaa-s"}, "time": self.at(25), "value": depth}
        if ended:
            row["resolved_at"] = ended
        self.record["sedation"] = [] if depth is None else [row]
        was = depth is not None and depth < 5
        self.cells["sedation"] = None if depth is None else "yes" if was else "no"
        self.cells["sedation_onset"] = self.at(25) if was else None
        self.cells["sedation_resolved"] = ended if was else None

    def dissociation(self) -> None:
        judged = self.chance.choice(("none", "mild", "severe", None))
        row = {"id": "ds", "instrument": {"key": "cadss"}, "time": self.at(40), "total": 12,
               **({"judgement": judged} if judged else {})}  # fmt: skip
        self.record["dissociation"] = [row] if judged or self.maybe() else []
        was = judged in ("mild", "severe")
        self.cells["dissociation"] = None if judged is None else "yes" if was else "no"
        self.cells["dissociation_onset"] = self.at(40) if was else None
        self.cells["dissociation_resolved"] = None

    def events(self) -> None:
        said = self.chance.choice((None, "non-serious", "life-threatening", "nobody said"))
        event: dict[str, Any] = {"id": "ae", "event": {"key": "vomiting"}, "onset": self.at(20)}
        if said not in (None, "nobody said"):
            event["seriousness"] = said
        self.record["adverse_events"] = [] if said is None else [event]
        self.cells["serious_events"] = {
            None: "none written down",
            "non-serious": "none",
            "life-threatening": "vomiting (life-threatening)",
            "nobody said": None,
        }[said]

    def form(self) -> None:
        self.inpatient = self.chance.random() < 0.1
        if self.inpatient:
            self.record["visit"]["class"] = "inpatient"
        day = self.start.date()
        self.submitted = day + timedelta(days=3) if self.maybe() else None
        late = day + timedelta(days=7) < TODAY and self.submitted is None
        self.overdue = late and not self.inpatient
        standing = "submitted" if self.submitted else "OVERDUE" if late else "due"
        self.cells |= {
            "record": self.own,
            "row": "administrations/a-1",
            "day": day.isoformat(),
            "patient": self.record["patient"]["id"],
            "rems_id": self.record["patient"]["rems_id"],
            "site": "SITE-1",
            "missing": "; ".join(t for n, t in ASKED.items() if self.cells[n] is None),
            "submit_by": None if self.inpatient else (day + timedelta(days=7)).isoformat(),
            "submitted_on": self.submitted.isoformat() if self.submitted else None,
            "standing": "not asked: inpatient" if self.inpatient else standing,
        }


def prove(seed: int, count: int) -> tuple[int, int]:
    """Compare each cell of so many treatments; return how many cells and how many are overdue."""
    chance = random.Random(seed)
    stories = [Story(number, chance) for number in range(count)]
    sessions = [
        Kept(id=one.own, version=1, session=f"key-{one.own}", document=one.record)
        for one in stories
    ]
    submitted = {f"key-{one.own}": one.submitted.isoformat() for one in stories if one.submitted}

    report = rems.report(sessions, submitted, YEAR, today=TODAY)

    found = rows(report, "treatments")
    wrong = [
        (one.own, name, row[name], one.cells[name])
        for one, row in zip(stories, found, strict=True)
        for name in row
        if row[name] != one.cells[name]
    ]
    assert wrong == []
    late = {row["record"] for row in rows(report, "overdue")}
    assert late == {one.own for one in stories if one.overdue}
    return sum(len(row) for row in found), len(late)
