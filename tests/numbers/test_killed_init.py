"""P12: an `init` that was killed at any step is continued by the next one, without a hand."""

import fcntl
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from fhirbridge import opening
from fhirbridge.access.tokens import Role
from fhirbridge.opening import AlreadyThereError
from fhirbridge.settings import Settings
from fhirbridge.store.sealed import KeyMismatchError
from tests.journey.installation import Installation
from tests.journey.kill_points import NEVER, Boundaries, killed

STEPS = ("open", "os.link", "os.remove", "sqlite3.connect")


@pytest.fixture
def nowhere(tmp_path: Path, installed: Installation) -> Settings:
    return at(tmp_path / "home", installed.settings)


def at(home: Path, known: Settings) -> Settings:
    return replace(
        known,
        home=home,
        database_url=f"sqlite:///{home / 'fhirbridge.db'}",
        master_key_file=home / "master.key",
        site_key_file=home / "site.key",
        evidence_key_file=home / "evidence.key",
    )


def init_and_die(chosen: Settings, place: int) -> None:
    """Kill this process at its n-th file or commit, or once the token is to be handed over."""
    boundaries = Boundaries(place)
    home = str(chosen.home)

    def step(name: str, about: tuple[Any, ...]) -> None:
        if name in STEPS and str(about[0]).startswith(home):
            boundaries.reach(name)

    sys.addaudithook(step)
    event.listen(Engine, "commit", lambda _connection: boundaries.reach("before commit"))
    opening.initialise(chosen, hand_over=lambda _token: boundaries.reach("before the token"))


def killed_at_each_step(chosen: Settings, tmp_path: Path) -> Iterator[tuple[int, Settings]]:
    for place in range(1, NEVER):
        there = at(tmp_path / f"at-{place}", chosen)
        if not killed(lambda: init_and_die(there, place)):  # noqa: B023  run at once
            return
        yield place, there


def test_p12_an_init_that_was_killed_at_any_step_is_continued_by_the_next(
    nowhere: Settings, tmp_path: Path
) -> None:
    places = 0
    for places, there in killed_at_each_step(nowhere, tmp_path):  # noqa: B007  counted
        keys = {file: file.read_bytes() for file in there.home.glob("*.key")}

        token = opening.initialise(there)

        bridge = opening.open_bridge(there)
        caller = bridge.authenticate(token)
        bridge.warm_up()
        bridge.close()
        assert caller is not None
        assert caller.role is Role.ADMIN
        assert {file: file.read_bytes() for file in keys} == keys
        assert {file.name for file in there.home.iterdir() if "fhirbridge.db" not in file.name} == {
            "evidence.key",
            "master.key",
            "site.key",
        }
        with pytest.raises(AlreadyThereError):
            opening.initialise(there)

    assert places > 12  # both keys, the database, each commit, the token


def unfinished(chosen: Settings) -> Path:
    return chosen.home / opening.UNFINISHED


def test_p12_while_one_is_at_work_another_is_refused_and_changes_nothing(
    nowhere: Settings,
) -> None:
    nowhere.home.mkdir()
    with unfinished(nowhere).open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)

        with pytest.raises(AlreadyThereError, match="another init is at work"):
            opening.initialise(nowhere)

    assert [file.name for file in nowhere.home.iterdir()] == [opening.UNFINISHED]


def test_p12_keys_that_no_init_left_behind_are_never_used_for_a_new_database(
    nowhere: Settings,
) -> None:
    opening.initialise(nowhere)
    (nowhere.home / "fhirbridge.db").unlink()

    with pytest.raises(AlreadyThereError):
        opening.initialise(nowhere)

    assert not unfinished(nowhere).exists()


@pytest.mark.parametrize("lost", ["master.key", "site.key"])
def test_p12_a_database_that_was_begun_gets_no_other_keys(nowhere: Settings, lost: str) -> None:
    opening.initialise(nowhere)
    unfinished(nowhere).touch()
    (nowhere.home / lost).unlink()

    with pytest.raises(AlreadyThereError, match="without its keys"):
        opening.initialise(nowhere)

    assert not (nowhere.home / lost).exists()
    (nowhere.home / lost).write_text("ab12" * 16 + "\n")
    (nowhere.home / lost).chmod(0o600)
    unfinished(nowhere).touch()
    with pytest.raises(KeyMismatchError):
        opening.initialise(nowhere)
