"""One sentence says which resource was refused, which element, from which field and line."""

import pytest

from fhirbridge.deliver.refusal import Made, sentence

WHY = [
    {"target": "Observation.status", "line": "resources/pulse.yaml:15", "sources": ["signed"]},
    {"target": "Observation.code", "line": "resources/pulse.yaml:17", "sources": []},
    {"target": "Observation.effectiveDateTime", "line": "resources/pulse.yaml:20",
     "sources": ["vitals[3].time"]},
    {"target": "Observation.performer[0]", "line": "fragments/taken-by.yaml:8",
     "sources": ["vitals[3].by"]},
    {"target": "Observation.performer[1]", "line": "fragments/taken-by.yaml:9",
     "sources": ["clinic.id"]},
    {"target": "Observation.valueQuantity", "line": "resources/pulse.yaml:41",
     "sources": ["vitals[3].heart_rate"]},
    {"target": "Observation.component[0].valueQuantity", "line": "resources/pulse.yaml:50",
     "sources": ["a[0].v", "b", "c", "d"]},
]  # fmt: skip
ROW = "from vitals[3], resources/pulse.yaml"


PULSE, FRAGMENT = "resources/pulse.yaml", "fragments/taken-by.yaml"
VALUE = f"Observation.valueQuantity, from vitals[3].heart_rate, {PULSE}:41"
PART = f"Observation.component[0].valueQuantity, from a[0].v, b, c, {PULSE}:50"


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("valueQuantity", VALUE),
        ("value", VALUE),
        ("value.code", VALUE),
        ("effective", f"Observation.effectiveDateTime, from vitals[3].time, {PULSE}:20"),
        ("status", f"Observation.status, from signed, {PULSE}:15"),
        ("code.coding[0].system", f"Observation.code, constant, {PULSE}:17"),
        ("performer[1].display", f"Observation.performer[1], from clinic.id, {FRAGMENT}:9"),
        ("performer", f"Observation.performer[0], from vitals[3].by, {FRAGMENT}:8"),
        ("component[0].value", PART),
        ("component[7].value", ROW),
        ("val", ROW),
        ("codes", ROW),
        ("device", ROW),
        ("", ROW),
    ],
)
def test_the_element_of_ours_that_is_nearest_is_named(path: str, origin: str) -> None:
    made = Made(type="Observation", mapping="pulse", why=WHY)

    said = sentence(made, path, "answered 422 (invalid)")

    assert said == (
        f"the EHR will not take Observation of pulse ({origin}): answered 422 (invalid)"
    )


def test_what_was_made_of_nothing_is_named_by_its_mapping() -> None:
    made = Made(type="Observation", mapping="retraction", why=[])

    assert sentence(made, "status", "answered 400") == (
        "the EHR will not take Observation of retraction: answered 400"
    )


def test_of_several_in_one_request_it_is_said_that_it_may_be_another() -> None:
    made = Made(type="Observation", mapping="pulse", why=[])

    assert "pulse, one of 3 that go together: " in sentence(made, "", "answered 400", together=3)
