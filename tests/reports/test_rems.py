"""R67: esketamine monitoring in the fields of the form; a no only where the record says no."""

from datetime import date, timedelta
from typing import Any

import pytest

from fhirbridge.reports import rems, rems_fields
from fhirbridge.reports.catalog import Asked
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.submissions import UnknownRecordError
from fhirbridge.reports.table import Period
from tests.factories import World, amended
from tests.mapping_sets import few_mappings
from tests.records.visits import INFUSION, NASAL, a_visit
from tests.reports import treatments
from tests.reports.stocks import rows

MARCH = Period(since=date(2026, 3, 1), until=date(2026, 3, 31))


def fields(**parts: Any) -> dict[str, Any]:
    document = a_visit(NASAL, **parts)
    (dose,) = rems_fields.treatments(document)
    return rems_fields.fields(document, dose)


def an_event(**parts: Any) -> dict[str, Any]:
    return {"id": "ae-1", "event": {"key": "nausea"}, **parts}


def test_r67_no_cell_of_synthetic_treatments_is_wrong_and_the_overdue_are_exact() -> None:
    cells, late = treatments.prove(67, 20)

    assert cells == 20 * (6 + 22 + 4)
    assert late


def test_r67_the_sample_says_what_it_says_and_no_more() -> None:
    found = fields()

    assert {name: cell for name, cell in found.items() if cell is not None} == {
        "dose": "84",
        "lots": "SYN-LOT-E12",
        "bp_before": "126/80",
        "bp_40": "146/90",
        "bp_after": "128/80",
        "serious_events": "none written down",
    }
    assert "Sedation" in rems_fields.missing(found)


@pytest.mark.parametrize(
    ("medication", "said"),
    [
        ({"drug": {"key": "lorazepam"}}, "yes"),
        ({"drug": {"text": "something"}, "classes": ["benzodiazepine"]}, "yes"),
        ({"drug": {"text": "something"}, "classes": []}, "no"),
        ({"drug": {"text": "something"}}, None),
        ({"drug": {"key": "lorazepam"}, "status": "stopped", "classes": []}, "no"),
    ],
)
def test_a_medication_of_no_known_class_is_no_no(medication: Any, said: str | None) -> None:
    row = {"id": "m-1", "status": "active", **medication}

    assert fields(medications_current=[row])["benzodiazepines"] == said


@pytest.mark.parametrize(
    ("parts", "sedation", "dissociation"),
    [
        ({}, None, None),
        ({"adverse_events": [an_event(event={"key": "drowsiness"})]}, "yes", None),
        ({"adverse_events": [an_event(parts=[{"id": "p", "event": {"key": "dissociation"}}])]},
         None, "yes"),
        ({"sedation": [{"id": "s", "instrument": {"key": "rass"}, "value": 1, "time": "x"}]},
         "no", None),
        ({"sedation": [{"id": "s", "instrument": {"text": "own"}, "text": "deep", "time": "x"}]},
         None, None),
        ({"dissociation": [{"id": "d", "instrument": {"key": "cadss"}, "total": 0}]}, None, "no"),
        ({"dissociation": [{"id": "d", "instrument": {"key": "cadss"}, "total": 9}]}, None, None),
    ],
)  # fmt: skip
def test_an_effect_is_denied_only_by_who_looked_for_it(
    parts: Any, sedation: str | None, dissociation: str | None
) -> None:
    found = fields(**parts)

    assert (found["sedation"], found["dissociation"]) == (sedation, dissociation)


def test_a_serious_event_is_named_beside_one_that_nobody_judged() -> None:
    judged = an_event(seriousness="hospital-stay")

    found = fields(adverse_events=[an_event(), judged])

    assert found["serious_events"] == "nausea (hospital-stay)"
    assert fields(adverse_events=[an_event()])["serious_events"] is None


def test_an_infusion_is_no_treatment_of_the_form_and_what_does_not_count_is_listed() -> None:
    infusion = Kept(id="r-1", version=1, document=a_visit(INFUSION))
    gone = Kept(id="r-2", version=1, document=a_visit(NASAL), left_out="taken back from the chart")

    report = rems.report([infusion, gone], {}, MARCH, today=date(2026, 4, 1))

    assert rows(report, "treatments") == []
    assert rows(report, "not-counted") == [{"record": "r-2", "why": "taken back from the chart"}]


def test_r67_a_form_is_overdue_after_seven_days_until_somebody_says_that_it_went() -> None:
    world = World(mapped=few_mappings)
    first = world.accept(a_visit(NASAL))  # of 10 March; the clock is at 4 May

    def standing() -> list[tuple[str, str | None]]:
        report = world.bridge.report("rems", Asked(period=MARCH), actor="test")
        return [(row["standing"], row["submitted_on"]) for row in rows(report, "treatments")]

    assert standing() == [("OVERDUE", None)]
    world.bridge.note_submitted(first.id, date(2026, 3, 12), actor="test")
    world.accept(amended(a_visit(NASAL)))
    assert standing() == [("submitted", "2026-03-12")]
    world.clock.advance(timedelta(minutes=1))
    world.bridge.note_submitted(first.id, None, actor="test")
    assert standing() == [("OVERDUE", None)]
    with pytest.raises(UnknownRecordError):
        world.bridge.note_submitted("nobody", None, actor="test")


@pytest.mark.parametrize(("today", "standing"), [(17, "due"), (18, "OVERDUE")])
def test_r67_the_seventh_day_is_not_too_late(today: int, standing: str) -> None:
    kept = Kept(id="r-1", version=1, session="s", document=a_visit(NASAL))

    report = rems.report([kept], {}, MARCH, today=date(2026, 3, today))

    assert [row["standing"] for row in rows(report, "treatments")] == [standing]
    assert [row["submit_by"] for row in rows(report, "treatments")] == ["2026-03-17"]
