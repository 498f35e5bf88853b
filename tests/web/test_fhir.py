"""Readers pull over HTTP: read, history, search, pages, charts; refusals are OperationOutcomes."""

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.facade.parameters import TYPES
from fhirbridge.fhir import codec
from tests.web.fhir_reading import Reader, ids, issue, link, valid
from tests.web.service import FHIR_BASE, Service

CANARY = "Zebrafink"


def test_a_resource_is_read_with_its_number_and_time(chart: Reader) -> None:
    own = chart.patient()

    answer = chart.ask(f"Patient/{own}")

    meta = codec.decode(answer.data)["meta"]
    assert answer.content_type == "application/fhir+json; charset=utf-8"
    assert answer.headers["ETag"] == f'W/"{meta["versionId"]}"'
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert meta["lastUpdated"].endswith("Z")
    valid(codec.decode(answer.data))


@pytest.mark.parametrize("header", ["If-None-Match", "If-Modified-Since"])
def test_who_has_the_version_already_gets_nothing_twice(chart: Reader, header: str) -> None:
    path = f"Patient/{chart.patient()}"
    first = chart.ask(path)
    known = {"If-None-Match": first.headers["ETag"]}
    known["If-Modified-Since"] = first.headers["Last-Modified"]

    again = chart.ask(path, headers={header: known[header]})
    other = chart.ask(path, headers={"If-None-Match": 'W/"0"'})

    assert (again.status_code, again.data) == (304, b"")
    assert other.status_code == 200


def test_head_says_what_a_read_would_and_shows_nothing(chart: Reader) -> None:
    answer = chart.client.head(f"/fhir/Patient/{chart.patient()}")

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["ETag"]


def test_a_link_says_nothing_of_what_was_looked_for_and_cannot_be_made_up(chart: Reader) -> None:
    own = chart.patient()
    found = chart.post("Observation", f"patient={own}&date=ge2026-03-01&_count=2")
    following = link(codec.decode(found.data), "next")

    begun, sealed = following.split("_page=")
    other = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]

    assert begun == f"{FHIR_BASE}/Observation?"
    assert own not in following
    assert "2026" not in following
    assert len(ids(chart.get(following))) == 2
    for wrong in (other, "A", "", "x" * 100_001, "\u00e4"):
        assert issue(chart.ask(f"{begun}_page={wrong}")) == (400, "invalid")
    assert issue(chart.ask(f"Condition?_page={sealed}")) == (400, "invalid")


def test_a_chart_is_shown_whole_with_the_staff_and_places_that_it_names(chart: Reader) -> None:
    own = chart.patient()
    kinds = ("Patient", "Observation", "Encounter", "MedicationAdministration", "Provenance")

    pages = chart.pages(f"Patient/{own}/$everything?_count=7")

    matches = [one for page in pages for one in ids(page)]
    beside = {one for page in pages for one in ids(page, "include")}
    assert len(matches) == len(set(matches))
    assert {one.partition("/")[0] for one in matches} >= set(kinds)
    assert {one.partition("/")[0] for one in beside} >= {"Practitioner", "Organization"}
    for page in pages:
        valid(page)


@pytest.mark.parametrize(
    ("narrowed", "kinds"),
    [
        ("_type=Condition,Goal", {"Condition", "Goal"}),
        ("_since=2100-01-01T00:00:00Z", set()),
        ("_type=Encounter&start=2026-03-02&end=2026-03-02", {"Encounter"}),
        ("_type=Encounter&start=2026-03-03", set()),
        ("_type=Encounter&end=2026-03-01", set()),
    ],
)
def test_a_chart_is_narrowed(chart: Reader, narrowed: str, kinds: set[str]) -> None:
    found = chart.get(f"Patient/{chart.patient()}/$everything?{narrowed}")

    assert {one.partition("/")[0] for one in ids(found)} == kinds


# --- who may --------------------------------------------------------------------------------


def test_s15_refusals_are_operation_outcomes_that_repeat_nothing(chart: Reader) -> None:
    client = chart.client
    refused = {
        "no token": (chart.service.client().get("/fhir/Patient"), (401, "login")),
        "another role": (
            chart.service.client(Role.ADMIN).get("/fhir/Patient"),
            (403, "forbidden"),
        ),
        "no type": (client.get(f"/fhir/{CANARY}/1"), (404, "not-found")),
        "no such type": (client.get(f"/fhir/{CANARY}?patient=1"), (404, "not-supported")),
        "no id": (client.get(f"/fhir/Patient/{CANARY}!"), (404, "not-found")),
        "no version": (client.get(f"/fhir/Patient/1/_history/{CANARY}"), (404, "not-found")),
        "no address": (client.get(f"/fhir/Patient/1/{CANARY}/2/3"), (404, "not-found")),
        "a value": (client.get(f"/fhir/Patient?birthdate={CANARY}"), (400, "invalid")),
        "a name": (client.get(f"/fhir/Patient?x.{CANARY}=1"), (400, "not-supported")),
        "writing": (client.put(f"/fhir/Patient/{CANARY}", data=b"{}"), (405, "not-supported")),
        "XML": (client.get("/fhir/Patient?_format=xml"), (406, "not-supported")),
        "XML by header": (
            client.get("/fhir/Patient", headers={"Accept": "application/fhir+xml"}),
            (406, "not-supported"),
        ),
        "no form": (client.post("/fhir/Patient/_search", json={}), (415, "not-supported")),
    }

    assert {name: issue(answer) for name, (answer, _) in refused.items()} == {
        name: expected for name, (_, expected) in refused.items()
    }
    assert not [name for name, (answer, _) in refused.items() if CANARY.encode() in answer.data]
    valid(codec.decode(refused["a value"][0].data))


# --- what it says of itself -----------------------------------------------------------------


def test_the_metadata_name_what_search_goes_by(service: Service) -> None:
    said = codec.decode(service.client().get("/fhir/metadata").data)
    (rest,) = said["rest"]

    shown = {
        one["type"]: {p["name"]: p["type"] for p in one["searchParam"]} for one in rest["resource"]
    }
    of_all = {"_id": "token", "_lastUpdated": "date"}
    assert shown == {
        kind: {**of_all, **{name: one.kind.value for name, one in known.parameters.items()}}
        for kind, known in TYPES.items()
    }
    valid(said)


def test_s31_the_metadata_tell_a_stranger_no_version_and_no_clinic(service: Service) -> None:
    answer = service.client().get("/fhir/metadata")

    assert answer.status_code == 200
    assert b"software" not in answer.data
    assert b"clinic.invalid" not in answer.data
