"""What R4 forbids and a mapping's text decides is refused at load; what may be right is not."""

from pathlib import Path

import pytest

from tests.translate.small_set import FILES, faults

OTHER = "resources/other.yaml"
HEAD = """\
mapping: other
version: 1.0.0
target: {target}
scope: visit
key: [session_id]
owner: nobody
reviewed: not signed off
resource:
{text}"""
WHO = "  subject: = ref(Patient, patient.id)\n"
DRUG = f"""\
  status: completed
  medicationCodeableConcept: {{text: x}}
{WHO}  effectiveDateTime: = visit.start
"""
SEEN = "  status: final\n"
PLAN = f"  status: active\n  intent: plan\n{WHO}"
GOAL = f"  lifecycleStatus: active\n  description: {{text: x}}\n{WHO}"
AGREED = "  status: active\n  scope: {text: x}\n  category: [{text: x}]\n"
ILL = WHO
PERSON = "  gender: unknown\n"
ONE = "\"= quantity(1, 'kg')\""
TEXT = "code: {text: a}"


def found_in(folder: Path, target: str, text: str) -> list[str]:
    files = dict(FILES) | {OTHER: HEAD.format(target=target, text=text)}
    files["codes.yaml"] += (
        "  clinical:\n    url: http://terminology.hl7.org/CodeSystem/condition-clinical\n"
        "    codes: {resolved: {source: test}}\n"
        "  certainty:\n    url: http://terminology.hl7.org/CodeSystem/condition-ver-status\n"
        "    codes: {entered-in-error: {source: test}}\n"
        "  kind:\n    url: http://terminology.hl7.org/CodeSystem/condition-category\n"
        "    codes: {problem-list-item: {source: test}}\n"
    )
    return faults(folder, files)


