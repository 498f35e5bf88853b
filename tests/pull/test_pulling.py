"""What an EHR knows of a linked patient is asked for, kept, and told of when it changes."""

from tests.pull.hospital import Hospital, a_condition, a_plan, a_prescription, an_allergy


def test_what_the_ehr_knows_is_read_and_shown() -> None:
    hospital = Hospital(a_condition(), an_allergy(), a_prescription(), a_plan())

    done = hospital.pull()

    assert done.is_whole
    assert hospital.ids() == [
        "Patient/ehr-1",
        "Condition/con-1",
        "AllergyIntolerance/all-1",
        "MedicationRequest/med-1",
        "CarePlan/plan-1",
    ]
    assert hospital.heard() == [
        ("condition.changed", "Condition"),
        ("allergy.changed", "AllergyIntolerance"),
        ("medication.changed", "MedicationRequest"),
        ("plan.changed", "CarePlan"),
    ]
