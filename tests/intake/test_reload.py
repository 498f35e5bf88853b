"""A draft goes live whole, tested and by one hand at a time; a strange one is named and refused."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from fhirbridge.destinations.errors import DestinationError
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.intake import live, reload
from fhirbridge.intake.live import NotLiveError
from fhirbridge.intake.reload import RefusedMappingsError
from fhirbridge.records.source_schema import source_schema
from fhirbridge.store import tables
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_folder import LARGEST_FILE
from fhirbridge.translate.mapping_set import Files
from fhirbridge.workbench import cases
from tests.factories import World, a_pulse, a_short_visit
from tests.intake.drafts import PULSE, edit, edited, strict
from tests.mapping_sets import few_mappings

CASE = Path("tests") / "a-visit"


@pytest.fixture(scope="session")
def one_draft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set with one case, which holds."""
    folder = tmp_path_factory.mktemp("draft") / "mappings"
    for name, raw in {
        **few_mappings().by_name,
        f"{CASE}/record.json": codec.encode(a_short_visit()),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    cases.update(mapping_set.read(folder), cases.find(folder), source_schema())
    return folder


@pytest.fixture
def draft(tmp_path: Path, one_draft: Path) -> Path:
    """That set, to be edited."""
    return Path(shutil.copytree(one_draft, tmp_path / "mappings"))


def refused(draft: Path) -> BridgeError:
    with pytest.raises(BridgeError) as raised:
        World(mapped=few_mappings).bridge.reload_mappings(draft, actor="test")
    return raised.value


# --- tested -------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [None, "tests"])
def test_a_draft_without_a_case_is_refused_and_says_how_to_make_one(
    draft: Path, left: str | None
) -> None:
    shutil.rmtree(draft / "tests")
    if left:
        (draft / left).mkdir()

    error = refused(draft)

    assert isinstance(error, RefusedMappingsError)
    (mistake,) = error.mistakes
    assert mistake.startswith("tests/: there is no case")
    assert "map test --update" in mistake


def test_what_is_remembered_of_a_failing_case_is_the_place_and_no_value(draft: Path) -> None:
    world = World(mapped=few_mappings)
    edit(draft, f"{CASE}/patient.json", '"family": "Synthetic', '"family": "Realname')

    with pytest.raises(RefusedMappingsError) as error:
        world.bridge.reload_mappings(draft, actor="test")

    stored = world.bridge.status().mappings["mistakes"]
    assert stored == error.value.mistakes
    assert f"case {CASE.name}: patient.json [0].name[0].family: not as expected" in stored
    assert "Realname" not in str(stored) + str(error.value)
    assert "Synthetic" not in str(stored)


def test_of_many_mistakes_the_first_fifty_are_remembered(draft: Path) -> None:
    for number in range(60):
        (draft / CASE / f"stray-{number:02}.json").write_text("[]", encoding="utf-8")

    error = refused(draft)

    assert isinstance(error, RefusedMappingsError)
    assert len(error.mistakes) == 51
    assert error.mistakes[-1].startswith("and 10 more")


# --- strange folders ----------------------------------------------------------------------------


STRANGE: dict[str, bytes | None] = {
    "a folder": None,
    "no text": b"\xff\xfe",
    "too large": b" " * (LARGEST_FILE + 1),
    "labels null": b'{"labels": null}',
    "labels a number": b'{"labels": 5}',
    "labels a list in a list": b'{"labels": [["synthetic"]]}',
    "a list": b"[]",
    "a number": b"1",
    "schema an object": b'{"labels": ["synthetic"], "schema": {}}',
}


@pytest.mark.parametrize(
    ("file", "strange"),
    [
        ("resources/a\udcffb.yaml", "a list"),
        ("resources/patient.yaml", "no text"),
        ("resources/patient.yaml", "too large"),
        ("documents/unused.html", "no text"),
        ("ignored.yaml", "no text"),
        (f"{CASE}/patient.json", "no text"),
        (f"{CASE}/patient.json", "too large"),
        (f"{CASE}/x.json", "a folder"),
        (f"{CASE}/session-note.html", "no text"),
        *((f"{CASE}/record.json", strange) for strange in STRANGE),
    ],
)
def test_what_lies_strangely_in_a_draft_is_named(draft: Path, file: str, strange: str) -> None:
    raw = STRANGE[strange]
    (draft / file).unlink(missing_ok=True)
    (draft / file).parent.mkdir(exist_ok=True)
    if raw is None:
        (draft / file).mkdir()
    else:
        (draft / file).write_bytes(raw)

    error = refused(draft)

    shown = file.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    assert (CASE.name if "record" in file else shown.removeprefix("tests/")) in str(error)


# --- by one hand at a time ----------------------------------------------------------------------


def test_of_two_reloads_the_one_that_began_before_the_others_end_is_refused(draft: Path) -> None:
    world = World(mapped=few_mappings)
    rooms, source = world.intake_rooms, source_schema()
    slow = reload.tried(rooms, draft, source)
    edit(draft, PULSE, "owner:", "note: newer\nowner:")
    quick = reload.tried(rooms, draft, source)
    done = reload.settle(rooms, quick, actor="test")

    with pytest.raises(RefusedMappingsError, match="other mappings were made live meanwhile"):
        reload.settle(rooms, slow, actor="test")

    assert world.bridge.mappings().digest == done.digest == quick.files.digest


def test_of_two_reloads_of_the_same_draft_the_second_changes_nothing(draft: Path) -> None:
    world = World(mapped=few_mappings)
    one = reload.tried(world.intake_rooms, draft, source_schema())
    reload.settle(world.intake_rooms, one, actor="test")

    assert not reload.settle(world.intake_rooms, one, actor="test").changed


def test_the_commit_that_adds_a_destination_refuses_an_overlay_that_is_gone() -> None:
    world = World(mapped=strict)
    world.use_mappings(few_mappings)

    with pytest.raises(DestinationError, match="no overlay strict"):
        world.connect(overlay="strict")

    assert world.bridge.destinations() == []
    assert world.accept(a_short_visit()).translation == "done"


# --- what is kept -------------------------------------------------------------------------------


def spoil(world: World, files: bytes = b"garbage") -> None:
    with world.store.begin() as tx:
        tx.execute(update(tables.mapping_set).values(files=files))


def test_the_same_draft_made_live_again_repairs_what_was_damaged() -> None:
    world = World(mapped=few_mappings)
    digest = world.bridge.mappings().digest
    spoil(world)
    with pytest.raises(NotLiveError):
        world.accept(a_short_visit())

    world.use_mappings(few_mappings)

    assert world.accept(a_short_visit()).translation == "done"
    kept = world.bridge.mapping_files(digest)
    assert kept is not None
    assert kept.digest == digest


@pytest.mark.parametrize(
    "name", ["../evil.yaml", "/evil.yaml", "resources/../../evil.yaml", "resources/.yaml", "evil"]
)
def test_a_kept_set_with_a_file_that_no_folder_of_mappings_has_is_not_taken(name: str) -> None:
    world = World(mapped=few_mappings)
    crafted = Files(by_name={**few_mappings().by_name, name: b"x"})
    with world.store.begin() as tx:
        live.make_live(tx, crafted, at="2026-01-01T00:00:00.000000Z", actor="test")

    with pytest.raises(NotLiveError, match="not what was made live"):
        world.bridge.mapping_files(crafted.digest)


# --- a set that does not fit this version -------------------------------------------------------


def test_what_is_due_is_delivered_though_the_live_set_does_not_fit() -> None:
    world = World(mapped=strict)
    world.connect(overlay="strict")
    world.accept(a_short_visit(vitals=[a_pulse("v-1", 210)]))
    world.accept(a_short_visit(patient="pt-2"))
    world.use_mappings(edited(strict(), {PULSE: ("v.heart_rate", "v.an_old_name")}))

    with pytest.raises(NotLiveError, match="do not fit this version"):
        world.sync()

    assert sorted(set(world.states())) == ["delivered", "held"]


def test_an_overlay_that_there_is_not_is_named_in_a_preview() -> None:
    world = World(mapped=strict)

    with pytest.raises(DestinationError, match="no overlay stric") as raised:
        world.bridge.preview(codec.encode(a_short_visit()), overlay="stric")

    assert raised.value.hint == "there are: strict"


@pytest.mark.parametrize("reference", ["", "/", "a", "Patient/\udcff", "Patient/\0", "a/b/c"])
def test_a_reference_of_strange_bytes_is_held_nowhere(reference: str) -> None:
    assert World(mapped=few_mappings).bridge.explain(reference) == []
