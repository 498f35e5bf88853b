"""A resource claims only the profiles that its reader lists."""

from typing import Any

import pytest

from fhirbridge.fhir.profiles import claimed

CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
VITALS = "http://hl7.org/fhir/StructureDefinition/vitalsigns"


def a_patient(*profiles: str, **meta: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "meta": {**meta, "profile": list(profiles)}, "active": True}


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ([CORE, VITALS], [CORE, VITALS]),
        ([VITALS], [VITALS]),
        ([f"{CORE}|6.1.0"], [CORE]),
    ],
)
def test_what_the_reader_lists_is_claimed(known: list[str], left: list[str]) -> None:
    assert claimed(a_patient(CORE, VITALS), known)["meta"] == {"profile": left}


def test_a_claimed_version_is_kept_as_written() -> None:
    assert claimed(a_patient(f"{CORE}|6.1.0"), [CORE])["meta"]["profile"] == [f"{CORE}|6.1.0"]


def test_without_a_known_profile_there_is_no_meta_left() -> None:
    assert claimed(a_patient(CORE), []) == {"resourceType": "Patient", "active": True}


def test_what_else_stands_in_meta_stays() -> None:
    made = claimed(a_patient(CORE, security=[{"code": "R"}]), [])

    assert made["meta"] == {"security": [{"code": "R"}]}


def test_a_resource_without_claims_is_left_alone() -> None:
    plain = {"resourceType": "Patient", "active": True}

    assert claimed(plain, [CORE]) is plain
