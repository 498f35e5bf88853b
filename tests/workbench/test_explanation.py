"""What is explained: each element with its line and fields, what is empty, what nobody read."""

from dataclasses import asdict
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.checked import CheckedRecord
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.values import Translation
from fhirbridge.workbench import cases, explanation
from fhirbridge.workbench.explanation import Explained
from fhirbridge.workbench.rehearsal import rehearse
from tests.workbench.mappings_copy import MAPPINGS

Whole = tuple[CheckedRecord, Translation]


@pytest.fixture(scope="module")
def whole() -> Whole:
    (case,) = cases.find(MAPPINGS, "full-record")
    checked = schema.load(case.record())
    made = mapping_set.compile_set(mapping_set.read(MAPPINGS), source_schema())
    return checked, rehearse(checked.document, made)


def explained(whole: Whole, resource: str = "") -> tuple[Explained, ...]:
    return explanation.explain(whole[1], resource=resource)


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [codec.encode(value).decode().strip('"')]


def test_each_element_has_its_line_its_fields_and_its_rule(whole: Whole) -> None:
    lines = list(explanation.lines(explained(whole, "MedicationAdministration")))

    (found,) = (line for line in lines if "administrations[0].route.key  translate(route" in line)
    target, line, arrow, source, *rule = found.split()
    assert target == "MedicationAdministration.dosage.route"
    assert line.startswith("resources/medication-administration.yaml:")
    assert (arrow, source) == ("<-", "administrations[0].route.key")
    assert rule[0].startswith("translate(route")


def test_the_columns_of_one_resource_stand_under_each_other(whole: Whole) -> None:
    one = explained(whole, "Patient")[0]

    rows = [line for line in explanation.lines([one]) if ".yaml:" in line]

    assert len({row.index("resources/") for row in rows}) == 1
    assert len({row.index("<-") for row in rows if "<-" in row}) == 1


def test_all_or_a_type_or_one_resource_is_explained(whole: Whole) -> None:
    goals = explained(whole, "Goal")

    assert len(explained(whole)) == len(whole[1].resources)
    assert {one.resource.partition("/")[0] for one in goals} == {"Goal"}
    assert explained(whole, goals[1].resource) == (goals[1],)
    assert explained(whole, "Goal/nobody") == ()


def test_what_came_out_empty_stands_with_the_row_it_is_of(whole: Whole) -> None:
    by_row = {one.row: one for one in explained(whole, "MedicationAdministration")}

    first = by_row["administrations/a-1"].empty
    second = by_row["administrations/a-2"].empty

    assert any("administrations[0]." in path for why in first for path in why.sources)
    assert not any("administrations[1]." in path for why in first for path in why.sources)
    assert not any("administrations[0]." in path for why in second for path in why.sources)


def test_a_field_that_is_there_and_gives_nothing_is_not_called_absent(whole: Whole) -> None:
    one = explained(whole, "MedicationAdministration")[0]

    absent = {path for why in one.empty if why.rule for path in why.sources}
    there = {path for why in one.empty if not why.rule for path in why.sources}

    assert "administrations[0].note" in absent
    assert "administrations[0].status" in there


def test_no_value_of_the_record_is_in_an_explanation(whole: Whole) -> None:
    text = "\n".join(explanation.lines(explained(whole), whole[1].unmapped))
    text += codec.encode(list(explanation.events(explained(whole), whole[1].unmapped))).decode()
    patient = whole[0].document["patient"]

    for value in [leaf for leaf in leaves(patient) if len(leaf) > 5 and leaf != "female"]:
        assert value not in text


def test_what_nothing_read_is_one_line_and_one_object_each(whole: Whole) -> None:
    *_, last = explanation.lines(explained(whole, "Patient"), ("visit.room", "vitals[0].cuff"))
    events = list(explanation.events((), ("visit.room", "vitals[0].cuff")))

    assert last == "UNMAPPED  visit.room, vitals[0].cuff"
    assert [event["sources"] for event in events] == [["visit.room"], ["vitals[0].cuff"]]


def test_an_event_for_a_program_has_one_form(whole: Whole) -> None:
    events = list(explanation.events(explained(whole, "Patient")))

    assert {event["state"] for event in events} == {"made", "empty"}
    for event in events:
        keys = ["state", "resource", "mapping", "row", "target", "line", "sources", "rule"]
        assert list(event) == keys


def test_a_stored_why_is_shown_like_a_fresh_one(whole: Whole) -> None:
    one = explained(whole, "Goal")[0]
    stored = codec.decode(codec.encode([asdict(why) for why in one.made]))

    again = explanation.whys_of(stored)

    assert again == one.made
