"""R72: what is on legal hold is never erased, whoever asks and however old it is."""

import pytest

from fhirbridge.audit.reasons import ReasonError
from fhirbridge.retention.holds import HoldError, Word
from tests.factories import a_short_visit
from tests.retention.archive import WORD, Archive


def test_r72_a_chart_on_hold_stays_until_the_hold_is_lifted(archive_on_either: Archive) -> None:
    archive = archive_on_either
    kept, gone = archive.take_old(a_short_visit(), a_short_visit(patient="pt-2"))
    (hold,) = archive.bridge.hold(archive.chart_of(kept), WORD, actor="test")

    assert archive.plan().charts == {"due": 1, "held": 1}
    assert archive.purge().left == {"held": 1}
    assert archive.purged() == {gone.id}
    assert archive.bridge.record(kept.id, actor="test") is not None

    archive.bridge.lift_hold(hold, WORD, actor="test")
    archive.purge()
    assert archive.purged() == {gone.id, kept.id}


def test_r72_a_session_on_hold_keeps_its_whole_chart(archive: Archive) -> None:
    first, second = archive.take_old(a_short_visit(1), a_short_visit(2))
    archive.bridge.hold(archive.session_of(second), WORD, actor="test")

    archive.purge()

    assert archive.purged() == set()
    assert archive.bridge.record(first.id, actor="test") is not None


def test_of_two_holds_each_holds_by_itself(archive: Archive) -> None:
    (kept,) = archive.take_old(a_short_visit())
    one, other = (
        archive.bridge.hold(chart, WORD, actor="test")[0]
        for chart in (archive.chart_of(kept), archive.session_of(kept))
    )

    archive.bridge.lift_hold(one, WORD, actor="test")
    assert archive.purge().left == {"held": 1}

    archive.bridge.lift_hold(other, WORD, actor="test")
    assert archive.purge().charts == 1


def test_who_held_and_lifted_and_why_is_evidence_and_sealed(archive: Archive) -> None:
    (kept,) = archive.take_old(a_short_visit())
    (hold,) = archive.bridge.hold(archive.chart_of(kept), WORD, actor="test")
    archive.bridge.lift_hold(hold, Word(reason="Settled", by="Synthetic Judge"), actor="test")

    placed, lifted = archive.evidence("retention.held"), archive.evidence("retention.lifted")

    with archive.store.read() as tx:
        said = [archive.bridge._audit.payload(tx, row.id) for row in (*placed, *lifted)]
    assert [b"Counsel" in said[0], b"Judge" in said[1]] == [True, True]
    assert all("Synthetic" not in row.detail for row in (*placed, *lifted))
    (listed,) = archive.bridge.holds(words=True, actor="auditor")
    assert (listed["reason"], listed["by"]) == (WORD.reason, WORD.by)
    assert [row.actor for row in archive.evidence("retention.read")] == ["auditor"]
    assert "reason" not in archive.bridge.holds(actor="auditor")[0]


@pytest.mark.parametrize(
    ("reason", "by", "error"),
    [("", "Counsel", HoldError), ("Lawsuit", "", HoldError), ("two\nlines", "x", ReasonError)],
)
def test_a_hold_without_a_reason_or_a_name_is_refused(
    reason: str, by: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Word(reason=reason, by=by)


def test_a_hold_comes_too_late_for_what_is_gone(archive: Archive) -> None:
    (gone,) = archive.take_old(a_short_visit())
    archive.purge()

    with pytest.raises(HoldError):
        archive.bridge.hold(archive.chart_of(gone), WORD, actor="test")


def test_a_hold_that_is_lifted_or_unknown_cannot_be_lifted(archive: Archive) -> None:
    (kept,) = archive.take_old(a_short_visit())
    (hold,) = archive.bridge.hold(archive.chart_of(kept), WORD, actor="test")
    archive.bridge.lift_hold(hold, WORD, actor="test")

    for named in (hold, "none"):
        with pytest.raises(HoldError):
            archive.bridge.lift_hold(named, WORD, actor="test")
