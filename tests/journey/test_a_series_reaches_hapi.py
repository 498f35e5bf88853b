"""Six visits of one patient, into a real HAPI server and back."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fhirbridge.bridge import Bridge
from fhirbridge.fhir import codec, projection
from fhirbridge.reports.table import Period
from fhirbridge.reports.written import Format, written
from tests.journey import far_side
from tests.journey.installation import AMENDED, SERIES, connect, install

pytestmark = pytest.mark.hapi

COMPLETE = Path(__file__).parent / "checker" / "complete.py"


class Arrived(NamedTuple):
    bridge: Bridge
    base_url: str
    records: list[str]
    resources: dict[str, dict[str, Any]]  # by reference: our newest body


@pytest.fixture(scope="module")
def arrived(hapi: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    """The whole series, taken in and synced once."""
    with install(tmp_path_factory.mktemp("series")).bridge() as bridge:
        connect(bridge, hapi)
        records = [bridge.accept(path.read_bytes(), actor="test").id for path in SERIES]
        bridge.sync()
        assert bridge.status().waiting == []
        yield Arrived(bridge, hapi, records, newest_bodies(bridge, records))


def newest_bodies(bridge: Bridge, records: list[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for record_id in records:
        view = bridge.record(record_id, actor="test")
        assert view is not None
        found.update({r["resource"]: r["body"] for r in view["resources"] if r["counts"]})
    return found


def of_type(arrived: Arrived, kind: str) -> list[str]:
    return [reference for reference in arrived.resources if reference.startswith(kind + "/")]


def test_one_patient_six_encounters_and_one_plan_arrive(arrived: Arrived) -> None:
    counts = Counter(reference.split("/")[0] for reference in arrived.resources)

    assert counts["Patient"] == 1
    assert counts["Encounter"] == 6
    assert counts["MedicationAdministration"] >= 6
    assert counts["CarePlan"] == 1
    assert counts["DocumentReference"] == 6
    assert counts["Observation"] > 100


def test_every_resource_is_in_hapi_as_it_was_sent(arrived: Arrived) -> None:
    differing = [
        reference
        for reference, ours in arrived.resources.items()
        if not projection.same(ours, far_side.read(arrived.base_url, reference))
    ]

    assert differing == []


def test_hapi_finds_no_error_in_any_of_them(arrived: Arrived) -> None:
    found = {
        reference: errors
        for reference in arrived.resources
        if (
            errors := far_side.validation_errors(
                arrived.base_url, far_side.read(arrived.base_url, reference)
            )
        )
    }

    assert found == {}


def test_the_plan_has_one_version_for_each_change_of_plan(arrived: Arrived) -> None:
    plans = {
        codec.canonical({**codec.decode(path.read_bytes())["plan"], "as_of": ""}) for path in SERIES
    }

    assert len(far_side.versions(arrived.base_url, of_type(arrived, "CarePlan")[0])) == len(plans)


def test_every_visit_wide_resource_has_exactly_one_version(arrived: Arrived) -> None:
    kinds = ("Encounter", "MedicationAdministration", "DocumentReference")

    for kind in kinds:
        for reference in of_type(arrived, kind):
            assert len(far_side.versions(arrived.base_url, reference)) == 1


def test_a_weight_of_72_50_is_still_72_50_in_hapi(arrived: Arrived) -> None:
    weights = [
        far_side.read(arrived.base_url, reference)
        for reference in of_type(arrived, "Observation")
        if b'"29463-7"' in codec.encode(arrived.resources[reference])
    ]

    assert any(b'"value":72.50,' in codec.encode(weight) for weight in weights)


def test_a_second_sync_writes_nothing(arrived: Arrived) -> None:
    before = {ref: far_side.versions(arrived.base_url, ref) for ref in arrived.resources}

    swept = arrived.bridge.sync()

    assert swept.settled == 0
    assert {ref: far_side.versions(arrived.base_url, ref) for ref in before} == before


def test_r55_the_report_of_completeness_says_what_hapis_own_history_shows(
    arrived: Arrived, tmp_path: Path
) -> None:
    today = arrived.bridge.clock.now().date()
    period = Period(since=today - timedelta(days=1), until=today)

    report = arrived.bridge.completeness(period, live=True, actor="test")

    file = tmp_path / "report.json"
    file.write_bytes(written(report, Format.JSON, made_at=arrived.bridge.clock.now()))
    words = [sys.executable, "-I", "-S", str(COMPLETE), arrived.base_url, str(file)]
    done = subprocess.run(words, capture_output=True, check=True)
    found = codec.decode(done.stdout)
    assert (report.difference, found["problems"], found["patients"]) == (0, [], 1)
    assert found["resources"] >= len(arrived.resources)


def test_an_amended_older_visit_sends_only_what_changed(arrived: Arrived) -> None:
    """Last in this file on purpose: it changes what the others look at."""
    before = {ref: len(far_side.versions(arrived.base_url, ref)) for ref in arrived.resources}

    receipt = arrived.bridge.accept(AMENDED.read_bytes(), actor="test")
    arrived.bridge.sync()

    changed = {f"{c.identity.type}/{c.identity.id}" for c in receipt.owed[0].changes}
    after = {ref: len(far_side.versions(arrived.base_url, ref)) for ref in arrived.resources}
    assert {ref for ref in after if after[ref] != before[ref]} == changed
    # The corrected vital sign and the note that shows it; no plan, address or condition goes back.
    assert Counter(ref.split("/")[0] for ref in changed) == {
        "Observation": 1,
        "DocumentReference": 1,
    }


def test_samples_are_synthetic_and_say_so() -> None:
    for path in Path(SERIES[0]).parent.glob("*.json"):
        record = codec.decode(path.read_bytes())
        assert "synthetic" in record["labels"]
        assert record["patient"]["name"]["family"].startswith("Synthetic")
