"""What is looked at without being asked; and our own database that went back to a backup."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from fhirbridge.reconcile import stops
from fhirbridge.reconcile.watch import FULL_EVERY, Watch
from tests.factories import A_DAY, World, a_short_visit, amended, rate
from tests.fakes import Fault
from tests.mapping_sets import few_mappings

NOTE = [{"text": "Synthetic note: confirmed by phone"}]


def watch(world: World) -> Watch:
    return world.bridge.watch(seconds=60)


def full_looks(world: World) -> int:
    return sum('"full":true' in row.detail for row in world.evidence("reconcile.run"))


def test_a_round_finds_an_edit_and_a_quiet_one_writes_no_evidence(world: World) -> None:
    (pulse,) = world.of_mapping(world.take(a_short_visit()), "vital-heart-rate")
    world.clock.advance(A_DAY / 24)
    watching = watch(world)
    watching.round()
    assert world.evidence("reconcile.run") == []

    world.ehr.edit(pulse, note=NOTE)
    watching.round()

    assert [one["kind"] for one in world.bridge.drift()] == ["edited"]


def test_everything_is_compared_once_a_day(world: World) -> None:
    world.take(a_short_visit())
    watching = watch(world)
    watching.round()
    assert full_looks(world) == 0

    world.clock.advance(FULL_EVERY)
    watching.round()
    watching.round()

    assert full_looks(world) == 1


def test_an_ehr_that_does_not_answer_stops_no_look_at_another(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.take(a_short_visit())
    world.connect("other")
    world.settle()
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    watching = watch(world)

    for _ in range(3):
        watching.round()
        world.clock.advance(timedelta(minutes=1))
    world.ehr.transport.choose = lambda _request: None
    watching.round()

    with world.store.read() as tx:
        assert stops.state(tx, "other").polled_to > stops.state(tx, "other").swept_at[:10]
    told = capsys.readouterr()
    assert (told.out + told.err).count("reconcile.broke_off") == 1
    assert (told.out + told.err).count("reconcile.goes_on") == 1


def test_a_destination_that_waits_for_a_person_is_not_asked_every_minute(world: World) -> None:
    world.take(a_short_visit())
    world.ehr.model.restore(())
    world.clock.advance(A_DAY / 24)
    watching = watch(world)
    watching.round()
    assert world.paused().startswith(stops.RESTORED)
    world.ehr.transport.sent.clear()

    watching.round()

    assert world.ehr.transport.sent == []


def test_who_resumes_over_a_stop_is_stopped_again_before_anything_goes(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    world.ehr.model.restore(())
    world.bridge.reconcile("ehr", full=True, actor="test")
    world.accept(amended(record, rate(90)))

    world.resume()
    world.sync()

    assert world.paused().startswith(stops.RESTORED)
    assert world.ehr.references() == []


def copy_back(world: World, folder: Path) -> None:
    world.store.close()
    for left in folder.glob("w.db-*"):
        left.unlink()
    shutil.copyfile(folder / "backup", folder / "w.db")


@pytest.mark.parametrize("edited", [False, True])
def test_p11_our_own_database_put_back_is_compared_whole_before_anything_is_sent(
    tmp_path: Path, *, edited: bool
) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'w.db'}", mapped=few_mappings)
    world.connect()
    record = a_short_visit()
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    world.store.close()
    shutil.copyfile(tmp_path / "w.db", tmp_path / "backup")
    second = amended(record, rate(90))
    world.take(second)
    world.sync()
    if edited:
        world.ehr.edit(pulse, note=NOTE)
    before = world.ehr.model.snapshot()
    copy_back(world, tmp_path)

    world.accept(second)
    world.ehr.transport.sent.clear()
    world.sync()
    world.settle()

    first = world.ehr.requests()[0]
    assert (world.paused(), first["type"]) == ("", "batch")
    assert full_looks(world) >= 1
    if not edited:  # what we no longer know of having sent is ours all the same
        assert set(world.states()) == {"delivered"}
    else:
        assert [row.reason.split(":")[0] for row in world.rows("held")] == ["edited"]
    kept = [one for one in world.ehr.model.snapshot() if one.type == "Observation"]
    assert kept == [one for one in before if one.type == "Observation"]


def test_p11_a_kill_while_an_old_copy_is_stopped_lets_nothing_go_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    world = World(url=f"sqlite:///{tmp_path / 'w.db'}", mapped=few_mappings)
    world.connect()
    world.store.close()
    shutil.copyfile(tmp_path / "w.db", tmp_path / "backup")
    world.sync()
    copy_back(world, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(stops, "stop_all", killed)
        with pytest.raises(KeyboardInterrupt):
            watch(world).round()

    world.bridge._reconcile.begin()

    assert world.paused() == stops.OWN


def test_nothing_is_sent_while_the_ehr_does_not_answer_the_comparison(tmp_path: Path) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'w.db'}", mapped=few_mappings)
    world.connect()
    record = a_short_visit()
    world.take(record)
    world.store.close()
    shutil.copyfile(tmp_path / "w.db", tmp_path / "backup")
    world.sync()
    world.sync()
    copy_back(world, tmp_path)
    world.accept(amended(record, rate(90)))
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT

    world.sync()

    assert world.paused() == stops.OWN
    assert world.ehr.requests("transaction")[-1:] != []
    world.ehr.transport.choose = lambda _request: None
    world.settle()
    assert (world.paused(), set(world.states())) == ("", {"delivered"})
