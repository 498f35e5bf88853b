"""On a real HAPI server: crisis readings, older amendments, held elements, a clinician's edit."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from fhirbridge.bridge import Bridge
from fhirbridge.fhir import codec
from fhirbridge.intake.accept import Receipt
from fhirbridge.records.findings import Level
from tests.journey import far_side
from tests.journey.installation import SERIES, connect, install

pytestmark = pytest.mark.hapi


@pytest.fixture
def bridge(hapi: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with install(tmp_path_factory.mktemp("safety")).bridge() as opened:
        connect(opened, hapi)
        yield opened


def sample(number: int) -> dict[str, Any]:
    record = codec.decode(SERIES[number - 1].read_bytes())
    assert isinstance(record, dict)
    return record


def take(bridge: Bridge, record: dict[str, Any]) -> Receipt:
    receipt = bridge.accept(codec.encode(record), actor="test")
    bridge.sync()
    return receipt


def resources(bridge: Bridge, receipt: Receipt, mapping: str) -> list[str]:
    view = bridge.record(receipt.id, actor="test")
    assert view is not None
    return [one["resource"] for one in view["resources"] if one["mapping"] == mapping]


def test_1_a_crisis_reading_reaches_the_ehr(bridge: Bridge, hapi: str) -> None:
    record = sample(1)
    record["vitals"][1] |= {
        "spo2": {"value": 45, "unit": "%"},
        "respiratory_rate": {"value": 0, "unit": "/min"},
        "heart_rate": {"value": 20, "unit": "/min"},
        "blood_pressure": {
            "systolic": {"value": 40, "unit": "mmHg"},
            "diastolic": {"value": 20, "unit": "mmHg"},
        },
    }

    receipt = take(bridge, record)

    def values(mapping: str) -> set[Any]:
        found = [far_side.read(hapi, one) for one in resources(bridge, receipt, mapping)]
        return {one["valueQuantity"]["value"] for one in found}

    assert 45 in values("vital-oxygen-saturation")
    assert 0 in values("vital-respiratory-rate")
    assert 20 in values("vital-heart-rate")
    assert all(finding.level is Level.WARNING for finding in receipt.findings)
    assert bridge.status().waiting == []


def test_8_an_older_visit_amended_after_a_newer_one_turns_nothing_back(
    bridge: Bridge, hapi: str
) -> None:
    first, last = sample(1), sample(6)
    last["patient"]["address"][0]["city"] = "Newtown"
    last["patient"]["as_of"] = last["recorded_at"]
    take(bridge, first)
    receipt = take(bridge, last)

    take(bridge, {**first, "version": 2, "recorded_at": last["recorded_at"]})

    patient = far_side.read(hapi, resources(bridge, receipt, "patient")[0])
    plan = far_side.read(hapi, resources(bridge, receipt, "care-plan")[0])
    assert patient["address"][0]["city"] == "Newtown"
    assert len(plan["activity"]) == len(last["plan"]["phases"])
    assert plan["meta"]["versionId"] == "2"


def test_8_a_held_element_leaves_the_earlier_good_value(bridge: Bridge, hapi: str) -> None:
    record = sample(1)
    receipt = take(bridge, record)
    dose = resources(bridge, receipt, "medication-administration")[0]
    wrong = deepcopy(record) | {"version": 2}
    del wrong["administrations"][0]["dose"]["unit"]

    amended = take(bridge, wrong)

    assert [finding.level for finding in amended.findings].count(Level.HELD) == 1
    assert far_side.read(hapi, dose)["dosage"]["dose"]["value"] == codec.decode(b"36.25")
    assert far_side.versions(hapi, dose) == ["1"]


def test_13_a_clinicians_edit_is_held_and_never_overwritten(bridge: Bridge, hapi: str) -> None:
    record = sample(1)
    dose = resources(bridge, take(bridge, record), "medication-administration")[0]
    edited = far_side.read(hapi, dose)
    edited["note"] = [{"text": "Synthetic note: confirmed by phone"}]
    far_side.change(hapi, edited)
    record["version"] = 2
    record["administrations"][0]["dose"]["value"] = codec.decode(b"36.50")

    take(bridge, record)

    waiting = bridge.status().waiting
    assert [one["state"] for one in waiting] == ["held"]
    assert waiting[0]["reason"].startswith("edited: MedicationAdministration/")
    assert far_side.read(hapi, dose)["note"][0]["text"] == "Synthetic note: confirmed by phone"
    assert far_side.read(hapi, dose)["dosage"]["dose"]["value"] == codec.decode(b"36.25")


def test_safety_13_a_wrong_chart_is_taken_back_and_goes_to_the_right_patient(
    bridge: Bridge, hapi: str
) -> None:
    record = sample(1)
    receipt = take(bridge, record)
    pulse = resources(bridge, receipt, "vital-heart-rate")[0]
    wrong = far_side.read(hapi, pulse)["subject"]["reference"]
    record["version"] = 2
    record["patient"]["id"] = "pt-right"

    done = bridge.retract_chart(bridge.chart("", [receipt.id]), reason="wrong", actor="test")
    bridge.sync()
    taken_back = far_side.read(hapi, pulse)
    take(bridge, record)

    assert {one["resource"].split("/")[0] for one in done.by_hand} == {"Patient"}
    assert (taken_back["status"], taken_back["subject"]["reference"]) == ("entered-in-error", wrong)
    there = far_side.read(hapi, pulse)
    assert there["status"] == "final"
    assert there["subject"]["reference"] != wrong
    assert bridge.status().waiting == []


def test_what_left_a_record_is_marked_as_entered_in_error(bridge: Bridge, hapi: str) -> None:
    record = sample(1)
    receipt = take(bridge, record)
    gone = resources(bridge, receipt, "vital-heart-rate")
    record["version"] = 2
    del record["vitals"][2]

    kept = resources(bridge, take(bridge, record), "vital-heart-rate")

    left = set(gone) - set(kept)
    assert len(left) == 1
    assert far_side.read(hapi, left.pop())["status"] == "entered-in-error"


def test_an_ehr_that_deleted_our_resource_does_not_get_it_back_silently(
    bridge: Bridge, hapi: str
) -> None:
    record = sample(1)
    pulse = resources(bridge, take(bridge, record), "vital-heart-rate")[0]
    # HAPI keeps what something points to.
    for provenance in far_side.search(hapi, "Provenance", target=pulse):
        far_side.delete(hapi, f"Provenance/{provenance['id']}")
    far_side.delete(hapi, pulse)
    record["version"] = 2
    record["vitals"][0]["heart_rate"]["value"] = 73

    take(bridge, record)

    assert [one["reason"].split(":")[0] for one in bridge.status().waiting] == ["gone"]
