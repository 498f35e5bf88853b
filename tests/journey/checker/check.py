"""Ask an EHR's own history whether everything is there: once, in order, nothing lost.

Knows nothing of fhirbridge: FHIR R4, the standard library, and a file of what the clinic sent.
`python -I -S check.py BASE_URL SENT.json` prints counts and problems as JSON.
"""

import json
import sys
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

Json = dict[str, Any]
SYSTEM = "urn:oid:2.16.840.1.113883.19.5"
HEART_RATE = "8867-4"
PAGE = 500
SECONDS = 120
# Where a resource says whose it is; those of nobody are found by what names them.
SUBJECT = ("subject", "patient", "beneficiary")
KINDS = (
    "AdverseEvent", "AllergyIntolerance", "Appointment", "CarePlan", "Communication", "Condition",
    "Consent", "Device", "DocumentReference", "Encounter", "Flag", "Goal", "Location",
    "MedicationAdministration", "MedicationRequest", "MedicationStatement", "Observation",
    "Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure", "Provenance",
    "QuestionnaireResponse", "RelatedPerson", "ServiceRequest",
)  # fmt: skip


class Chart:
    """Every version of everything that an EHR has, the oldest first."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self.histories: dict[str, list[Json]] = {}
        for kind in KINDS:
            for body in self._history(kind):
                self.histories.setdefault(f"{kind}/{body['id']}", []).append(body)
        for versions in self.histories.values():
            versions.sort(key=lambda body: int(body["meta"]["versionId"]))

    def newest(self, kind: str) -> Iterator[Json]:
        for reference, versions in self.histories.items():
            if reference.startswith(f"{kind}/"):
                yield versions[-1]

    def of(self, patients: Iterable[str]) -> dict[str, list[Json]]:
        """Keep what belongs to these patients, and what that names, but no patient of others."""
        wanted = set(patients)
        found = {
            reference: versions
            for reference, versions in self.histories.items()
            if reference in wanted or subject(versions[-1]) in wanted
        }
        for reference, versions in self.histories.items():
            targets = {one.get("reference") for one in versions[-1].get("target", [])}
            if reference.startswith("Provenance/") and targets & found.keys():
                found[reference] = versions
        ahead = list(found)
        while ahead:
            named = {one for ref in ahead for one in references(self.histories[ref][-1])}
            ahead = [r for r in named if r in self.histories and r not in found]
            found |= {r: self.histories[r] for r in ahead if not r.startswith("Patient/")}
        return found

    def _history(self, kind: str) -> Iterator[Json]:
        for offset in range(0, 10**9, PAGE):
            query = urllib.parse.urlencode({"_count": PAGE, "_offset": offset})
            request = urllib.request.Request(
                f"{self._base_url}/{kind}/_history?{query}",
                headers={"Accept": "application/fhir+json", "Cache-Control": "no-cache"},
            )
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                bundle = json.loads(answer.read(), parse_float=Decimal)
            entries = bundle.get("entry", [])
            yield from (one["resource"] for one in entries if "resource" in one)
            if len(entries) < PAGE:
                return


def check(base_url: str, sent: dict[str, list[Json]]) -> Json:
    """Compare what an EHR has with what was sent, by patient in the order of its first arrival."""
    chart = Chart(base_url)
    problems: list[str] = []
    known = patients(chart, sent, problems)
    for number, sessions in sent.items():
        if number in known:
            check_patient(chart, known[number], sessions, problems)
    ours = chart.of(known.values())
    twice = sorted(doubled(ours))
    again = [one for one, versions in ours.items() if repeated(versions)]
    gaps = [one for one, versions in ours.items() if not whole(versions)]
    problems += [f"{one}: two resources have one identifier" for one in twice]
    problems += [f"{one}: written again without a change" for one in again]
    problems += [f"{one}: a version is missing from its history" for one in gaps]
    return {
        "patients": len(known),
        "sessions": sum(len(sessions) for sessions in sent.values()),
        "resources": len(ours),
        "versions": sum(len(versions) for versions in ours.values()),
        "lost": sum("lost" in one for one in problems),
        "twice": sum("twice" in one for one in problems) + len(twice) + len(again),
        "out of order": sum("order" in one for one in problems),
        "problems": problems,
    }


def patients(chart: Chart, sent: dict[str, list[Json]], problems: list[str]) -> dict[str, str]:
    found = defaultdict(list)
    for body in chart.newest("Patient"):
        for identifier in body.get("identifier", []):
            if identifier.get("system") == SYSTEM and identifier.get("value") in sent:
                found[identifier["value"]].append(f"Patient/{body['id']}")
    for number in sent:
        once(found[number], number, problems)
    return {number: rows[0] for number, rows in found.items() if rows}


def check_patient(chart: Chart, patient: str, sessions: list[Json], problems: list[str]) -> None:
    encounters = defaultdict(list)
    for body in chart.newest("Encounter"):
        if subject(body) == patient:
            encounters[moment(body["period"]["start"])].append(f"Encounter/{body['id']}")
    if len(encounters) > len(sessions):
        problems.append(f"{patient}: twice or too many visits")
    arrived = []
    for session in sessions:
        own = encounters[moment(session["start"])]
        if once(own, f"{session['session']}: Encounter", problems):
            arrived.append(chart.histories[own[0]][0]["meta"]["lastUpdated"])
            check_session(chart, own[0], session, problems)
    if [moment(one) for one in arrived] != sorted(moment(one) for one in arrived):
        problems.append(f"{patient}: visits arrived out of order")


def check_session(chart: Chart, encounter: str, session: Json, problems: list[str]) -> None:
    name = session["session"]
    rates = [body for body in of_visit(chart, "Observation", encounter) if is_heart_rate(body)]
    values = [body for body in rates if "valueQuantity" in body]
    if len(values) != session["heart_rates"]:
        problems.append(
            f"{name}: {len(values)} heart rates, {session['heart_rates']}: lost or twice"
        )
    at = moment(session["marked_at"])
    marked = [
        f"Observation/{one['id']}" for one in values if moment(one["effectiveDateTime"]) == at
    ]
    if once(marked, f"{name}: the last heart rate", problems):
        seen = [int(one["valueQuantity"]["value"]) for one in chart.histories[marked[0]]]
        if seen != session["marks"]:
            kind = "out of order" if set(seen) == set(session["marks"]) else "lost or not in order"
            problems.append(f"{name}: versions {seen}, sent {session['marks']}: {kind}")
    given = Counter(
        dose_mg(body) for body in of_visit(chart, "MedicationAdministration", encounter)
    )
    given.pop(None, None)
    if given != Counter(Decimal(one) for one in session["doses_mg"]):
        problems.append(f"{name}: doses are lost, twice or others")


def of_visit(chart: Chart, kind: str, encounter: str) -> Iterator[Json]:
    for body in chart.newest(kind):
        visit = body.get("encounter") or body.get("context") or {}
        if visit.get("reference") == encounter and body.get("status") != "entered-in-error":
            yield body


def once(found: list[str], name: str, problems: list[str]) -> bool:
    if len(found) != 1:
        problems.append(f"{name}: {'twice' if found else 'lost'}")
    return len(found) == 1


def is_heart_rate(body: Json) -> bool:
    return any(one.get("code") == HEART_RATE for one in body["code"].get("coding", []))


def dose_mg(body: Json) -> Decimal | None:
    dose = body.get("dosage", {}).get("dose", {})
    return Decimal(dose["value"]) if dose.get("code") == "mg" and "value" in dose else None


def doubled(ours: dict[str, list[Json]]) -> Iterator[str]:
    """Name what shares its own identifier with another resource of its type."""
    seen: dict[tuple[str, str, str], str] = {}
    ids = {reference.partition("/")[2] for reference in ours}
    for reference, versions in ours.items():
        body = versions[-1]
        held = body.get("identifier", [])
        for one in held if isinstance(held, list) else [held]:
            own = (body["resourceType"], str(one.get("system")), str(one.get("value")))
            if one.get("value") not in ids:
                continue
            if own in seen:
                yield reference
            seen[own] = reference


def repeated(versions: list[Json]) -> bool:
    bodies = [{k: v for k, v in one.items() if k not in ("meta", "text")} for one in versions]
    return any(a == b for a, b in pairwise(bodies))


def whole(versions: list[Json]) -> bool:
    numbers = [int(one["meta"]["versionId"]) for one in versions]
    return numbers == list(range(1, len(numbers) + 1))


def subject(body: Json) -> str:
    for name in SUBJECT:
        if isinstance(body.get(name), dict):
            return str(body[name].get("reference", ""))
    return ""


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    print(json.dumps(check(sys.argv[1], asked), indent=1))
