"""What a reader looks for: the parameters of US Core, within one chart, or refused as too wide."""

import pytest

from fhirbridge.fhir import codec
from tests.web.fhir_reading import Reader, ids, issue, link
from tests.web.service import FHIR_BASE

STRICT = {"Prefer": "return=representation; handling=strict"}
HEART_RATE = "http://loinc.org|8867-4"


@pytest.fixture
def own(chart: Reader) -> str:
    return chart.patient()


@pytest.mark.parametrize(
    ("search", "kind"),
    [
        ("Observation?patient={own}&code=8867-4", "Observation"),
        ("Observation?patient=Patient/{own}&category=vital-signs&date=2026-03-02", "Observation"),
        ("Observation?subject:Patient={own}&category=vital-signs&status=final", "Observation"),
        ("Observation?patient={own}&date=ge2026-03-01&date=lt2026-03-03", "Observation"),
        ("Condition?patient={own}&clinical-status=active", "Condition"),
        ("Condition?patient={own}&category=problem-list-item,encounter-diagnosis", "Condition"),
        ("Encounter?patient={own}&date=2026-03-02&status=finished", "Encounter"),
        ("CarePlan?patient={own}&category=assess-plan", "CarePlan"),
        ("Goal?patient={own}&lifecycle-status=active", "Goal"),
        ("MedicationRequest?patient={own}&intent=order&status=completed", "MedicationRequest"),
        ("MedicationAdministration?patient={own}&effective-time=2026-03-02", "MedicationAdmin"),
        ("DocumentReference?patient={own}&category=clinical-note", "DocumentReference"),
        ("Consent?patient={own}&status=active", "Consent"),
        ("Practitioner?name=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,r,s,t,u,v,w", "Practitioner"),
        ("PractitionerRole?_id={role}", "PractitionerRole"),
        ("Organization?name={organization}", "Organization"),
        ("Patient?_id={own}", "Patient"),
        ("Patient?birthdate={born}&family={family}", "Patient"),
        ("Patient?birthdate={born}&gender={gender}", "Patient"),
    ],
)
def test_what_us_core_searches_by_finds(chart: Reader, own: str, search: str, kind: str) -> None:
    somebody = chart.get(f"Patient/{own}")
    named = {
        "own": own,
        "born": somebody["birthDate"],
        "family": somebody["name"][0]["family"],
        "gender": somebody["gender"],
        "role": ids(chart.get("PractitionerRole"))[0].partition("/")[2],
        "organization": chart.get("Organization")["entry"][0]["resource"]["name"][:6],
    }

    found = ids(chart.get(search.format(**named)))

    assert found
    assert all(one.startswith(kind) for one in found)


@pytest.mark.parametrize(
    "search",
    [
        "Observation?patient={own}&code=no-such-code",
        "Observation?patient={own}&date=2019",
        "Observation?patient=nobody&code=8867-4",
        "Observation?patient=Group/{own}",
        "Observation?patient={own}&patient=nobody",
        "Observation?patient={own}&encounter=nobody",
        "Patient?identifier=http://other|1",
        "Patient?_id=nobody",
        "Patient?birthdate=1900-01-01",
        "Condition?_lastUpdated=gt2100-01-01",
        "Encounter?patient={own}&status=planned",
    ],
)
def test_what_does_not_meet_all_of_it_is_not_found(chart: Reader, own: str, search: str) -> None:
    found = chart.get(search.format(own=own) + "&_total=accurate")

    assert (ids(found), found["total"]) == ([], 0)
    assert "entry" not in found


def test_an_identifier_finds_a_patient_with_and_without_its_system(chart: Reader, own: str) -> None:
    numbers = chart.get(f"Patient/{own}")["identifier"]

    for one in numbers:
        for text in (one["value"], f"{one['system']}|{one['value']}"):
            answer = chart.post("Patient", f"identifier={text}")
            assert ids(codec.decode(answer.data)) == [f"Patient/{own}"]


def test_a_search_by_post_finds_what_one_by_get_finds(chart: Reader, own: str) -> None:
    by_get = chart.get(f"Observation?patient={own}&code={HEART_RATE}")
    by_post = codec.decode(chart.post("Observation", f"patient={own}&code={HEART_RATE}").data)
    by_both = codec.decode(
        chart.post("Observation", f"patient={own}", query_string=f"code={HEART_RATE}").data
    )

    assert by_get["entry"] == by_post["entry"] == by_both["entry"]


def test_what_is_new_since_is_found_over_all_patients(chart: Reader) -> None:
    (entry,) = chart.get("Patient")["entry"]
    at = entry["resource"]["meta"]["lastUpdated"]

    assert ids(chart.get(f"Patient?_lastUpdated=ge{at}")) == ids(chart.get("Patient"))
    assert ids(chart.get(f"Patient?_lastUpdated=gt{at}")) == []
    assert ids(chart.get(f"Patient?_lastUpdated=ge2020&_lastUpdated=lt{at}")) == []


