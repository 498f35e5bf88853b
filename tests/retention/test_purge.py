"""R72: what was kept for its time is erased for good; what was done with it is still proven."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from fhirbridge.audit import verifying
from fhirbridge.audit.verifying import Trusted
from fhirbridge.outbox.selection import Selection
from fhirbridge.records.history import PurgedError
from fhirbridge.store.sealed import ShreddedError
from fhirbridge.store.tables import evidence, quarantine
from tests.factories import a_short_visit, amended, rate
from tests.retention.archive import DAYS, Archive


def test_r72_e5_after_a_purge_nothing_can_be_read_and_the_log_still_verifies(
    archive_on_either: Archive, tmp_path: Path
) -> None:
    archive = archive_on_either
    visit = a_short_visit()
    first = archive.take(visit)
    (second,) = archive.take_old(amended(visit, rate(88)))
    archive.bridge.keep_evidence()
    before = archive.bridge.checkpoint()
    there, held = archive.ehrs["ehr"].references(), archive.ledger()

    done = archive.purge()

    assert (done.charts, done.records, done.left) == (1, 2, {})
    for receipt in (first, second):
        assert archive.wrapped(receipt) is None
        assert archive.record_row(receipt).sealed == b""
        assert {one.sealed for one in archive.made_of(receipt)} == {b""}
        with pytest.raises(ShreddedError):
            archive.bridge.record(receipt.id, actor="test")
    with archive.store.read() as tx:
        kept = select(evidence.c.id).where(
            evidence.c.payload_owner == second.id, evidence.c.payload.is_not(None)
        )
        for row_id in tx.scalars(kept).all():
            with pytest.raises(ShreddedError):
                archive.bridge._audit.payload(tx, row_id)
    assert archive.bridge.damaged_evidence() == ""
    archive.bridge.keep_evidence()
    archive.bridge.export_evidence(tmp_path / "log", actor="test")
    keys = [Trusted(key=one.verifier) for one in archive.bridge.evidence_keys()]
    verifying.verify(tmp_path / "log", keys, [before.note])
    assert archive.ehrs["ehr"].references() == there
    assert {(one, line.ehr_id, line.ehr_version) for one, line in archive.ledger().items()} == {
        (one, line.ehr_id, line.ehr_version) for one, line in held.items()
    }


def test_r72_the_proof_of_a_purge_names_version_digest_and_time(archive: Archive) -> None:
    (receipt,) = archive.take_old(a_short_visit())

    archive.purge()

    (row,) = archive.evidence("record.purged")
    assert (row.actor, row.record_id) == ("test", receipt.id)
    assert archive.record_row(receipt).digest in row.detail
    assert f'"days":{DAYS}' in row.detail


def test_r72_only_whole_charts_go_and_a_change_begins_their_time_anew(archive: Archive) -> None:
    first, other = archive.take_old(a_short_visit(1), a_short_visit(1, patient="pt-2"))
    archive.take(a_short_visit(2))

    archive.purge()

    assert archive.purged() == {other.id}
    assert archive.bridge.record(first.id, actor="test") is not None


def test_r72_a_day_before_its_time_nothing_goes(archive: Archive) -> None:
    archive.take_old(a_short_visit())

    assert archive.bridge.purge(DAYS + 2, actor="test").records == 0
    assert archive.purged() == set()


def test_a_plan_says_what_would_go_and_writes_nothing(archive: Archive) -> None:
    archive.take_old(a_short_visit(), a_short_visit(patient="pt-2"))

    found = archive.plan()

    assert (found.charts, found.records) == ({"due": 2}, 2)
    assert found.oldest == min(row.created_at for row in archive.rows())
    assert archive.purged() == set()
    archive.purge()
    assert archive.plan().charts == {}


def test_what_went_late_is_kept_for_its_time_from_then_on(archive: Archive) -> None:
    owed = archive.accept(a_short_visit())
    archive.clock.jump(_years(7))
    assert archive.plan().charts == {"unsettled": 1}

    archive.settle()

    assert archive.purge().left == {"unsettled": 1}
    archive.clock.jump(_years(7))
    archive.purge()
    assert archive.purged() == {owed.id}


def test_a_later_version_of_a_purged_session_is_refused_and_put_in_quarantine(
    archive: Archive,
) -> None:
    archive.take_old(visit := a_short_visit())
    archive.purge()
    there = archive.ehrs["ehr"].references()

    with pytest.raises(PurgedError):
        archive.accept(amended(visit, rate(99)))

    archive.settle()
    with archive.store.read() as tx:
        assert tx.scalars(select(quarantine.c.code)).all() == ["E248"]
    assert archive.ehrs["ehr"].references() == there
    assert len(archive.evidence("record.refused")) == 1


def test_the_same_version_again_is_a_repeat_and_brings_nothing_back(archive: Archive) -> None:
    (first,) = archive.take_old(visit := a_short_visit())
    archive.purge()

    again = archive.accept(visit)

    assert (again.id, again.state, again.owed) == (first.id, "repeated", ())
    assert archive.wrapped(first) is None


def test_a_patient_who_comes_back_begins_a_new_chart_that_arrives(archive: Archive) -> None:
    archive.take_old(a_short_visit(1))
    archive.purge()

    new = archive.take(a_short_visit(2))
    archive.settle()

    assert set(archive.states()) <= {"delivered", "superseded"}
    assert archive.differing() == []
    assert archive.purge().records == 0
    assert archive.bridge.record(new.id, actor="test") is not None


def test_a_new_destination_is_owed_nothing_of_it(archive: Archive) -> None:
    archive.take_old(a_short_visit())
    archive.purge()

    archive.connect("other")
    archive.settle()

    assert archive.ehrs["other"].references() == []


def test_a_replay_and_a_reload_pass_over_it(archive: Archive) -> None:
    archive.take_old(a_short_visit())
    archive.purge()

    done = archive.bridge.replay(Selection(), parked=False, actor="test")

    assert (done.considered, done.translated, done.failed) == (0, 0, 0)


def test_r55_completeness_still_adds_up(archive: Archive) -> None:
    archive.take_old(a_short_visit(), a_short_visit(patient="pt-2"))
    before = archive.completeness().difference

    archive.purge()

    assert before == archive.completeness().difference == 0
    assert archive.completeness(live=True).difference == 0


def _years(count: int) -> timedelta:
    return timedelta(days=366 * count)
