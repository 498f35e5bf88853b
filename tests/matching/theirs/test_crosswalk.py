"""A table is loaded whole or not at all, as often as one likes, and its clinic's side is sealed."""

from typing import Any

import pytest
from sqlalchemy import select

from fhirbridge.matching.theirs.crosswalk import Change, Kind
from fhirbridge.matching.theirs.crosswalk_file import CrosswalkFileError
from fhirbridge.store.theirs_tables import crosswalk
from tests.factories import World
from tests.matching.clinic import CLINIC, HOSPITAL

MANY = 100_000


@pytest.fixture
def world() -> World:
    made = World()
    made.connect()
    return made


def load(world: World, text: str, *, kind: Kind = Kind.VISIT, **how: Any) -> Change:
    asked = {"whole": False, "plan": False, **how}
    raw = f"ours,theirs\n{text}".encode()
    return world.bridge.theirs.load("ehr", kind, raw, actor="test", **asked)


def table(world: World, kind: Kind = Kind.VISIT) -> dict[str, str]:
    rows = world.bridge.theirs.table("ehr", kind, values=True, actor="test")
    return {one["ours"]: one["theirs"] for one in rows}


def test_the_same_file_again_changes_nothing(world: World) -> None:
    first = load(world, "V-1,a\nV-2,b\n")
    second = load(world, "V-1,a\nV-2,b\n")

    assert (first, second) == (Change(added=2), Change(unchanged=2))
    assert table(world) == {"V-1": "Encounter/a", "V-2": "Encounter/b"}


def test_rows_are_added_and_replaced_and_a_whole_table_lets_the_rest_go(world: World) -> None:
    load(world, "V-1,a\nV-2,b\n")

    more = load(world, "V-2,c\nV-3,d\n")
    whole = load(world, "V-3,d\n", whole=True)

    assert more == Change(added=1, changed=1)
    assert whole == Change(removed=2, unchanged=1)
    assert table(world) == {"V-3": "Encounter/d"}


def test_a_plan_says_what_would_change_and_writes_nothing(world: World) -> None:
    load(world, "V-1,a\n")

    planned = load(world, "V-1,b\nV-2,c\n", plan=True, whole=True)

    assert planned == Change(added=1, changed=1)
    assert table(world) == {"V-1": "Encounter/a"}
    assert len(world.evidence("crosswalk.loaded")) == 1


def test_a_file_with_a_mistake_loads_nothing(world: World) -> None:
    with pytest.raises(CrosswalkFileError):
        load(world, "V-1,a\nV-2,\n")

    assert table(world) == {}
    assert world.evidence("crosswalk.loaded") == []


def test_what_was_loaded_is_one_row_of_evidence_with_counts_and_no_value(world: World) -> None:
    load(world, "SECRET-1,a\nSECRET-2,b\n")

    (told,) = world.evidence("crosswalk.loaded")
    assert '"added":2' in told.detail
    assert "SECRET" not in told.detail


def test_no_word_of_the_clinics_is_stored_in_the_clear(world: World) -> None:
    load(world, "SECRET-1,a\n")

    with world.store.read() as tx:
        (row,) = tx.execute(select(crosswalk)).all()
    assert "SECRET" not in "".join(str(one) for one in row if isinstance(one, str))
    assert b"SECRET" not in row.sealed


def test_visit_numbers_are_shown_only_where_that_is_asked_for_and_it_is_noted(world: World) -> None:
    load(world, "V-1,a\n")
    load(world, "st-1,p\n", kind=Kind.PRACTITIONER)

    hidden = world.bridge.theirs.table("ehr", Kind.VISIT, values=False, actor="test")
    staff = world.bridge.theirs.table("ehr", Kind.PRACTITIONER, values=False, actor="test")

    assert [set(one) for one in hidden] == [{"theirs", "at"}]
    assert staff[0]["ours"] == "st-1"
    assert world.evidence("crosswalk.read") == []
    table(world)
    assert len(world.evidence("crosswalk.read")) == 1


def test_a_table_is_removed_and_the_others_stay(world: World) -> None:
    load(world, "V-1,a\n")
    load(world, "st-1,p\n", kind=Kind.PRACTITIONER)

    assert world.bridge.theirs.remove_table("ehr", Kind.VISIT, actor="test") == 1
    assert [one["kind"] for one in world.bridge.theirs.tables("ehr")] == ["practitioner"]


def test_assigners_are_those_that_patients_are_matched_by(world: World) -> None:
    added = load(world, f"{CLINIC},{HOSPITAL}\n", kind=Kind.ASSIGNER)
    changed = load(world, f"{CLINIC},urn:x:other\n", kind=Kind.ASSIGNER, plan=True)

    assert (added, changed) == (Change(added=1), Change(changed=1))
    assert world.bridge.destination("ehr").patients.systems == {CLINIC: HOSPITAL}
    assert table(world, Kind.ASSIGNER) == {CLINIC: HOSPITAL}
    world.bridge.theirs.remove_table("ehr", Kind.ASSIGNER, actor="test")
    assert world.bridge.destination("ehr").patients.systems == {}


def test_a_hundred_thousand_rows_are_loaded_and_one_is_found(world: World) -> None:
    text = "".join(f"V-{number},e-{number}\n" for number in range(MANY))

    change = load(world, text)

    assert change == Change(added=MANY)
    with world.store.read() as tx:
        found = world.bridge._theirs.crosswalk.find(tx, "ehr", Kind.VISIT, "V-77777", "Encounter")
    assert found == "e-77777"
