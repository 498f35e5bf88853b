"""Who has waited longest writes next, whoever writes without a pause."""

import threading
from pathlib import Path

import pytest

from fhirbridge.store import sqlite
from fhirbridge.store.engine import Store, StoreBusyError
from fhirbridge.store.turns import Turns

SECONDS = 20.0


def waiting(turns: Turns, many: int) -> None:
    """Return once so many wait."""
    pause = threading.Event()
    while len(turns._waiting) < many:
        pause.wait(0.001)


def test_the_turn_goes_to_who_came_first() -> None:
    turns, order = Turns(), []

    def work(number: int) -> None:
        assert turns.take(SECONDS)
        order.append(number)
        turns.give()

    assert turns.take(SECONDS)
    crew = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for number, one in enumerate(crew, 1):
        one.start()
        waiting(turns, number)
    turns.give()
    for one in crew:
        one.join(SECONDS)

    assert order == [0, 1, 2, 3, 4]


def test_who_gives_the_turn_away_and_wants_it_again_waits_for_the_others() -> None:
    turns, order = Turns(), []

    def other() -> None:
        assert turns.take(SECONDS)
        order.append("other")
        turns.give()

    assert turns.take(SECONDS)
    thread = threading.Thread(target=other)
    thread.start()
    waiting(turns, 1)
    turns.give()
    assert turns.take(SECONDS)
    order.append("greedy")
    turns.give()
    thread.join(SECONDS)

    assert order == ["other", "greedy"]


def test_who_gave_up_waiting_is_not_handed_the_turn() -> None:
    turns = Turns()
    assert turns.take(SECONDS)

    assert not turns.take(0.01)
    turns.give()

    assert turns.take(0.01)


def test_a_write_whose_turn_does_not_come_is_busy_and_the_next_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    store.create()
    inside, leave = threading.Event(), threading.Event()

    def write() -> None:
        with store.begin():
            inside.set()
            leave.wait(SECONDS)

    thread = threading.Thread(target=write)
    thread.start()
    assert inside.wait(SECONDS)
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 10)

    with pytest.raises(StoreBusyError), store.begin():
        pass

    leave.set()
    thread.join(SECONDS)
    with store.begin():
        pass
    store.close()


def test_a_write_that_fails_gives_its_turn_away(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    store.create()

    with pytest.raises(ZeroDivisionError), store.begin():
        raise ZeroDivisionError

    with store.begin():
        pass
    store.close()
