"""What a busy clinic sends: patients with several visits, and amendments that come in any order."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records import generator
from fhirbridge.records.generator import SeededChance

Record = dict[str, Any]

ROUTES = ("infusion", "intramuscular", "oral", "bolus", "subcutaneous", "nasal")
VISITS = 4  # of each patient
MOST_VERSIONS = 3
SYSTEM = "urn:oid:2.16.840.1.113883.19.5"
FIRST_MARK = 60  # heart rate of a session's last reading in its first version; then one more each


@dataclass(frozen=True, kw_only=True)
class Session:
    """One visit in all its versions."""

    name: str
    patient: str
    versions: list[Record]


@dataclass(kw_only=True)
class Acknowledged:
    """What the clinic heard that it was taken in, patient by patient, in that order."""

    by_patient: dict[str, list[tuple[Session, int]]] = field(default_factory=dict)

    def add(self, session: Session, version: int) -> None:
        self.by_patient.setdefault(session.patient, []).append((session, version))

    def expected(self) -> dict[str, list[dict[str, Any]]]:
        """Say what an EHR must hold, in words of the records: for the checker."""
        return {patient: _of_patient(heard) for patient, heard in self.by_patient.items()}


def sessions(count: int, seed: str) -> list[Session]:
    """Return so many sessions, the same for the same seed."""
    like = generator.generate("infusion", SeededChance(f"clinic {seed}"))
    made: list[Session] = []
    for number in range(0, count, VISITS):
        made += _of_one_patient(f"{seed}-{number}", min(VISITS, count - number), like)
    return made


def in_any_order(made: Sequence[Session], chance: random.Random) -> list[tuple[Session, int]]:
    """Return every version of every session, shuffled: amendments may come before the visit."""
    posts = [(one, version) for one in made for version in range(len(one.versions))]
    chance.shuffle(posts)
    return posts


def _of_one_patient(patient: str, count: int, like: Record) -> Iterator[Session]:
    known: Record = {name: like[name] for name in ("clinic", "staff")}
    days: set[str] = set()
    for visit in range(count):
        name = f"ses-{patient}-{visit}"
        record = _visit(name, days)
        known = {name: record[name] for name in ("patient", "conditions")} | known
        known["patient"]["identifiers"] = [
            {"id": "pid-1", "system": SYSTEM, "type": {"text": "Number"}, "value": f"SYN-{patient}"}
        ]
        record.pop("consents", None)  # some are withdrawn: nothing would go
        renamed = {
            "EHR-ENC-1": f"EHR-ENC-{name}",
            "EHR-APT-1": f"EHR-APT-{name}",
            "series-1": f"series-{patient}",
            "plan-1": f"plan-{patient}",
            record["session_id"]: name,
            record["patient"]["id"]: f"pt-{patient}",
            known["patient"]["id"]: f"pt-{patient}",
        }
        text = codec.encode(_without_relations(record | known))
        for old, new in renamed.items():
            text = text.replace(f'"{old}"'.encode(), f'"{new}"'.encode())
        offset, wanted = (one["visit"]["start"][-6:].encode() for one in (record, like))
        text = text.replace(offset + b'"', wanted + b'"')
        yield Session(name=name, patient=f"SYN-{patient}", versions=_amended(text, name))


def _visit(name: str, days: set[str]) -> Record:
    """Draw until the visit has its readings, and a day of its own."""
    for attempt in range(1000):
        chance = SeededChance(f"{name} {attempt}")
        record = generator.generate(ROUTES[chance.randrange(len(ROUTES))], chance)
        day = record["visit"]["start"][:10]
        if {"vitals", "conditions"} <= record.keys() and day not in days:
            days.add(day)
            return record
    raise AssertionError(name)


def _without_relations(value: Any) -> Any:
    """Leave out what names rows of the record that a row was taken from."""
    if isinstance(value, dict):
        return {k: _without_relations(v) for k, v in value.items() if k != "related"}
    if isinstance(value, list):
        return [_without_relations(one) for one in value]
    return value


def _amended(text: bytes, name: str) -> list[Record]:
    found = []
    for version in range(1, 2 + SeededChance(name).randrange(MOST_VERSIONS)):
        record = codec.decode(text)
        assert isinstance(record, dict)
        record.pop("amends", None)
        record |= {"version": version} | ({"amends": version - 1} if version > 1 else {})
        record["recorded_at"] = record["recorded_at"].replace(":00-", f":{version:02}-")
        record["vitals"][-1]["heart_rate"] = {"value": FIRST_MARK + version - 1, "unit": "/min"}
        found.append(record)
    return found


def _of_patient(heard: Sequence[tuple[Session, int]]) -> list[dict[str, Any]]:
    """Describe the sessions of one patient in the order in which each was first heard of."""
    found: dict[str, dict[str, Any]] = {}
    newest: dict[str, int] = {}
    for session, version in heard:
        mark = FIRST_MARK + version
        if session.name not in found:
            found[session.name] = _facts(session.versions[-1]) | {"marks": [mark]}
        elif version > newest[session.name]:
            found[session.name]["marks"].append(mark)
        newest[session.name] = max(version, newest.get(session.name, 0))
    return [{"session": name, **facts} for name, facts in found.items()]


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    doses = [row.get("dose", {}) for row in record.get("administrations", [])]
    readings = [row for row in record["vitals"] if "value" in row.get("heart_rate", {})]
    return {
        "start": record["visit"]["start"],
        "marked_at": record["vitals"][-1]["time"],
        "doses_mg": sorted(str(one["value"]) for one in doses if one.get("unit") == "mg"),
        "heart_rates": len(readings),
    }
