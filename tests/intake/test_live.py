"""What translates is the set that was made live; a draft changes nothing until it holds."""

from pathlib import Path

import pytest
from sqlalchemy import update

from fhirbridge.intake import live
from fhirbridge.intake.live import NotLiveError
from fhirbridge.intake.reload import RefusedMappingsError
from fhirbridge.store.tables import mapping_set
from fhirbridge.translate.faults import MappingError
from fhirbridge.translate.mapping_set import read
from tests import mapping_sets
from tests.factories import World, a_short_visit, amended, rate, retracted
from tests.intake.drafts import edit, strict_overlay


def live_digest(world: World) -> str:
    return world.bridge.mappings().digest


# --- reload -------------------------------------------------------------------------------------


def test_a_draft_changes_nothing_before_it_is_made_live(draft: Path) -> None:
    world = World()
    before = live_digest(world)

    edit(draft, "resources/vital-heart-rate.yaml", "loinc#8867-4", "loinc#8867-5")
    world.accept(a_short_visit())

    assert live_digest(world) == before


def test_a_draft_that_holds_translates_from_then_on(draft: Path) -> None:
    world = World()
    edit(draft, "resources/vital-heart-rate.yaml", "owner:", "note: as it was\nowner:")

    done = world.bridge.reload_mappings(draft, actor="test")

    assert done.changed
    assert done.cases == 1
    assert live_digest(world) == done.digest != mapping_sets.mappings().digest
    assert world.accept(a_short_visit()).translation == "done"
    (noted,) = world.evidence("mappings.live")
    assert done.digest in noted.detail


def test_the_same_mappings_again_change_nothing(draft: Path) -> None:
    world = World()
    world.bridge.reload_mappings(draft, actor="test")

    again = world.bridge.reload_mappings(draft, actor="test")

    assert not again.changed
    assert len(world.evidence("mappings.live")) <= 1


def test_a_draft_with_a_mistake_is_refused_and_remembered(draft: Path) -> None:
    world = World()
    before = live_digest(world)
    edit(draft, "resources/vital-heart-rate.yaml", "v.heart_rate", "v.hart_rate")

    with pytest.raises(RefusedMappingsError) as refused:
        world.bridge.reload_mappings(draft, actor="test")

    standing = world.bridge.mappings()
    assert "resources/vital-heart-rate.yaml" in refused.value.mistakes[0]
    assert standing.digest == before
    assert standing.refused
    assert standing.mistakes == refused.value.mistakes
    assert len(world.evidence("mappings.refused")) == 1
    assert world.accept(a_short_visit()).translation == "done"


def test_a_draft_whose_case_fails_is_refused(draft: Path) -> None:
    world = World()
    before = live_digest(world)
    # Right FHIR, and not what was agreed on.
    edit(draft, "resources/vital-heart-rate.yaml", "quantity(v.heart_rate)", "quantity(72, '/min')")

    with pytest.raises(RefusedMappingsError) as refused:
        world.bridge.reload_mappings(draft, actor="test")

    assert "case 01-iv-series-visit-1.v1: vital-heart-rate.json" in refused.value.mistakes[0]
    assert live_digest(world) == before


def test_a_draft_that_lacks_an_overlay_in_use_is_refused(draft: Path) -> None:
    world = World()
    world.connect(overlay="rate-children")
    (draft / "overlays" / "rate-children.yaml").unlink()
    (draft / "resources" / "administration-rate.yaml").unlink()

    with pytest.raises(RefusedMappingsError) as refused:
        world.bridge.reload_mappings(draft, actor="test")

    assert refused.value.mistakes == (
        "destination ehr uses the overlay rate-children, which is not there",
    )


def test_a_good_draft_after_a_refused_one_clears_it(draft: Path) -> None:
    world = World()
    edit(draft, "resources/vital-heart-rate.yaml", "v.heart_rate", "v.hart_rate")
    with pytest.raises(RefusedMappingsError):
        world.bridge.reload_mappings(draft, actor="test")
    edit(draft, "resources/vital-heart-rate.yaml", "v.hart_rate", "v.heart_rate")
    edit(draft, "resources/vital-heart-rate.yaml", "owner:", "note: mended\nowner:")

    world.bridge.reload_mappings(draft, actor="test")

    assert world.bridge.mappings().refused == ""


def test_a_folder_without_mappings_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"fhirbridge\.yaml"):
        World().bridge.reload_mappings(tmp_path, actor="test")


# --- what is kept -------------------------------------------------------------------------------


def test_a_set_that_was_live_is_found_by_its_digest(draft: Path) -> None:
    world = World()
    old = live_digest(world)
    edit(draft, "resources/vital-heart-rate.yaml", "owner:", "note: newer\nowner:")
    world.bridge.reload_mappings(draft, actor="test")

    kept = world.bridge.mapping_files(old)

    assert kept is not None
    assert kept.by_name == mapping_sets.mappings().by_name
    assert world.bridge.mapping_files("0" * 64) is None


def test_a_set_that_was_changed_in_the_database_translates_nothing() -> None:
    world = World()
    edited = mapping_sets.few_mappings()
    with world.store.begin() as tx:
        tx.execute(update(mapping_set).values(files=live._packed(edited)))

    with pytest.raises(NotLiveError, match="not what was made live"):
        world.accept(a_short_visit())


