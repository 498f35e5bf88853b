"""Merged, parted again, changed: what is new goes to the right chart, or waits; nothing is lost."""

import pytest

from fhirbridge.egress.exchange import Request
from fhirbridge.reconcile.patients import About, PatientError
from tests.factories import AFTER_A_LEASE, Record, amended, rate
from tests.fakes import Fault
from tests.matching.clinic import Clinic, an_ehr_patient, merged_into, put, visit

LONG = 6 * AFTER_A_LEASE  # longer than a link is relied on
OTHER = an_ehr_patient("ehr-9", "SYN-9")


@pytest.fixture
def clinic() -> Clinic:
    """One visit is in the chart `ehr-1`; `ehr-9` is another chart of the same person."""
    made = Clinic(an_ehr_patient(), OTHER)
    made.take(visit())
    assert made.charted() == {"ehr-1"}
    made.clock.advance(LONG)
    return made


def about(clinic: Clinic) -> About:
    return About("ehr", clinic.link.lane)


def merge(clinic: Clinic) -> None:
    put(clinic.ehr, an_ehr_patient(**merged_into("ehr-9")))


def look(clinic: Clinic, *, full: bool = False) -> int:
    return clinic.bridge.reconcile("ehr", full=full, actor="test").patients


def charts_of_pulses(clinic: Clinic) -> list[str]:
    return sorted(one["subject"]["reference"] for one in clinic.ehr.all_of("Observation"))


def test_o23_after_a_merge_what_is_new_goes_to_the_survivor_and_nothing_is_rewritten(
    clinic: Clinic,
) -> None:
    merge(clinic)

    clinic.take(visit(2))

    assert charts_of_pulses(clinic) == ["Patient/ehr-1", "Patient/ehr-9"]
    assert clinic.link.how == "merge"
    assert all(len(clinic.ehr.history(one)) == 1 for one in clinic.ehr.references() if "Obs" in one)


@pytest.mark.parametrize("full", [False, True])
def test_o23_a_merge_is_seen_at_the_next_look(clinic: Clinic, *, full: bool) -> None:
    look(clinic, full=True)
    merge(clinic)

    assert look(clinic, full=full) == 0
    assert clinic.link.ehr_id == "ehr-9"
    assert clinic.bridge.drift("ehr") == []


def test_o23_a_merge_into_somebody_else_is_held(clinic: Clinic) -> None:
    put(clinic.ehr, an_ehr_patient("ehr-9", "SYN-9", birthDate="1990-01-01"))
    merge(clinic)

    clinic.take(visit(2))

    assert clinic.waits() == {"merge", "birth-date"}
    assert charts_of_pulses(clinic) == ["Patient/ehr-1"]


