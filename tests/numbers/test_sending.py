"""R2, R3, R5, R8, R23, R32 with small numbers; `make prove` has the full ones."""

from pathlib import Path

from tests.numbers import sending


def test_r02_the_same_record_from_eight_threads_is_one_resource_in_one_version(
    tmp_path: Path,
) -> None:
    assert sending.same_record(tmp_path, times=16, threads=8) == (16, [])


def test_r03_what_is_said_again_unchanged_is_not_sent_again() -> None:
    assert sending.unchanged(8) == (0, 0)


def test_r05_the_ehr_shows_the_edits_of_each_patient_in_the_order_in_which_they_came() -> None:
    found = sending.Edits(patients=6, edits=8).run()

    assert (found.inversions, found.unfinished) == (0, 0)
    assert found.faults
    assert found.versions > 6


def test_r08_one_bad_record_stops_only_what_needs_it() -> None:
    found = sending.one_bad(20, dependants=3)

    assert found == sending.Isolated(delivered=16, parked=1, blocked=3, others=0)


def test_r32_who_did_not_agree_is_named_in_no_request() -> None:
    requests, naming, arrived = sending.withheld(8)

    assert (naming, arrived) == (0, 2 * 4)
    assert requests >= 4


def test_r23_an_edit_between_our_look_and_our_write_is_never_lost() -> None:
    assert sending.edited_just_before(10) == (10, 10)
