import pytest

from tests.records.visits import ABSENT, a_visit, edited, findings, found, load


def test_a_local_time_gets_the_offset_of_the_clinics_zone() -> None:
    record = edited(a_visit(), ("/vitals/0/time", "2026-03-02T09:10:00"))

    checked = load(record)

    assert checked.document["vitals"][0]["time"] == "2026-03-02T09:10:00-05:00"
    assert checked.zone_applied == ("/vitals/0/time",)
    assert checked.findings == ()


def test_the_offset_is_that_of_the_day() -> None:
    record = edited(a_visit(), ("/patient/as_of", "2026-07-02T09:10:00.25"))

    assert load(record).document["patient"]["as_of"] == "2026-07-02T09:10:00.25-04:00"


def test_a_time_with_an_offset_is_left_as_it_came() -> None:
    record = edited(a_visit(), ("/vitals/0/time", "2026-03-02T14:10:00Z"))

    checked = load(record)

    assert checked.document["vitals"][0]["time"] == "2026-03-02T14:10:00Z"
    assert checked.zone_applied == ()


@pytest.mark.parametrize(
    ("local", "reason"),
    [("2026-11-01T01:30:00", "twice"), ("2026-03-08T02:30:00", "does not exist")],
)
def test_a_local_time_that_the_zone_makes_doubtful_is_refused(local: str, reason: str) -> None:
    record = edited(a_visit(), ("/patient/as_of", local))

    assert found(record) == [("error", "R112", "/patient/as_of")]
    assert reason in findings(record)[0].message


@pytest.mark.parametrize("stated", ["2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"])
def test_a_doubled_hour_with_its_offset_is_taken(stated: str) -> None:
    record = edited(a_visit(), ("/patient/as_of", stated))

    assert load(record).document["patient"]["as_of"] == stated


def test_a_local_time_without_a_zone_is_refused() -> None:
    record = edited(a_visit(), ("/vitals/0/time", "2026-03-02T09:10:00"), ("/clinic/zone", ABSENT))

    assert found(record) == [("error", "R113", "/vitals/0/time")]


def test_a_time_from_before_whole_minute_offsets_is_refused() -> None:
    zone = ("/clinic/zone", "Africa/Monrovia")
    record = edited(a_visit(), zone, ("/patient/as_of", "1970-06-01T12:00:00"))

    assert found(record) == [("error", "R112", "/patient/as_of")]


@pytest.mark.parametrize("onset", ["2019", "2019-04", "2019-04-30"])
def test_a_date_is_taken_as_far_as_it_is_known(onset: str) -> None:
    record = edited(a_visit(), ("/conditions/0/onset", onset))

    assert load(record).document["conditions"][0]["onset"] == onset
