"""A HAPI that changes nothing, takes no Bundle and few types, gives ids, and has its patients."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.bridge import Bridge
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Patients, Policy
from fhirbridge.destinations.taken import Taken
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references
from fhirbridge.plan import plan as plans
from fhirbridge.profiles import profile_file as profiles
from tests.factories import retracted
from tests.journey import far_side
from tests.journey.installation import AMENDED, SERIES, connect, install
from tests.journey.lossy import lossy, settle
from tests.journey.test_a_series_reaches_hapi import newest_bodies
from tests.matching.clinic import CLINIC, an_ehr_patient

pytestmark = pytest.mark.hapi
ONLY_HERE = "urn:oid:2.16.840.1.113883.19.4717"
A_PAGE = 50
DOSE, NOTE = "MedicationAdministration", "DocumentReference"
STRICT = profiles.load("strict-ehr")
REFUSED = {kind for kind, one in STRICT.types.items() if one is not Taken.SEND} | {"Patient"}


@pytest.fixture
def strict(hapi_of_its_own: tuple[str, Path]) -> Iterator[Path]:
    """The file by which the server takes little; after a test it takes all again."""
    _, file = hapi_of_its_own
    yield file
    file.write_text("")


def takes_all_but(file: Path, kinds: set[str]) -> None:
    file.write_text(" ".join(["strict", *sorted(kinds)]))


def the_ehrs_patient(base_url: str) -> str:
    """Let the EHR have the patient of the samples; return its id there."""
    number = [{"system": ONLY_HERE, "value": "SYN-000123"}]
    ours = an_ehr_patient("unnamed", identifier=number)
    body = codec.encode({name: one for name, one in ours.items() if name != "id"})
    headers = {"Content-Type": "application/fhir+json"}
    answer = requests.post(f"{base_url}/Patient", data=body, headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text
    return str(far_side.as_object(answer.content)["id"])


def charted(base_url: str, kind: str, patient: str) -> list[dict[str, Any]]:
    """All that a chart has of a type."""
    found: list[dict[str, Any]] = []
    asked = {"subject": f"Patient/{patient}", "_count": str(A_PAGE), "_sort": "_id"}
    while not len(found) % A_PAGE:
        page = far_side.search(base_url, kind, **asked, _offset=str(len(found)))
        if not page:
            break
        found += page
    return found


def of_ours(base_url: str, kind: str, patient: str) -> list[str]:
    """The identifiers of what a chart has of a type, as often as they stand there."""
    return [one["identifier"][0]["value"] for one in charted(base_url, kind, patient)]


def test_r22_the_probe_sees_that_it_changes_nothing(
    hapi_of_its_own: tuple[str, Path], strict: Path, tmp_path: Path
) -> None:
    takes_all_but(strict, set())
    with install(tmp_path).bridge() as bridge:
        connect(bridge, hapi_of_its_own[0])
        found = bridge.destination("ehr")

    assert found.mode is Mode.CREATE_ONLY
    assert len(found.traits["left_behind"]) == 2


def test_a_series_reaches_an_ehr_that_takes_little_and_what_it_takes_later_follows(
    hapi_of_its_own: tuple[str, Path], strict: Path, tmp_path: Path
) -> None:
    base_url, _ = hapi_of_its_own
    chart = the_ehrs_patient(base_url)
    takes_all_but(strict, REFUSED)
    with install(tmp_path).bridge() as bridge:
        added = bridge.add_destination(
            name="ehr",
            base_url=base_url,
            requires_consent=STRICT.requires_consent,
            test_server=False,
            networks=(),
            patients=Patients(policy=Policy.MATCH, systems={CLINIC: ONLY_HERE}),
            profile=STRICT,
            actor="test",
        )
        assert added.mode is Mode.UNPROVEN  # until somebody there agreed
        agreed = bridge.probe_destination("ehr", agreed_with="the vendor", actor="test")
        assert (agreed.mode, agreed.traits["left_behind"]) == (Mode.CREATE_ONLY, [])
        way = lossy(bridge)
        way.every = 3
        records = [take(bridge, path.read_bytes()) for path in (*SERIES[:3], AMENDED)]

        assert bridge.status().waiting == []
        bodies = newest_bodies(bridge, records)
        sent = {one for one in bodies if one.startswith("Observation/")}
        there = Counter(of_ours(base_url, "Observation", chart))
        assert set(there) == {one.partition("/")[2] for one in sent}
        assert set(there.values()) == {1}
        notes = Counter(of_ours(base_url, NOTE, chart))
        assert len(notes) == 4  # of three visits, and an addendum
        assert set(notes.values()) == {1}
        assert_nothing_dangles(base_url, chart)

        take(bridge, codec.encode(retracted(codec.decode(AMENDED.read_bytes()))))

        assert bridge.status().waiting == []
        assert "cannot-retract" in {one["what"] for one in bridge.tasks()}
        assert len(of_ours(base_url, NOTE, chart)) == 5
        methods = {one.partition(" ")[0] for one in way.asked}
        assert methods <= {"GET", "POST"}
        assert of_ours(base_url, DOSE, chart) == []

        way.every = 0
        takes_all_but(strict, REFUSED - {DOSE})
        bridge.set_types("ehr", {DOSE: Taken.SEND}, actor="test")
        planned = bridge.plan()
        steps = [
            one.step
            for row in planned.deliveries
            for one in row.resources
            if one.resource.startswith(f"{DOSE}/")
        ]
        assert steps == ["create", "create"]  # the third visit was taken back
        written = plans.from_bytes(plans.to_bytes(planned))
        assert bridge.apply(written, actor="test").left == ()

        assert len(of_ours(base_url, DOSE, chart)) == 2
        assert_nothing_dangles(base_url, chart)
        report = bridge.reconcile("ehr", full=True, actor="test")
        assert (report.waiting, report.stop) == (0, "")
        assert set(report.kinds) <= {"altered"}


def take(bridge: Bridge, raw: bytes) -> str:
    record = bridge.accept(raw, actor="test").id
    settle(bridge)
    return record


def assert_nothing_dangles(base_url: str, chart: str) -> None:
    """Whatever is there of ours points to what is there, and to no other patient."""
    for kind in ("Observation", NOTE, DOSE):
        named = {one for body in charted(base_url, kind, chart) for one in literal_references(body)}
        assert {own for of, own in named if of == "Patient"} <= {chart}
        for of, own in named:
            far_side.read(base_url, f"{of}/{own}")