@pytest.mark.parametrize(
    ("target", "text", "found"),
    [
        ("MedicationAdministration", f"{DRUG}  dosage: {{text: x}}\n",
         "MedicationAdministration.dosage breaks mad-1: a dosage has a dose or a rate"),
        ("Observation", f"{SEEN}  {TEXT}\n  referenceRange: [{{type: {{text: x}}}}]\n",
         "Observation.referenceRange breaks obs-3: a range has a low, a high or a text"),
        ("Observation", f"{SEEN}  {TEXT}\n  valueString: x\n  dataAbsentReason: {{text: x}}\n",
         "Observation breaks obs-6: dataAbsentReason stands only where there is no value"),
        ("Observation", (f"{SEEN}  code: loinc#8302-2\n  valueString: = visit.room\n"
         "  component: [{code: loinc#8302-2, valueString: x}]\n"),
         "Observation breaks obs-7: no value where a component has the same code"),
        ("CarePlan", (f"{PLAN}  activity:\n"
         "    - {reference: {display: x}, detail: {status: unknown}}\n"),
         "CarePlan.activity breaks cpl-3: a reference or a detail, not both"),
        ("Goal", f"{GOAL}  target: [{{detailString: = visit.room}}]\n",
         "Goal.target breaks gol-1: a detail needs its measure"),
        ("Consent", AGREED, "Consent breaks ppc-1: a policy or a policyRule must be there"),
        ("Condition", f"{ILL}  category: [kind#problem-list-item]\n",
         "Condition breaks con-3: a problem of the list has a clinicalStatus"),
        ("Condition", f"{ILL}  abatementDateTime: = visit.end\n",
         "Condition breaks con-4: what abated is inactive, resolved or in remission"),
        ("Condition", (f"{ILL}  verificationStatus: certainty#entered-in-error\n"
         "  clinicalStatus: clinical#resolved\n"),
         "Condition breaks con-5: what is entered in error has no clinicalStatus"),
        ("Patient", f"{PERSON}  contact: [{{gender: unknown}}]\n",
         "Patient.contact breaks pat-1: a contact has a name, telecom, address or organization"),
        ("Patient", f"{PERSON}  extension: [{{url: http://a.org/e}}]\n",
         "Extension breaks ext-1: an extension has a value or extensions"),
        ("Patient", (f"{PERSON}  extension: [{{url: http://a.org/e, valueString: x,"
         " extension: [{url: b, valueString: x}]}]\n"),
         "Extension breaks ext-1: an extension has a value or extensions, not both"),
        ("Patient", f"{PERSON}  photo: [{{data: aGk=}}]\n",
         "Attachment breaks att-1: data needs its contentType"),
        ("Observation", f"{SEEN}  {TEXT}\n  valueQuantity: {{value: 1, code: loinc#8302-2}}\n",
         "Quantity breaks qty-3: a code needs its system"),
        ("Observation", f"{SEEN}  {TEXT}\n  effectiveTiming: {{repeat: {{period: 1}}}}\n",
         "Timing.repeat breaks tim-2: a period needs its unit"),
        ("Observation", (f"{SEEN}  {TEXT}\n  contained:\n"
         "    - {resourceType: Patient, id: p, gender: unknown}\n"),
         "breaks dom-3: nothing refers to the contained resource 'p'"),
        ("Observation", f"{SEEN}  {TEXT}\n  device: {{reference: '#p'}}\n",
         "breaks ref-1: no contained resource has the id 'p'"),
    ],
)  # fmt: skip
def test_a_broken_invariant_is_refused_with_its_key(
    tmp_path: Path, target: str, text: str, found: str
) -> None:
    said = found_in(tmp_path, target, text)

    own = [one for one in said if one.startswith(f"E222 mappings/{OTHER}:")]
    assert len(own) == 1
    assert own[0].endswith(f" {found}")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("MedicationAdministration", f"{DRUG}  dosage: {{rateQuantity: {ONE}}}\n"),
        ("MedicationAdministration", f"{DRUG}  dosage: {{dose: {ONE}}}\n"),
        ("Observation", (f"{SEEN}  {TEXT}\n  valueString: = visit.room\n"
         "  dataAbsentReason: {text: x, $if: visit.room.empty()}\n")),
        ("Observation", (f"{SEEN}  code: loinc#8302-2\n  valueString: = visit.room\n"
         "  component: [{code: loinc#8302-2, $if: visit.room.empty(), valueString: x}]\n")),
        ("CarePlan", (f"{PLAN}  activity:\n    - reference: {{display: = visit.room}}\n"
         "      detail: {status: unknown, $if: visit.room.empty()}\n")),
        ("Goal", f"{GOAL}  target: [{{measure: {{text: x}}, detailString: = visit.room}}]\n"),
        ("Consent", f"{AGREED}  policyRule: {{text: x}}\n"),
        ("Condition", (f"{ILL}  abatementDateTime: = visit.end\n"
         "  clinicalStatus: clinical#resolved\n")),
        ("Practitioner", f"{PERSON}  extension: [{{url: http://a.org/e, valueString: x}}]\n"),
        ("Observation", (f"{SEEN}  {TEXT}\n  device: {{reference: '#p'}}\n  contained:\n"
         "    - {resourceType: Patient, id: p, gender: unknown}\n")),
    ],
)  # fmt: skip
def test_what_may_be_right_is_not_refused(tmp_path: Path, target: str, text: str) -> None:
    assert found_in(tmp_path, target, text) == []


CIRCLE = """\
mapping: {own}
version: 1.0.0
target: Observation
scope: {scope}
key: [session_id]
owner: nobody
reviewed: not signed off
resource:
  status: final
  code: {{text: x}}
  derivedFrom:
    - = ref(Observation, '{other}', session_id)
"""


def in_a_circle(scopes: tuple[str, str, str]) -> dict[str, str]:
    ways = zip(("one", "two", "three"), ("two", "three", "one"), scopes, strict=True)
    return dict(FILES) | {
        f"resources/{own}.yaml": CIRCLE.format(own=own, other=other, scope=scope)
        for own, other, scope in ways
    }


@pytest.mark.parametrize(
    "scopes",
    [("series", "series", "series"), ("series", "visit", "visit"), ("site", "visit", "patient")],
)
def test_references_that_go_in_a_circle_are_refused_with_the_circle_spelt(
    tmp_path: Path, scopes: tuple[str, str, str]
) -> None:
    found = faults(tmp_path, in_a_circle(scopes))

    assert len(found) == 1
    assert found[0].startswith("E221 mappings/resources/")
    assert found[0].count(" -> ") == 3
    assert "references go in a circle: Observation 'one' -> Observation 'two'" in found[0]


def test_what_one_visit_makes_may_refer_to_each_other(tmp_path: Path) -> None:
    assert faults(tmp_path, in_a_circle(("visit", "visit", "visit"))) == []


def test_one_row_may_refer_to_another_of_its_kind(tmp_path: Path) -> None:
    files = dict(FILES) | {
        "resources/one.yaml": CIRCLE.format(own="one", other="one", scope="visit")
    }

    assert faults(tmp_path, files) == []