def test_a_live_set_that_this_version_cannot_compile_says_what_to_do(draft: Path) -> None:
    world = World()
    edit(draft, "resources/vital-heart-rate.yaml", "v.heart_rate", "v.an_old_name")
    with world.store.begin() as tx:
        # As an older version of the program left it, which knew that name.
        live.make_live(tx, read(draft), at="2026-01-01T00:00:00.000000Z", actor="test")

    with pytest.raises(NotLiveError, match="do not fit this version") as refused:
        world.accept(a_short_visit())
    edit(draft, "resources/vital-heart-rate.yaml", "v.an_old_name", "v.heart_rate")
    world.bridge.reload_mappings(draft, actor="test")

    assert refused.value.hint == "run: fhirbridge map reload"
    assert world.accept(a_short_visit()).translation == "done"


def test_without_a_live_set_nothing_is_taken_in() -> None:
    world = World()
    with world.store.begin() as tx:
        tx.execute(mapping_set.delete())

    with pytest.raises(NotLiveError, match="no mapping set is live"):
        world.accept(a_short_visit())


# --- overlays -----------------------------------------------------------------------------------


def titles(world: World, name: str) -> set[str]:
    return {identity.type for identity in world.ledger(name)}


def written(world: World, name: str) -> int:
    """How many versions a destination has of ours."""
    far = world.ehrs[name]
    return sum(len(far.history(reference)) for reference in far.references())


@pytest.fixture
def two_ehrs() -> World:
    """One destination gets the mappings as they stand, the other without the session note."""

    def leave_out(resources: Path) -> None:
        overlays = resources.parent / "overlays"
        overlays.mkdir(exist_ok=True)
        (overlays / "no-note.yaml").write_text(
            "overlay: no-note\nversion: 1.0.0\nowner: a test\nreviewed: not signed off\n"
            "leave_out: [session-note]\n",
            encoding="utf-8",
        )

    world = World(mapped=lambda: mapping_sets.changed_mappings(leave_out))
    world.connect("plain")
    world.connect("short", overlay="no-note")
    return world


def test_a_destination_gets_what_its_overlay_makes(two_ehrs: World) -> None:
    two_ehrs.take(a_short_visit())

    assert titles(two_ehrs, "plain") - titles(two_ehrs, "short") == {"DocumentReference"}
    assert two_ehrs.states().count("delivered") == len(two_ehrs.states())


def test_an_amendment_and_a_retraction_reach_both_in_their_own_words(two_ehrs: World) -> None:
    first = a_short_visit()
    two_ehrs.take(first)

    changed = two_ehrs.take(amended(first, rate(90)))
    gone = two_ehrs.take(retracted(amended(first, rate(90))))

    assert "Observation" in two_ehrs.changes(changed, "short")
    assert "DocumentReference" in two_ehrs.changes(changed, "plain")
    assert "DocumentReference" not in two_ehrs.changes(changed, "short")
    assert "Observation" in two_ehrs.changes(gone, "short")
    assert two_ehrs.take(retracted(amended(first, rate(90)))).state == "repeated"


def test_a_new_destination_is_owed_the_backlog_as_its_overlay_makes_it(two_ehrs: World) -> None:
    two_ehrs.take(a_short_visit())
    two_ehrs.connect("later", overlay="rate-children")
    two_ehrs.connect("late", overlay="no-note")
    two_ehrs.sync()

    assert titles(two_ehrs, "late") == titles(two_ehrs, "short")
    assert titles(two_ehrs, "later") == titles(two_ehrs, "plain")


def test_what_only_an_overlay_cannot_translate_is_held_for_its_destination_alone() -> None:
    world = World(mapped=lambda: mapping_sets.changed_mappings(strict_overlay))
    world.connect("plain")
    world.connect("strict", overlay="strict")
    first = a_short_visit()
    world.take(first)
    before = len(world.ledger("strict"))

    world.take(amended(first, rate(210)))

    held = [row for row in world.rows("held") if row.destination == "strict"]
    assert [row.reason for row in held] == ["translation"]
    assert not [row for row in world.rows("held") if row.destination == "plain"]
    # What the EHR has of the version before stays: nothing of it is retracted.
    assert len(world.ledger("strict")) == before


def test_mended_mappings_release_what_an_overlay_held() -> None:
    world = World(mapped=lambda: mapping_sets.changed_mappings(strict_overlay))
    world.connect("plain")
    world.connect("strict", overlay="strict")
    world.take(a_short_visit())
    world.take(amended(a_short_visit(), rate(210)))
    plain = written(world, "plain")

    def mend(resources: Path) -> None:
        strict_overlay(resources)
        edit(resources, "vital-pulse.yaml", "value < 200", "value < 300")

    world.use_mappings(lambda: mapping_sets.changed_mappings(mend))
    world.sync()

    assert not world.rows("held")
    assert written(world, "plain") == plain
    (pulse,) = [
        world.ehrs["strict"].history(f"{one.type}/{one.id}")[-1]
        for one in world.ledger("strict")
        if one.type == "Observation"
    ]
    assert pulse["valueQuantity"]["value"] == 210
