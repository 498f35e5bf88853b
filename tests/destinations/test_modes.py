"""Which mode a server gets, by what was seen; and what a person may allow."""

import pytest

from fhirbridge.destinations import modes
from fhirbridge.destinations.modes import Mode

ALL = dict.fromkeys(modes.NAMES, True)
NAMES_ITSELF = {**ALL, "own_ids": False, "create_guard": False, "create_none_match": False}


def lacking(*names: str, of: dict[str, bool] = ALL) -> dict[str, bool]:
    return {**of, **dict.fromkeys(names, False)}


@pytest.mark.parametrize(
    ("traits", "mode", "weak_mode"),
    [
        (ALL, Mode.TRANSACTION, Mode.TRANSACTION),
        (lacking("transaction"), Mode.BATCH, Mode.BATCH),
        (lacking("transaction", "batch"), Mode.SINGLE, Mode.SINGLE),
        (lacking("version_guard"), Mode.UNPROVEN, Mode.SINGLE),
        (lacking("version_guard", "versions"), Mode.UNPROVEN, Mode.UNPROVEN),
        (NAMES_ITSELF, Mode.ASSIGNED, Mode.ASSIGNED),
        (lacking("create_guard", "create_none_match"), Mode.ASSIGNED, Mode.ASSIGNED),
        (lacking("version_guard", of=NAMES_ITSELF), Mode.UNPROVEN, Mode.ASSIGNED),
        *(
            (lacking(one, of=NAMES_ITSELF), Mode.UNPROVEN, Mode.UNPROVEN)
            for one in ("conditional_create", "tag_create", "search", "decimals")
        ),
        ({}, Mode.UNPROVEN, Mode.UNPROVEN),
    ],
)
def test_the_mode_needs_all_that_makes_it_safe(
    traits: dict[str, bool], mode: Mode, weak_mode: Mode
) -> None:
    assert modes.choose(traits) is mode
    assert modes.choose(traits, weak=True) is weak_mode


CREATES = lacking("update", "delete", "version_guard", "versions", of=NAMES_ITSELF)
ONCE = ("conditional_create", "tag_create", "search", "decimals")


def test_r22_what_takes_no_update_and_no_deletion_only_creates() -> None:
    assert modes.choose(CREATES) is Mode.CREATE_ONLY
    assert modes.choose(CREATES, weak=True) is Mode.CREATE_ONLY


@pytest.mark.parametrize("honoured", ["update", "delete"])
def test_r22_where_anything_can_be_changed_it_is_never_chosen_silently(honoured: str) -> None:
    assert modes.choose({**CREATES, honoured: True}) is not Mode.CREATE_ONLY
    assert modes.choose({**CREATES, honoured: None}) is not Mode.CREATE_ONLY


@pytest.mark.parametrize("lost", ONCE)
def test_r22_it_needs_all_that_makes_a_create_safe(lost: str) -> None:
    assert modes.choose(lacking(lost, of=CREATES)) is Mode.UNPROVEN
    assert modes.NAMES[lost] in modes.why_paused(lacking(lost, of=CREATES))


def test_a_person_may_name_it_once_somebody_there_agreed_or_it_was_seen() -> None:
    named = Mode.CREATE_ONLY.value

    assert modes.choose({}, declared=named) is Mode.UNPROVEN
    assert modes.choose({"agreed": True}, declared=named) is Mode.CREATE_ONLY
    assert modes.choose(ALL, declared=named) is Mode.CREATE_ONLY
    refuted = {"agreed": True, "conditional_create": False}
    assert modes.choose(refuted, declared=named) is Mode.UNPROVEN


def test_what_gave_ids_once_is_never_written_to_under_ours() -> None:
    assert modes.choose(ALL, assigned=True) is Mode.ASSIGNED
    assert modes.choose(lacking("search"), assigned=True) is Mode.UNPROVEN


def test_only_what_a_person_can_allow_is_offered() -> None:
    offer = modes.WEAK_HINT

    assert modes.why_paused(lacking("version_guard")).endswith(offer)
    assert offer not in modes.why_paused(lacking("version_guard", "decimals"))
    assert offer not in modes.why_paused(lacking("version_guard"), weak=True)


def test_a_server_that_names_resources_itself_is_told_what_it_lacks() -> None:
    why = modes.why_paused(lacking("search", of=NAMES_ITSELF))

    assert "nor what makes ids of its own safe: search by identifier" in why
