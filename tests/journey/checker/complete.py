"""Ask an EHR's own history whether it shows what a report of completeness says, and nothing else.

Knows nothing of fhirbridge: FHIR R4, the standard library, and the report as JSON.
`python -I -S complete.py BASE_URL REPORT.json` prints counts and mismatches as JSON.
"""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 120
OF_PATIENTS = (
    "CarePlan", "Condition", "Consent", "DocumentReference", "Encounter", "Goal",
    "MedicationAdministration", "MedicationRequest", "Observation",
)  # fmt: skip


def get(url: str) -> Any:
    headers = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.loads(answer.read())


def every(url: str) -> Iterator[Any]:
    while url:
        bundle = get(url)
        yield from (one["resource"] for one in bundle.get("entry", []) if "resource" in one)
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")


def check(base_url: str, report: Any) -> dict[str, Any]:
    (lines,) = [table["rows"] for table in report["tables"] if table["name"] == "lines"]
    said = {
        f"{one['resource'].partition('/')[0]}/{one['ehr_id']}": one["ehr_version"]
        for one in lines
        if one["ehr_version"]
    }
    problems = []
    for reference, version in said.items():
        versions = [body["meta"]["versionId"] for body in every(f"{base_url}/{reference}/_history")]
        newest = max(versions, key=int, default="none")
        if newest != version:
            problems.append(f"{reference}: the report says {version}, the EHR {newest}")
    patients = [one for one in said if one.startswith("Patient/")]
    for patient in patients:
        for kind in OF_PATIENTS:
            there = every(f"{base_url}/{kind}?patient={patient}&_count=500")
            found = [f"{kind}/{body['id']}" for body in there]
            problems += [f"{one}: not in the report" for one in found if one not in said]
    return {"resources": len(said), "patients": len(patients), "problems": problems}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    print(json.dumps(check(sys.argv[1], asked), indent=1))
