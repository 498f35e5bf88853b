"""In the background each patient with a recent record is asked about once an hour."""

from datetime import timedelta

import pytest

from fhirbridge.destinations.limits import LimitChange
from fhirbridge.pull.rounds import MOST_SILENT, Pace, Rounds
from tests.fakes import Fault
from tests.matching.clinic import CLINIC, an_ehr_patient, visit
from tests.pull.hospital import Hospital

HOUR = timedelta(hours=1)
PACE = Pace(every=HOUR, days=90)


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


def rounds(hospital: Hospital, pace: Pace = PACE) -> Rounds:
    return hospital.bridge.pull_rounds(pace=pace)


def test_each_is_asked_about_once_an_hour_also_after_a_restart(hospital: Hospital) -> None:
    assert len(rounds(hospital).round()) == 1
    assert rounds(hospital).round() == []

    hospital.clock.advance(HOUR)

    assert len(rounds(hospital).round()) == 1


def test_who_was_not_seen_for_long_is_not_asked_about(hospital: Hospital) -> None:
    assert rounds(hospital, Pace(every=HOUR, days=30)).round() == []


def test_a_destination_that_is_not_to_be_asked_or_is_paused_is_not(hospital: Hospital) -> None:
    hospital.bridge.set_pull("ehr", (), actor="test")
    hospital.ehr.transport.sent.clear()

    assert rounds(hospital).round() == []
    assert hospital.ehr.transport.sent == []


def test_a_silent_ehr_is_left_and_asked_again_later(hospital: Hospital) -> None:
    for number in range(2, MOST_SILENT + 2):
        mrn = {"id": "pid-1", "system": CLINIC, "value": f"SYN-00{number}"}
        hospital.put(an_ehr_patient(f"ehr-{number}", mrn["value"]))
        hospital.take(visit(1, f"pt-{number}", identifiers=[mrn]))
    going = rounds(hospital)
    hospital.ehr.transport.choose = lambda _request: Fault.NOT_SENT

    first = going.round()

    assert [one.why for one in first] == ["unanswered"] * MOST_SILENT
    hospital.ehr.transport.choose = lambda _request: None
    hospital.clock.advance(timedelta(minutes=30))
    assert len(going.round()) == 1  # nobody who is silent keeps others waiting
    hospital.clock.advance(timedelta(minutes=31))
    assert len(going.round()) == MOST_SILENT


def test_the_limits_of_a_destination_hold_for_what_is_asked(hospital: Hospital) -> None:
    hospital.bridge.limit_destination("ehr", LimitChange(per_day=1), actor="test")
    hospital.ehr.transport.sent.clear()

    rounds(hospital).round()

    assert len(hospital.ehr.transport.sent) <= 1


def test_p05_a_clock_that_was_set_back_keeps_nobody_waiting(hospital: Hospital) -> None:
    rounds(hospital).round()

    hospital.clock.jump(-timedelta(days=30))

    assert len(rounds(hospital).round()) == 1
