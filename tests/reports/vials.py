"""R68: a clinic that uses vials at random, and knows by itself what is left in each."""

import random
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

from fhirbridge.reports.documents import Kept
from fhirbridge.reports.table import Report
from tests.records.visits import amount
from tests.reports.stocks import CLINIC, SEEN, STAFF, a_session, a_stock, account, rows

LOTS = ("L-1", "L-2", "L-3")
PLACES = ("East", "West")
DRUGS = ("ketamine", "esketamine", "midazolam")
STRENGTHS = (10, 50, 100)  # mg/mL
VIAL = 500  # mg


@dataclass
class Cabinet:
    """What is truly there, in mg: kept by hand, vial by vial, as someone who looks would."""

    chance: random.Random
    left: dict[str, Fraction] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: list[Kept] = field(default_factory=list)
    moved: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    witnessed_alone: int = 0
    minute: int = 0

    def now(self) -> str:
        self.minute += 1
        minutes = self.minute % (24 * 60 * 27)
        day, rest = divmod(minutes, 24 * 60)
        return f"2026-03-{day + 1:02}T{rest // 60:02}:{rest % 60:02}:00-05:00"

    def receive(self) -> None:
        number = f"V-{len(self.left)}"
        strength = self.chance.choice(STRENGTHS)
        self.left[number] = Fraction(VIAL)
        self.about[number] = {
            "id": number, "number": number, "lot": self.chance.choice(LOTS), "state": "open",
            "drug": {"key": self.chance.choice(DRUGS)}, "location": self.chance.choice(PLACES),
            "concentration": amount(strength, "mg/mL"), "amount": amount(VIAL, "mg"),
        }  # fmt: skip
        spelled = self.chance.choice(
            [amount(VIAL, "mg"), amount("0.5", "g"), amount(VIAL // strength, "mL")]
        )
        self._note("receipts", number, spelled)

    def use(self) -> None:
        number = self._open()
        if number is None:
            return
        mg = Fraction(self.chance.randint(1, int(self.left[number] * 4)), 4)
        step = self.chance.choice((self._give, self._waste, self._give, self._return, self._lose))
        step(number, mg)
        self.left[number] -= mg

    def _give(self, number: str, mg: Fraction) -> None:
        vial = self.about[number]
        dose = {
            "id": "a", "status": "completed", "drug": vial["drug"], "start": self.now(),
            "dose": self._spelled(number, mg), "performer": "st-1",
            "supplies": [{"id": "s", "vial": number, "lot": vial["lot"],
                          "concentration": vial["concentration"]}],
        }  # fmt: skip
        self.sessions.append(a_session(f"rec-{len(self.sessions)}", administrations=[dose]))

    def _waste(self, number: str, mg: Fraction) -> None:
        alone = self.chance.random() < 0.25
        self.witnessed_alone += alone
        waste = {
            "id": "w", "time": self.now(), "drug": self.about[number]["drug"], "vial": number,
            "amount": self._spelled(number, mg), "giver": "st-1",
            "witness": "st-1" if alone else "st-2",
        }  # fmt: skip
        self.sessions.append(a_session(f"rec-{len(self.sessions)}", waste=[waste]))

    def _return(self, number: str, mg: Fraction) -> None:
        self._note("returns", number, self._spelled(number, mg))

    def _lose(self, number: str, mg: Fraction) -> None:
        self._note("losses", number, self._spelled(number, mg))

    def _spelled(self, number: str, mg: Fraction) -> Any:
        strength = Fraction(self.about[number]["concentration"]["value"])
        ways = [(mg, "mg"), (mg * 1000, "ug"), (mg / 1000, "g"), (mg / strength, "mL")]
        value, unit = self.chance.choice(ways)
        return amount(str(value.numerator * 10**9 // value.denominator) + "E-9", unit)

    def _note(self, part: str, number: str, spelled: Any) -> None:
        listed = self.moved.setdefault(part, [])
        vial = self.about[number]
        row = {"id": f"{part}-{len(listed)}", "time": self.now(), "amount": spelled, **SEEN}
        of_vial = {name: vial[name] for name in ("drug", "location", "lot")}
        listed.append({**row, **of_vial, "vials": [number]})

    def _open(self) -> str | None:
        there = [number for number, mg in self.left.items() if mg >= Fraction(1, 4)]
        return self.chance.choice(there) if there else None

    def stock(self) -> Kept:
        return a_stock(
            clinic=CLINIC,
            staff=STAFF,
            locations=[{"id": one, "name": one} for one in PLACES],
            vials=list(self.about.values()),
            **cast("dict[str, Any]", self.moved),
        )


def prove(seed: int, operations: int) -> tuple[Cabinet, Report]:
    """Do so many operations; the books say of each vial and in all what is there: difference 0."""
    cabinet = Cabinet(chance=random.Random(seed))
    for number in range(operations):
        if number % 12 == 0:
            cabinet.receive()
        else:
            cabinet.use()
    cabinet.chance.shuffle(cabinet.sessions)  # the order in which they came in says nothing

    report = account(cabinet.sessions, [cabinet.stock()])

    of_vials = {row["vial"]: Fraction(row["on_hand"]) for row in rows(report, "by-vial")}
    assert of_vials == cabinet.left
    for name in ("by-location", "by-lot"):
        assert sum(Fraction(row["on_hand"]) for row in rows(report, name)) == sum(
            cabinet.left.values()
        )
    for row in rows(report, "by-vial"):
        gone = sum(row[one] for one in ("administered", "wasted", "returned", "lost"))
        assert row["received"] - gone - row["on_hand"] == 0
    alike = [r for r in rows(report, "to-look-at") if r["what"].startswith("the witness is")]
    assert len(alike) == cabinet.witnessed_alone
    assert len(rows(report, "to-look-at")) == len(alike)
    return cabinet, report
