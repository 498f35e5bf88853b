"""A profile file: every mistake with its line, and what it leaves out stays."""

import re
from pathlib import Path

import pytest

from fhirbridge.destinations.limits import LimitChange
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Policy
from fhirbridge.destinations.taken import Taken
from fhirbridge.profiles import profile_file as profile
from fhirbridge.profiles.profile_file import ProfileError
from fhirbridge.settings import packaged_mappings
from tests.factories import World, a_short_visit


def test_the_shipped_profile_says_of_each_type_that_a_mapping_makes_how_it_goes() -> None:
    strict = profile.load("strict-ehr")

    texts = [one.read_text("utf-8") for one in packaged_mappings().glob("*/*.yaml")]
    made = {
        kind for text in texts for kind in re.findall(r"^target: ([A-Z]\w+)$", text, re.MULTILINE)
    }
    assert strict.types.keys() == made - {"Patient"}
    assert {kind for kind, one in strict.types.items() if one is Taken.SEND} == {
        "DocumentReference",
        "Observation",
    }
    assert (strict.mode, strict.patients) == (Mode.CREATE_ONLY, Policy.MATCH)
    assert (strict.requires_consent, strict.forbids_weak_guard) == (True, True)
    assert [one.name for one in profile.shipped()] == ["strict-ehr"]


def test_what_a_file_leaves_out_stays(tmp_path: Path) -> None:
    file = tmp_path / "slow.yaml"
    file.write_text("about: a slow one\nlimits: {rps: 0.5}\n", "utf-8")

    found = profile.load(str(file))

    assert found.limits == LimitChange(rps=0.5)
    assert (found.mode, found.patients, found.types) == (None, None, {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mode: create", "2:7: mode must be create-only or as-probed"),
        ("moed: create-only", "2:1: nobody knows 'moed'; did you mean mode?"),
        ("patients: theirs", "2:11: patients must be ours or match"),
        ("consent: no", "2:10: consent must be required"),
        ("limits: {rps: fast}", "2:15: rps must be a number"),
        ("limits: {concurrent: 0}", "2:9: a limit is 0 to 1000 requests per second"),
        ("types: {skip: [Visits]}", "2:16: this is no resource type of R4"),
        ("types: {skip: [HumanName]}", "2:16: this is no resource type of R4"),
        ("types: {skip: Encounter}", "2:15: skip must be a list of resource types"),
        ("types: {skip: [Goal], note: [Goal]}", "2:30: Goal is named twice"),
        ("types: {skip: [Patient]}", "2:8: Patient cannot be left out"),
        ("- a", "2:1: not YAML that we take"),
    ],
)
def test_a_mistake_is_said_with_its_place(line: str, said: str) -> None:
    with pytest.raises(ProfileError) as refused:
        profile.parse(f"about: an EHR\n{line}\n", "mine.yaml")

    assert f"mine.yaml:{said}" in refused.value.message


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ProfileError) as refused:
        profile.parse("mode: x\npatients: y\nlimits: z\n", "mine.yaml")

    assert refused.value.message.startswith("the profile has 3 mistake(s)")


@pytest.mark.parametrize("named", ["nosuch", "../strict-ehr", "/dev/null", ""])
def test_what_is_no_profile_is_refused_with_those_that_are(named: str) -> None:
    with pytest.raises(ProfileError) as refused:
        profile.load(named)

    assert "strict-ehr" in refused.value.hint


def test_a_destination_is_set_up_as_a_profile_says_and_its_evidence_names_it() -> None:
    world = World()
    world.connect()

    found = world.bridge.use_profile("ehr", profile.load("strict-ehr"), actor="ana")

    assert (found.declared, found.mode) == ("create-only", Mode.UNPROVEN)
    assert found.types["Encounter"] is Taken.SKIP
    assert (found.requires_consent, found.patients.policy) == (True, Policy.MATCH)
    assert (found.limits.rps, found.limits.concurrent) == (5.0, 2)
    (entry,) = world.evidence("destination.profile")
    assert (entry.actor, entry.destination) == ("ana", "ehr")
    assert "strict-ehr" in entry.detail


def test_a_named_mode_needs_somebodys_word_and_the_probe_then_writes_nothing() -> None:
    world = World()
    far = world.connect()
    far.behave(assigns_ids=True)
    with world.store.begin() as tx:
        tx.exec_driver_sql("UPDATE destination SET test_server = 0")
    named = profile.parse("mode: create-only\n", "mine.yaml")
    found = world.bridge.use_profile("ehr", named, actor="test")
    assert found.mode is Mode.UNPROVEN

    agreed = world.bridge.probe_destination("ehr", agreed_with="the vendor", actor="test")

    assert (agreed.mode, agreed.paused) == (Mode.CREATE_ONLY, "")
    assert far.references() == []
    world.take(a_short_visit())
    assert set(world.states()) == {"delivered"}


def test_a_profile_that_cannot_be_used_whole_changes_nothing() -> None:
    world = World()
    world.connect()
    world.take(a_short_visit())

    with pytest.raises(Exception, match="patients of ours were made"):
        world.bridge.use_profile("ehr", profile.load("strict-ehr"), actor="test")

    found = world.bridge.destination("ehr")
    assert (found.declared, found.types, found.requires_consent) == ("", {}, False)
