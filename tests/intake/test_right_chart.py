"""safety.md 13: what was taken back goes to the right patient, or goes again when it is lifted."""

import pytest

from fhirbridge.intake.incident import IncidentError
from fhirbridge.records.history import PatientChangedError
from tests.factories import World, a_pulse, a_short_visit, amended, rate, retracted
from tests.intake.charts import for_patient, lift, pulse_of, subjects, take_back
from tests.mapping_sets import strict_mappings


def test_safety_13_a_version_for_the_right_patient_goes_there(world: World) -> None:
    record_ = a_short_visit()
    receipt = world.take(record_)
    pulse = pulse_of(world, receipt)
    take_back(world, receipt.id)

    world.take(amended(record_, for_patient("pt-right")))
    world.settle()

    wrong, right = subjects(world, pulse)[0][1], subjects(world, pulse)[-1][1]
    assert subjects(world, pulse) == [
        ("final", wrong),
        ("entered-in-error", wrong),
        ("final", right),
    ]
    assert wrong != right
    assert world.rows("held", "parked", "pending") == []
    assert len(world.ehr.all_of("Patient")) == 2


def test_safety_13_the_right_chart_is_amended_and_taken_back_as_any_other(world: World) -> None:
    first = a_short_visit(vitals=[a_pulse("v-1", 72), a_pulse("v-2", 75, hour=10)])
    receipt = world.take(first)
    pulses = world.of_mapping(receipt, "vital-heart-rate")
    take_back(world, receipt.id)
    moved = amended(first, for_patient("pt-right"))
    world.take(moved)

    world.take(amended(moved, lambda new: new.update(vitals=new["vitals"][:1])))
    kept, gone = (subjects(world, one)[-1] for one in pulses)
    assert (kept[0], gone[0]) == ("final", "entered-in-error")
    assert kept[1] == gone[1] != subjects(world, pulses[0])[0][1]

    world.take(retracted(amended(amended(moved), rate(72))))
    assert subjects(world, pulses[0])[-1] == ("entered-in-error", kept[1])


def test_safety_13_the_right_chart_waits_until_the_wrong_one_is_settled(world: World) -> None:
    record_ = a_short_visit()
    receipt = world.take(record_)
    pulse = pulse_of(world, receipt)
    world.ehr.edit(pulse, note=[{"text": "Synthetic note"}])
    take_back(world, receipt.id)

    world.take(amended(record_, for_patient("pt-right")))
    world.settle()

    (held,) = world.rows("held")
    (waiting,) = world.rows("pending")
    assert held.reason.startswith("edited: ")
    assert waiting.reason == f"blocked-by: {held.id}"
    assert world.ehr.read(pulse)["note"][0]["text"] == "Synthetic note"


def test_safety_13_another_patient_is_refused_until_the_old_chart_was_taken_back(
    world: World,
) -> None:
    record_ = a_short_visit()
    receipt = world.take(record_)
    moved = amended(record_, for_patient("pt-right"))
    with pytest.raises(PatientChangedError):
        world.accept(moved)

    take_back(world, receipt.id)
    assert world.accept(moved).state == "current"

    with pytest.raises(PatientChangedError):
        world.accept(amended(moved, for_patient("pt-1")))


def test_safety_13_lifting_lets_it_go_again(world: World) -> None:
    record_ = a_short_visit()
    receipt = world.take(record_)
    pulse = pulse_of(world, receipt)
    take_back(world, receipt.id)
    world.sync()
    world.take(amended(record_, rate(90)))

    done = lift(world, receipt.id)
    world.settle()

    assert len(done.owed) == 1
    assert world.ehr.read(pulse)["status"] == "final"
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == 90
    assert world.rows("held", "parked", "pending") == []
    assert world.differing() == []


def test_safety_13_lifted_before_anything_went_nothing_is_taken_back(world: World) -> None:
    receipt = world.take(a_short_visit())
    pulse = pulse_of(world, receipt)
    take_back(world, receipt.id)

    lift(world, receipt.id)
    world.settle()

    assert len(world.ehr.history(pulse)) == 1
    assert world.differing() == []


def test_a_retraction_that_names_nobody_is_of_the_chart_where_the_session_is_now(
    world: World,
) -> None:
    record_ = a_short_visit()
    receipt = world.take(record_)
    take_back(world, receipt.id)
    world.use_mappings(strict_mappings)
    moved = amended(amended(record_, for_patient("pt-right")), rate(201))
    assert world.take(moved).translation == "held"
    kept = ("schema", "session_id", "recorded_at", "as_of", "labels")
    nobody = {name: moved[name] for name in kept}

    world.take({**nobody, "version": 4, "status": "entered-in-error"})

    assert world.rows("held", "parked", "pending") == []
    assert subjects(world, pulse_of(world, receipt))[-1][0] == "entered-in-error"


def test_a_chart_whose_session_went_elsewhere_is_not_lifted(world: World) -> None:
    record_ = a_short_visit()
    receipt = world.take(record_)
    take_back(world, receipt.id)
    world.take(amended(record_, for_patient("pt-right")))

    with pytest.raises(IncidentError, match="another patient"):
        lift(world, receipt.id)


def test_what_is_taken_back_and_lifted_is_evidence_with_its_sealed_reason(world: World) -> None:
    receipt = world.take(a_short_visit())
    take_back(world, receipt.id)
    lift(world, receipt.id)

    for action, words in (("record.retracted", b"wrong chart"), ("record.lifted", b"it was right")):
        (row,) = world.evidence(action)
        assert (row.record_id, row.actor) == (receipt.id, "test")
        assert "chart" not in row.detail
        with world.store.read() as tx:
            assert world.bridge._audit.payload(tx, row.id) == words