def test_what_matches_name_comes_along(chart: Reader, own: str) -> None:
    found = chart.get(
        "MedicationAdministration?_include=MedicationAdministration:performer"
        f"&_include=MedicationAdministration:request&_revinclude=Provenance:target&patient={own}"
    )

    kinds = {one.partition("/")[0] for one in ids(found, "include")}
    assert kinds >= {"Practitioner", "MedicationRequest", "Provenance"}
    assert len(ids(found, "include")) == len(set(ids(found, "include")))


def test_only_the_count_is_told_where_only_that_is_wanted(chart: Reader, own: str) -> None:
    many = len(ids(chart.get(f"Observation?patient={own}&_count=200")))

    for asked in ("_summary=count", "_count=0"):
        told = chart.get(f"Observation?patient={own}&{asked}")
        assert (told["total"], told.get("entry")) == (many, None)
    assert chart.get("Observation?_summary=count")["total"] == many


def test_an_unknown_parameter_is_left_out_and_told_or_refused(chart: Reader, own: str) -> None:
    asked = f"Observation?patient={own}&code=8867-4&_sort=date&colour=blue"

    lenient, strict = chart.get(asked), chart.ask(asked, headers=STRICT)

    assert link(lenient, "self") == f"{FHIR_BASE}/Observation?patient={own}&code=8867-4"
    assert ids(lenient) == ids(chart.get(f"Observation?patient={own}&code=8867-4"))
    assert issue(strict) == (400, "not-supported")


@pytest.mark.parametrize(
    ("search", "code"),
    [
        # Left out, each would show what was not asked for.
        ("Observation?patient.identifier=1", "not-supported"),
        ("Observation?Patient=1", "not-supported"),
        ("Observation?_has:Provenance:target:agent=1", "not-supported"),
        ("Patient?phone=555", "not-supported"),
        ("Patient?family=a", "too-costly"),
        ("Patient?birthdate=gt1990-01-01", "too-costly"),
        ("Patient?birthdate=1990", "too-costly"),
        ("Patient?identifier=urn:x|", "too-costly"),
        ("Observation?code=8867-4", "too-costly"),
        ("Provenance?target=one", "too-costly"),
        ("Observation?patient=a,b", "invalid"),
        ("Observation?patient:Group=a", "not-supported"),
        ("Observation?patient=a&code:text=pulse", "not-supported"),
        ("Observation?patient=a&code:missing=true", "not-supported"),
        ("Observation?patient=a&date=yesterday", "invalid"),
        ("Observation?patient=a&code=", "invalid"),
        ("Observation?_id=", "invalid"),
        ("Observation?_lastUpdated=ne2026", "invalid"),
        ("Observation?_count=-1", "invalid"),
        ("Observation?_count=many", "invalid"),
        ("Observation?_total=some", "invalid"),
        ("Observation?_summary=text", "not-supported"),
        ("Observation?_include=Observation:subject", "not-supported"),
        ("Observation?_include=Encounter:location", "not-supported"),
        ("Observation?_include:iterate=Observation:encounter", "not-supported"),
        ("Observation?_revinclude=Observation:has-member", "not-supported"),
        ("Observation?patient=%00", "invalid"),
        ("Observation?patient=%ff", "invalid"),
        ("Observation?_id=" + "x" * 3000, "invalid"),
        ("Observation?" + "&".join(["patient=a"] * 41), "invalid"),
        ("Observation?" + "&".join(["patient=a"] * 400), "invalid"),
        ("Observation?_id=" + ",".join(f"id-{n}" for n in range(150)), "invalid"),
    ],
)
def test_what_cannot_be_answered_rightly_is_refused(chart: Reader, search: str, code: str) -> None:
    assert issue(chart.ask(search)) == (400, code)


@pytest.mark.parametrize(
    "value", ["' OR 1=1 --", "%25", "_", "a\\", "\\|", "a|b|c", "*", "${jndi:x}", "x\ny"]
)
def test_s23_a_value_is_only_ever_compared(chart: Reader, own: str, value: str) -> None:
    form = {"patient": own, "code": value}
    answer = chart.client.post("/fhir/Observation/_search", data=form)

    assert (answer.status_code, ids(codec.decode(answer.data))) == (200, [])


@pytest.mark.parametrize(
    "accept", ["application/fhir+json", "application/json", "*/*", "text/json"]
)
def test_json_is_spoken_however_it_is_called(chart: Reader, accept: str) -> None:
    assert chart.ask("Patient", headers={"Accept": accept}).status_code == 200
    assert chart.ask("Patient?_format=json", headers={"Accept": "text/html"}).status_code == 200