CHANGES = {
    "birth-date": (an_ehr_patient(birthDate="1984-06-12"), "changed"),
    "family": (an_ehr_patient(name=[{"family": "Other", "given": ["Testa"]}]), "changed"),
    "out of use": (an_ehr_patient(active=False), "inactive"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_r26_who_changed_in_the_ehr_since_the_link_is_held(clinic: Clinic, case: str) -> None:
    body, why = CHANGES[case]
    put(clinic.ehr, body)

    clinic.take(visit(2))

    assert clinic.waits() == {why}
    assert charts_of_pulses(clinic) == ["Patient/ehr-1"]
    assert clinic.bridge.patients.listed("ehr", every=False)[0]["waiting"] == 1


def test_who_was_removed_there_is_held(clinic: Clinic) -> None:
    clinic.ehr.delete("Patient/ehr-1")

    clinic.take(visit(2))

    assert clinic.waits() == {"gone"}


def test_r26_what_the_clinic_changes_is_compared_before_anything_goes(clinic: Clinic) -> None:
    clinic.take(visit(2))
    born = visit(3, birth_date="1985-06-11")
    born["patient"]["as_of"] = "2026-03-03T08:50:00-05:00"

    clinic.take(born)

    assert clinic.waits() == {"birth-date"}
    assert len(charts_of_pulses(clinic)) == 2


def parted(clinic: Clinic) -> None:
    """Merge, write to the survivor, and part the two again."""
    merge(clinic)
    clinic.take(visit(2))
    clinic.clock.advance(LONG)
    put(clinic.ehr, an_ehr_patient())


def test_safety_10_after_an_unmerge_nothing_goes_and_what_went_to_the_survivor_is_listed(
    clinic: Clinic,
) -> None:
    parted(clinic)

    clinic.take(visit(3))

    assert clinic.waits() == {"unmerged"}
    written = clinic.bridge.patients.shown(about(clinic), values=False, actor="test")["written"]
    of = {one["type"]: one["patient"] for one in written if one["patient"] == "ehr-9"}
    assert set(of) == {"Observation", "Provenance"}


def test_safety_10_what_was_written_to_the_survivor_is_brought_back(clinic: Clinic) -> None:
    parted(clinic)
    clinic.take(visit(3))
    desk = clinic.bridge.patients

    done = desk.link(about(clinic), "ehr-1", despite=(), reason="parted again", actor="test")
    clinic.sync()
    assert (done.state, done.released, done.elsewhere) == ("linked", 1, 2)
    assert charts_of_pulses(clinic) == ["Patient/ehr-1", "Patient/ehr-1", "Patient/ehr-9"]
    assert desk.bring(about(clinic), reason="parted again", actor="test")
    clinic.sync()

    assert set(clinic.states()) == {"delivered"}
    assert clinic.charted() == {"ehr-1"}
    written = desk.shown(about(clinic), values=False, actor="test")["written"]
    assert not [one for one in written if one["elsewhere"]]
    assert desk.bring(about(clinic), reason="again", actor="test") == []


def test_safety_10_a_clinicians_edit_is_not_lost_when_ours_is_brought_back(clinic: Clinic) -> None:
    parted(clinic)
    clinic.take(visit(3))
    (moved,) = [
        one for one in clinic.ehr.all_of("Observation") if "ehr-9" in one["subject"]["reference"]
    ]
    clinic.ehr.edit(f"Observation/{moved['id']}", note=[{"text": "Synthetic note"}])
    desk = clinic.bridge.patients
    desk.link(about(clinic), "ehr-1", despite=(), reason="parted again", actor="test")
    desk.bring(about(clinic), reason="parted again", actor="test")

    clinic.settle()

    assert clinic.ehr.read(f"Observation/{moved['id']}")["note"][0]["text"] == "Synthetic note"
    assert "held" in clinic.states()


def test_an_amendment_after_a_merge_moves_what_it_changes_and_no_more(clinic: Clinic) -> None:
    merge(clinic)

    clinic.take(amended(visit(), rate(81)))

    assert charts_of_pulses(clinic) == ["Patient/ehr-9"]
    assert clinic.charted() == {"ehr-1", "ehr-9"}  # the first Provenance stays


def test_what_is_mistyped_at_the_desk_is_refused(clinic: Clinic) -> None:
    put(clinic.ehr, an_ehr_patient("other", "SYN-5", birthDate="1990-01-01"))
    desk = clinic.bridge.patients

    for wrong in ("nobody", "other", "no id", ""):
        with pytest.raises(PatientError):
            desk.link(about(clinic), wrong, despite=(), reason="synthetic", actor="test")
    with pytest.raises(PatientError):
        desk.link(about(clinic), "ehr-9", despite=(), reason=" ", actor="test")

    assert clinic.link.ehr_id == "ehr-1"


def test_a_decision_is_kept_with_who_and_why_and_can_be_taken_back(clinic: Clinic) -> None:
    desk = clinic.bridge.patients
    undone = desk.unlink(about(clinic), reason="synthetic doubt", actor="anna")
    clinic.take(visit(2))

    assert (undone.state, undone.elsewhere) == ("held", 2)
    assert clinic.waits() == {"by-hand"}
    assert charts_of_pulses(clinic) == ["Patient/ehr-1"]
    desk.link(about(clinic), "ehr-9", despite=(), reason="it is this one", actor="anna")
    clinic.sync()
    assert charts_of_pulses(clinic) == ["Patient/ehr-1", "Patient/ehr-9"]
    told = desk.shown(about(clinic), values=True, actor="anna")["decisions"]
    assert [(one["state"], one["actor"], one["reason"]) for one in told] == [
        ("linked", "worker", ""),
        ("held", "anna", "synthetic doubt"),
        ("linked", "anna", "it is this one"),
    ]
    assert told[-1]["theirs"][0]["birthDate"] == "1984-06-11"
    assert [one.actor for one in clinic.evidence("patient.read")] == ["anna"]
    assert len(clinic.evidence("patient.decided")) == 2


def test_what_is_shown_without_the_flag_names_nobody(clinic: Clinic) -> None:
    desk = clinic.bridge.patients
    said = repr(desk.listed(None, every=True)) + repr(
        desk.shown(about(clinic), values=False, actor="test")
    )

    assert "lvarez" not in said.lower()
    assert "1984" not in said
    assert "SYN-" not in said


def test_who_was_rejected_is_never_linked_by_itself() -> None:
    clinic = Clinic(an_ehr_patient(birthDate="1984-11-06"))
    clinic.take(visit())
    desk = clinic.bridge.patients
    desk.reject(about(clinic), "ehr-1", reason="the twin", actor="anna")
    put(clinic.ehr, an_ehr_patient())

    desk.ask(about(clinic), reason="put right there", actor="anna")
    clinic.sync()
    assert clinic.waits() == {"rejected"}
    desk.link(about(clinic), "ehr-1", despite=(), reason="it is, after all", actor="anna")
    clinic.sync()

    assert clinic.charted() == {"ehr-1"}


def test_a_person_may_say_that_the_ehr_has_none_and_then_ours_is_made() -> None:
    clinic = Clinic()
    clinic.take(visit())
    assert clinic.waits() == {"nobody"}

    clinic.bridge.patients.make(about(clinic), reason="asked the registrar", actor="anna")
    clinic.sync()

    assert set(clinic.states()) == {"delivered"}
    assert clinic.charted() == clinic.patients() != set()
    with pytest.raises(PatientError):
        clinic.bridge.patients.make(about(clinic), reason="twice", actor="anna")


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DROPPED])
@pytest.mark.parametrize("sent", [visit(2), amended(visit(), rate(81))], ids=["new", "amended"])
def test_o23_what_went_unheard_before_a_merge_is_no_clinicians_edit(
    clinic: Clinic, sent: Record, fault: Fault
) -> None:
    sends: list[Request] = []

    def down_from_then_on(one: Request) -> Fault | None:
        if b'"transaction"' in (one.body or b"") and not sends:
            sends.append(one)
            return fault
        return Fault.NOT_SENT if sends else None

    clinic.matching.choose = down_from_then_on
    clinic.take(sent)
    clinic.matching.choose = lambda _one: None
    merge(clinic)
    look(clinic)
    assert clinic.link.ehr_id == "ehr-9"

    clinic.settle()

    assert set(clinic.states()) == {"delivered"}
    assert clinic.bridge.drift("ehr") == []
    pulses = [one["valueQuantity"]["value"] for one in clinic.ehr.all_of("Observation")]
    assert sorted(pulses) == ([72, 72] if sent["version"] == 1 else [81])
    written = clinic.bridge.patients.shown(about(clinic), values=False, actor="test")["written"]
    listed = sorted(f"Patient/{one['patient']}" for one in written if one["type"] == "Observation")
    assert listed == charts_of_pulses(clinic)
