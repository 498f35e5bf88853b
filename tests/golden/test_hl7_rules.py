"""By HL7's own validator and HAPI's: what the mappings make is R4, and US Core where they say so.

Every case of mappings/tests is looked at, with the profiles that it claims, and one odd visit.
"""

import base64
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhirbridge.fhir import codec, profiles
from fhirbridge.translate.documents import paper
from fhirbridge.workbench import expected
from tests.golden import translating
from tests.golden.translating import Json
from tests.hapi.hl7_validator import Hl7Validator
from tests.journey import far_side

pytestmark = pytest.mark.hapi

CASES = translating.MAPPINGS / "tests"
WARNINGS = Path(__file__).with_name("warnings.yaml")
# The validator prints where an object of its own lies in memory, other in each run.
IN_MEMORY = re.compile(r"@[0-9a-f]{6,8}\b")
OUR_ID = re.compile(r"\bk[a-z2-7]{52}\b")


def an_odd_visit() -> Json:
    """Return a visit in which nearly everything is missing, unknown, refused or in words."""
    sent = translating.sample(translating.FIRST_VISIT)
    del sent["signed"]
    sent["patient"] |= {
        "race": [
            {"text": "Asian"},
            {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"},
        ],
        "ethnicity": {"text": "Not Hispanic or Latino"},
        "rems_id": "SYN-REMS-1",
        "deceased_on": "2026-03-30",
    }
    sent["visit"] |= {"status": "stopped-early", "disposition": {"key": "emergency-department"}}
    sent["conditions"] += [
        {**sent["conditions"][0], "id": "c-2", "verification_status": "entered-in-error"},
        {**sent["conditions"][0], "id": "c-3", "abatement": "2025", "role": "history"},
        {**sent["conditions"][0], "id": "c-4", "abatement": "2025", "clinical_status": "resolved"},
    ]
    infusion = sent["administrations"][0]
    refused = {"status": "not-done", "status_reason": {"key": "contraindication"}}
    sent["administrations"] = [
        {**infusion, "status": "in-progress", "dose": {"absent_reason": "temp-unknown"}},
        {**_without(infusion, "dose", "rates", "end", "supplies"), "id": "a-2", **refused},
        {
            **_without(infusion, "rates", "end"),
            "id": "a-3",
            "role": "rescue",
            "drug": {"text": "Mixture"},
            "ingredients": [{"id": "g-1", "drug": {"key": "ketamine"}}],
            "route": {"text": "by another way"},
            "dose": {"value": 2, "unit": "mL"},
        },
        {
            **_without(infusion, "supplies"),
            "id": "a-4",
            "route": {"key": "transdermal"},
            "dose": {"value": 1, "unit": "patch"},
            "devices": [{"id": "d-1", "lot": "L1"}, {"id": "d-2", "lot": "L2"}],
        },
    ]
    sent["vitals"] = [
        {
            "id": "v-1",
            "time": "2026-03-02T09:50:00-05:00",
            "device": "Monitor 3",
            "taken_by": "st-nurse",
            "blood_pressure": {"systolic": {"value": 40, "unit": "mmHg"}},
            "heart_rate": {"absent_reason": "error"},
            "respiratory_rate": {"value": 0, "unit": "/min"},
            "o2_flow": {"value": 10, "unit": "L/min"},
            "fio2": {"value": 60, "unit": "%"},
            "weight": {"value": 165, "unit": "lb", "method": "stated"},
            "readings": [{"id": "r-1", "name": "Heart rhythm", "text": "sinus bradycardia"}],
        }
    ]
    del sent["assessments"][0]["total"]
    sent["assessments"][0]["items"][8] = {
        "id": "i9",
        "number": 9,
        "absent_reason": "asked-declined",
    }
    sent["assessments"] += [
        {
            "id": "as-2",
            "instrument": {"text": "Mood line", "min": 0, "max": 100},
            "time": "2026-03-02T10:30:00-05:00",
            "mode": "clinician",
            "status": "not-done",
        },
        {
            "id": "as-3",
            "instrument": {"key": "c-ssrs-screener"},
            "time": "2026-03-02T10:30:00-05:00",
            "items": [{"id": "i1", "number": 1, "text": "yes"}],
        },
    ]
    sent["plan"]["phases"] = [
        {
            "id": "ph-1",
            "kind": "booster",
            "status": "scheduled",
            "dates": ["2026-04-01", "2026-04-08"],
            "dose": {"options": [56, 84], "unit": "mg"},
        },
        {
            "id": "ph-2",
            "kind": "maintenance",
            "status": "not-started",
            "frequency": {"times": 1, "per": 2, "per_max": 4, "unit": "wk"},
            "as_needed": True,
            "consecutive_days": 3,
        },
    ]
    return sent


def _without(row: Json, *names: str) -> Json:
    return {name: value for name, value in row.items() if name not in names}


def all_bodies(sent: Json) -> list[Json]:
    found = translating.translate(sent)
    return [one.body for one in (*found.resources, translating.provenance(sent, found))]


@cache
def golden() -> tuple[bytes, ...]:
    """Each distinct resource of all cases, as it is sent."""
    found: dict[bytes, None] = {}
    for file in sorted(CASES.glob("*/*.json")):
        if file.name in ("record.json", expected.WHY):
            continue
        for body in codec.decode(file.read_bytes()):
            found[codec.encode(with_page(body, file.parent))] = None
    return tuple(found)


def with_page(body: Json, case: Path) -> Json:
    """Put the note back, which lies beside the resource as a page that people can read."""
    if body["resourceType"] != "DocumentReference":
        return body
    page = case / body["content"][0]["attachment"]["data"].removeprefix("see ")
    made = {expected.PAGE: page.read_bytes}
    if len(body["content"]) > 1:
        made[expected.PDF] = lambda: paper.pdf(page.read_text(encoding="utf-8"), "Session note")
    return {**body, "content": [with_data(one["attachment"], made) for one in body["content"]]}


def with_data(attachment: Json, made: dict[str, Callable[[], bytes]]) -> Json:
    data = base64.b64encode(made[attachment["contentType"]]()).decode("ascii")
    return {"attachment": {**attachment, "data": data}}


def listed() -> dict[tuple[str, str], str]:
    """(path, message) -> why it is left, as warnings.yaml says."""
    groups = yaml.safe_load(WARNINGS.read_text(encoding="utf-8"))
    return {
        (one["path"], one["message"]): group["reason"]
        for group in groups
        for one in group["warnings"]
    }


def shown(message: dict[str, Any]) -> tuple[str, str]:
    """Say where and what, without indices, our ids and memory addresses."""
    path = re.sub(r"\[\d+\]", "", message["location"])
    return path, OUR_ID.sub("ID", IN_MEMORY.sub("@", message["message"]))


def test_there_are_many_distinct_resources_to_look_at() -> None:
    assert len(golden()) > 500


def test_no_golden_resource_breaks_a_rule_of_r4_or_of_a_profile_that_it_claims(
    hl7_validator: Hl7Validator,
) -> None:
    wrong = {error for body in golden() for error in hl7_validator.errors(body)}

    assert wrong == set()


def test_an_odd_visit_breaks_no_rule_either(hl7_validator: Hl7Validator) -> None:
    bodies = all_bodies(an_odd_visit())

    assert {error for body in bodies for error in hl7_validator.errors(body)} == set()


@pytest.mark.us_core
def test_each_warning_is_known_with_its_reason_and_none_is_listed_in_vain(
    hl7_validator: Hl7Validator,
) -> None:
    known = listed()

    found = {
        shown(message)
        for body in golden()
        for message in hl7_validator.messages(body)
        if message["severity"] == "warning"
    }

    assert sorted(found - known.keys()) == []
    assert sorted(known.keys() - found) == []


def test_hapi_finds_no_error_in_any_golden_resource(hapi: str) -> None:
    # As it gets them: it lists no profile of US Core, so none is claimed towards it.
    sent = {codec.encode(profiles.claimed(codec.decode(body), ())) for body in golden()}

    wrong = {
        error for body in sent for error in far_side.validation_errors(hapi, codec.decode(body))
    }

    assert wrong == set()
