"""Other hands on a real HAPI server: edits, deletions, copies, and a database file put back."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from fhirbridge.bridge import Bridge
from fhirbridge.fhir import codec, projection
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.weigh import Choice
from tests.hapi import hapi_server
from tests.journey import far_side
from tests.journey.installation import AMENDED, SERIES, connect, install

pytestmark = pytest.mark.hapi
WHOLE = Path(__file__).parents[2] / "mappings" / "tests" / "full-record" / "record.json"
EDITS = 100
NOTE = [{"text": "Synthetic note: confirmed by phone"}]


class Arrived(NamedTuple):
    bridge: Bridge
    base_url: str
    references: list[str]

    def of_type(self, kind: str) -> list[str]:
        return [one for one in self.references if one.startswith(f"{kind}/")]

    def look(self, *, full: bool = False, repair: bool = False) -> Report:
        return self.bridge.reconcile("ehr", full=full, repair=repair, actor="test")

    def findings(self) -> dict[str, dict[str, Any]]:
        return {f"{f['type']}/{f['resource_id']}": f for f in self.bridge.drift("ehr")}

    def settle(self, choice: Choice) -> None:
        for found in self.bridge.drift("ehr"):
            self.bridge.decide(found["id"], choice, reason="a test", actor="test")
        self.bridge.sync()
        assert self.bridge.status().waiting == []


def references(bridge: Bridge, records: list[str]) -> list[str]:
    views = [bridge.record(one, actor="test") for one in records]
    return list(dict.fromkeys(r["resource"] for view in views if view for r in view["resources"]))


@pytest.fixture(scope="module")
def arrived(hapi: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    """Two visits, and one with everything in it."""
    with install(tmp_path_factory.mktemp("drift")).bridge() as bridge:
        connect(bridge, hapi)
        paths = [*SERIES[:2], WHOLE]
        records = [bridge.accept(path.read_bytes(), actor="test").id for path in paths]
        bridge.sync()
        assert bridge.status().waiting == []
        yield Arrived(bridge, hapi, references(bridge, records))


def test_nothing_that_arrived_is_drift_in_any_type(arrived: Arrived) -> None:
    """First in this file on purpose: it is also the first look, which reads everything."""
    report = arrived.look(full=True)

    held = {one["type"]: one["resources"] for one in arrived.bridge.holdings("ehr")}
    assert report.compared == sum(held.values()) > EDITS
    assert len(held) >= 18
    assert (report.kinds, report.altered, report.waiting) == ({}, {}, 0)
    assert set(report.unsearched) <= {"AdverseEvent", "Provenance"}


def test_a_hundred_edits_are_found_with_their_elements_and_nothing_else_is(
    arrived: Arrived,
) -> None:
    chance = random.Random(5)
    chosen = chance.sample(arrived.of_type("Observation"), EDITS)
    for reference in chosen:
        before = far_side.read(arrived.base_url, reference)
        changed = {**before, "note": [*before.get("note", []), *NOTE]}
        far_side.change(arrived.base_url, changed)

    report = arrived.look()

    assert (report.full, report.kinds) == (False, {"edited": EDITS})
    assert set(arrived.findings()) == set(chosen)
    assert {tuple(found["elements"]) for found in arrived.findings().values()} == {("note",)}
    arrived.settle(Choice.OURS)
    assert arrived.look().kinds == {}
    assert all(
        NOTE[0] not in far_side.read(arrived.base_url, one).get("note", []) for one in chosen
    )


def test_a_deletion_waits_and_comes_back_on_a_word(arrived: Arrived) -> None:
    one = a_provenance_of(arrived)
    before = far_side.read(arrived.base_url, one)
    far_side.delete(arrived.base_url, one)

    report = arrived.look()

    assert report.kinds == {"deleted": 1}
    assert set(arrived.findings()) == {one}
    arrived.settle(Choice.OURS)
    assert projection.same(far_side.read(arrived.base_url, one), before)
    assert arrived.look(full=True).kinds == {}


def a_provenance_of(arrived: Arrived) -> str:
    """Find one that tells of ours: other tests have theirs on the same server."""
    found = far_side.search(
        arrived.base_url, "Provenance", target=arrived.of_type("Encounter")[0], _count="1"
    )
    return f"Provenance/{found[0]['id']}"


def test_a_copy_by_another_client_is_reported_and_stays(arrived: Arrived) -> None:
    original = arrived.of_type("Observation")[3]
    copy = {**far_side.read(arrived.base_url, original)}
    del copy["id"]
    made = requests.post(
        f"{arrived.base_url}/Observation",
        data=codec.encode(copy),
        headers={"Content-Type": codec.FHIR_JSON},
        timeout=far_side.SECONDS,
    )
    own = str(far_side.as_object(made.content)["id"])

    report = arrived.look(full=True)

    assert report.kinds == {"duplicated": 1}
    assert set(arrived.findings()) == {original}
    (found,) = arrived.bridge.drift("ehr")
    assert arrived.bridge.drift_sides(found["id"], actor="test")["ids"] == [own]
    arrived.settle(Choice.THEIRS)
    assert far_side.read(arrived.base_url, f"Observation/{own}")["id"] == own


@pytest.mark.slow
def test_a_database_file_put_back_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    file, backup = tmp_path / "ehr", tmp_path / "backup.mv.db"
    database = tmp_path / "ehr.mv.db"
    with install(tmp_path / "home").bridge() as bridge:
        with hapi_server.running(tmp_path, file=file) as base_url:
            connect(bridge, base_url)
            records = [bridge.accept(path.read_bytes(), actor="test").id for path in SERIES[2:3]]
            bridge.sync()
        port = urlsplit(base_url).port or 0
        shutil.copyfile(database, backup)
        with hapi_server.running(tmp_path, file=file, port=port):
            bridge.reconcile("ehr", actor="test")
            records.append(bridge.accept(AMENDED.read_bytes(), actor="test").id)
            bridge.sync()
            before = contents_of(bridge, base_url, records)
        shutil.copyfile(backup, database)
        with hapi_server.running(tmp_path, file=file, port=port):
            report = bridge.reconcile("ehr", actor="test")
            bridge.sync()

            assert report.kinds == {"older": 2, "missing": 1}  # the vital, the note, Provenance
            assert (report.repaired, report.waiting) == (3, 0)
            assert bridge.status().waiting == []
            assert contents_of(bridge, base_url, records) == before
            assert bridge.reconcile("ehr", full=True, actor="test").kinds == {}


def contents_of(bridge: Bridge, base_url: str, records: list[str]) -> dict[str, bytes]:
    return {
        one: projection.canonical(far_side.read(base_url, one))
        for one in references(bridge, records)
    }
