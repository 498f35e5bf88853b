"""Asked is about certain patients alone, of whom that may be asked; shown is their own chart."""

from collections.abc import Callable

import pytest

from fhirbridge.egress.exchange import Request
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.reconcile.patients import About
from tests.factories import A_DAY, World, retracted
from tests.fakes import Fault
from tests.mapping_sets import few_mappings
from tests.matching.clinic import Clinic, an_ehr_patient, merged_into, put, visit
from tests.pull.hospital import EVERYTHING, Hospital, a_condition

WITHDRAWN = {
    "id": "cs-2",
    "kind": "sharing",
    "recipient": "ehr",
    "status": "withdrawn",
    "signed_at": "2026-01-01T10:00:00-05:00",
    "withdrawn_at": "2026-04-01T10:00:00-05:00",
}


@pytest.fixture
def hospital() -> Hospital:
    """One condition was read of the chart `ehr-1`; there is a chart `ehr-9` of the same person."""
    made = Hospital(a_condition(), an_ehr_patient("ehr-9", "SYN-9"))
    made.pull()
    return made


def unlink(hospital: Hospital) -> None:
    about = About("ehr", hospital.lane)
    hospital.bridge.patients.unlink(about, reason="in doubt", actor="anna")


def withdraw(hospital: Hospital) -> None:
    new = visit()
    new |= {"version": 2, "recorded_at": "2026-04-02T12:00:00-05:00"}
    new["consents"] = [*new["consents"], WITHDRAWN]
    hospital.accept(new)


def pause(hospital: Hospital) -> None:
    hospital.bridge.pause(Stopped("ehr", hospital.lane), actor="test")


def take_back(hospital: Hospital) -> None:
    hospital.accept(retracted(visit()))


NOBODY: dict[str, Callable[[Hospital], None]] = {
    "held": unlink,
    "no-consent": withdraw,
    "stopped": pause,
    "no-record": take_back,
}


@pytest.mark.parametrize("why", NOBODY)
def test_r32_who_may_not_be_asked_about_is_named_in_no_request(
    hospital: Hospital, why: str
) -> None:
    NOBODY[why](hospital)
    hospital.ehr.transport.sent.clear()

    done = hospital.pull()

    assert (done.why, done.types) == (why, ())
    assert hospital.ehr.transport.sent == []


def test_who_is_not_linked_yet_is_not_asked_about() -> None:
    clinic = Clinic()
    clinic.take(visit())
    clinic.bridge.set_pull("ehr", EVERYTHING, actor="test")
    clinic.ehr.transport.sent.clear()

    (done,) = clinic.bridge.pulls.pull(days=90, actor="test")

    assert done.why == "held"
    assert clinic.ehr.transport.sent == []


def test_a_merge_is_followed_told_and_what_the_old_chart_said_is_erased(
    hospital: Hospital,
) -> None:
    hospital.put(a_condition("con-9", patient="ehr-9"))
    put(hospital.ehr, an_ehr_patient(**merged_into("ehr-9")))

    hospital.pull()
    hospital.pull()

    assert hospital.ids() == ["Patient/ehr-9", "Condition/con-9"]
    assert {row.ehr_id for row in hospital.views()} == {"ehr-9"}
    assert hospital.heard() == [
        ("condition.changed", "Condition"),
        ("patient.merged", "Patient"),
        ("condition.changed", "Condition"),
    ]


def test_safety_10_after_another_chart_was_linked_nothing_of_the_first_is_shown(
    hospital: Hospital,
) -> None:
    about = About("ehr", hospital.lane)
    hospital.bridge.patients.link(
        about, "ehr-9", despite=["number"], reason="asked the registrar", actor="anna"
    )

    assert hospital.ids() == []
    assert hospital.shown()["flags"] == []
    hospital.pull()
    assert hospital.ids() == ["Patient/ehr-9"]


def test_what_was_asked_while_somebody_decided_anew_is_not_kept(hospital: Hospital) -> None:
    hospital.put(a_condition("con-2"))

    def meanwhile(request: Request) -> None:
        if request.url.endswith("/Condition/_search"):
            hospital.ehr.transport.before_serving = lambda _request: None
            unlink(hospital)

    hospital.ehr.transport.before_serving = meanwhile
    done = hospital.pull()

    assert done.why == "decided-meanwhile"
    assert hospital.ehr.transport.sent[-1].url.endswith("/Condition/_search")  # and nothing after
    assert len(hospital.heard()) == 1


def test_a_patient_who_is_another_one_now_is_held_and_not_asked_about(hospital: Hospital) -> None:
    hospital.ehr.edit("Patient/ehr-1", birthDate="1990-01-01")
    hospital.ehr.transport.sent.clear()

    done = hospital.pull()

    assert done.why == "held"
    assert not [one for one in hospital.ehr.transport.sent if one.url.endswith("_search")]


def test_where_the_ehr_does_not_say_who_it_is_nothing_is_asked(hospital: Hospital) -> None:
    hospital.ehr.transport.script = [Fault.NOT_SENT]

    done = hospital.pull()

    assert done.why == "unanswered"
    assert hospital.ids() == ["Patient/ehr-1", "Condition/con-1"]


def test_each_asking_and_each_reading_is_in_the_evidence(hospital: Hospital) -> None:
    hospital.shown()
    hospital.bridge.pulls.shown("ehr", hospital.lane, values=False, actor="test")

    assert [row.outcome for row in hospital.evidence("ehr.pulled")] == ["ok"]
    assert len(hospital.evidence("ehr.read")) == 1


def test_one_that_we_made_and_they_merged_is_told_and_not_asked_about() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    world.take(visit())
    world.bridge.set_pull("ehr", EVERYTHING, actor="test")
    lane = world.patient_lane().lane
    (ours,) = world.ehr.all_of("Patient")
    put(world.ehr, an_ehr_patient("ehr-9"))
    world.ehr.edit(f"Patient/{ours['id']}", **merged_into("ehr-9"))

    (before,) = world.bridge.pulls.pull(lane, days=30, actor="test")
    world.clock.advance(A_DAY)
    world.bridge.reconcile("ehr", full=True, actor="test")
    (after,) = world.bridge.pulls.pull(lane, days=30, actor="test")

    assert (before.why, after.why) == ("gone", "merged")
    (told,) = world.heard_of("ehr.changed")
    assert (told["subkind"], told["detail"]["found"]) == ("patient.merged", "merged")
