"""A HAPI server that lets no client choose an id: what is new is known by our identifier."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from fhirbridge.bridge import Bridge
from fhirbridge.deliver import ledger
from fhirbridge.destinations import modes, registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec, projection
from fhirbridge.fhir.names import Names, key_of
from fhirbridge.outbox.contents import Identity
from fhirbridge.reconcile.weigh import Choice
from fhirbridge.store.tables import ledger as ledger_table
from tests.factories import a_short_visit, retracted
from tests.journey import far_side
from tests.journey.installation import AMENDED, SERIES, connect, install
from tests.journey.lossy import Lossy, lossy, settle
from tests.journey.test_a_series_reaches_hapi import newest_bodies

pytestmark = pytest.mark.hapi
NOTE = [{"text": "Synthetic note: confirmed by phone"}]
THREADS = 8


@dataclass(frozen=True, slots=True)
class Arrived:
    bridge: Bridge
    base_url: str
    way: Lossy
    records: list[str]

    def names(self) -> Names:
        with self.bridge._store.read() as tx:
            where = registry.get(tx, "ehr")
            rows = tx.execute(ledger_table.select().where(ledger_table.c.destination == "ehr"))
            known = [Identity(row.type, row.resource_id) for row in rows]
            return ledger.names(tx, where, known)

    def there(self, *references: str) -> list[str]:
        """What HAPI calls these, as `Type/id`."""
        names = self.names()
        split = [one.partition("/") for one in references]
        return [f"{kind}/{names.id_of((kind, own))}" for kind, _, own in split]

    def held(self, ours: dict[str, Any]) -> list[dict[str, Any]]:
        """All that HAPI has under the key of a resource of ours."""
        key = key_of(ours)
        return far_side.search(self.base_url, key.type, **{key.parameter: key.token})


@pytest.fixture(scope="module")
def hapi_that_names(hapi_of_its_own: tuple[str, Path]) -> str:
    return hapi_of_its_own[0]


def probes(base_url: str) -> list[str]:
    """The ids of the Patients on which a probe tried what the server does."""
    found = far_side.search(base_url, "Patient", family="Synthetic-Probe")
    return sorted(one["id"] for one in found)


@pytest.fixture(scope="module")
def arrived(hapi_that_names: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    """Two visits of a series and an amendment, each third answer to a write lost."""
    with install(tmp_path_factory.mktemp("series")).bridge() as bridge:
        before = probes(hapi_that_names)  # another EHR of this server lets nobody remove any
        connect(bridge, hapi_that_names)
        assert probes(hapi_that_names) == before
        way = lossy(bridge)
        way.every = 3
        paths = [*SERIES[1:3], AMENDED]
        records = []
        for path in paths:
            records.append(bridge.accept(path.read_bytes(), actor="test").id)
            settle(bridge)
        way.every = 0
        assert bridge.status().waiting == []
        yield Arrived(bridge, hapi_that_names, way, records)


def test_r23_the_probe_sees_that_it_names_resources_itself_and_leaves_nothing(
    arrived: Arrived,
) -> None:
    found = arrived.bridge.destination("ehr")

    assert (found.mode, found.guard) == (Mode.ASSIGNED, "")
    lacking = {one.name for one in modes.shown(found.traits) if not one.seen}
    assert lacking == {"own_ids", "create_guard", "create_none_match", "transaction", "batch"}
    assert found.traits["left_behind"] == []


def test_r2_all_of_both_visits_is_there_once_as_it_was_sent(arrived: Arrived) -> None:
    names = arrived.names()
    bodies = newest_bodies(arrived.bridge, arrived.records)
    counts = Counter(len(arrived.held(ours)) for ours in bodies.values())
    assert counts == {1: len(bodies)}
    differing = [
        one
        for one, there in zip(bodies, arrived.there(*bodies), strict=True)
        if not projection.same(names.written(bodies[one]), far_side.read(arrived.base_url, there))
    ]
    assert differing == []


def test_o03_each_was_written_once_though_answers_were_lost(arrived: Arrived) -> None:
    assert arrived.way.writes > 80
    visit_wide = [
        one
        for one in newest_bodies(arrived.bridge, arrived.records[:1])
        if one.startswith(("Encounter/", "MedicationAdministration/"))
    ]
    versions = [far_side.versions(arrived.base_url, one) for one in arrived.there(*visit_wide)]
    assert {tuple(one) for one in versions} == {("1",)}


def test_r2_nothing_of_a_patient_and_no_key_stands_in_a_url(arrived: Arrived) -> None:
    assert [one for one in arrived.way.asked if "identifier" in one or "_tag" in one] == []
    assert [one for one in arrived.way.asked if one.startswith("PUT ") and "?" in one] == []


def test_a_full_look_finds_all_as_it_should_be(arrived: Arrived) -> None:
    report = arrived.bridge.reconcile("ehr", full=True, actor="test")

    assert (report.kinds, report.waiting, report.stop) == ({}, 0, "")
    assert report.compared > 80
    assert set(report.unsearched) <= {"AdverseEvent", "Provenance"}


def test_r2_eight_threads_with_the_same_record_make_one_of_each_identifier(
    arrived: Arrived, tmp_path: Path
) -> None:
    """Eight copies of one installation that owe it, none of which knows what is there."""
    first = install(tmp_path / "0")
    with first.bridge() as bridge:
        _connect_as(bridge, arrived.base_url, arrived.bridge.destination("ehr").traits)
        visit = codec.encode(a_short_visit(patient="pt-race"))
        record = bridge.accept(visit, actor="test").id
    copies = [first, *(first.copy(tmp_path / str(n), tenant="main") for n in range(1, THREADS))]
    together = Barrier(THREADS)

    def deliver(number: int) -> dict[str, dict[str, Any]]:
        with copies[number].bridge() as bridge:
            together.wait(60)
            settle(bridge)
            assert bridge.status().waiting == []
            return newest_bodies(bridge, [record])

    with ThreadPoolExecutor(THREADS) as crew:
        found = list(crew.map(deliver, range(THREADS)))

    assert len({frozenset(bodies) for bodies in found}) == 1
    assert len(found[0]) > 8
    assert {len(arrived.held(ours)) for ours in found[0].values()} == {1}


def _connect_as(bridge: Bridge, base_url: str, traits: dict[str, Any]) -> None:
    """Connect to what was probed already."""
    bridge.add_destination(
        name="ehr",
        base_url=base_url,
        requires_consent=False,
        test_server=False,
        networks=(),
        actor="test",
    )
    with bridge._store.begin() as tx:
        registry.note_probe(tx, "ehr", traits)


def test_r4_an_edit_stays_and_a_retraction_says_so_under_the_ids_there(arrived: Arrived) -> None:
    """Last in this file on purpose: it changes what the others look at."""
    last = codec.decode(AMENDED.read_bytes())
    bodies = newest_bodies(arrived.bridge, arrived.records[2:])
    doses = [one for one in bodies if one.startswith("MedicationAdministration/")]
    pulse = next(one for one in bodies if one.startswith("Observation/"))
    (edited,) = arrived.there(pulse)
    far_side.change(arrived.base_url, {**far_side.read(arrived.base_url, edited), "note": NOTE})

    arrived.bridge.accept(codec.encode(retracted(last)), actor="test")
    settle(arrived.bridge)

    assert far_side.read(arrived.base_url, edited)["note"] == NOTE
    (held,) = arrived.bridge.status().waiting
    assert held["reason"] == f"edited: {pulse} changed in the EHR"
    arrived.bridge.reconcile("ehr", full=True, actor="test")
    (found,) = arrived.bridge.drift("ehr")
    assert found["kind"] == "edited"
    assert [one.partition("[")[0] for one in found["elements"]] == ["note"]

    arrived.bridge.decide(found["id"], Choice.OURS, reason="a test", actor="test")
    settle(arrived.bridge)

    assert arrived.bridge.status().waiting == []
    taken_back = arrived.there(*doses, pulse)
    said = {far_side.read(arrived.base_url, one)["status"] for one in taken_back}
    assert said == {"entered-in-error"}
