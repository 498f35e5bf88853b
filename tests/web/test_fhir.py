"""Readers pull over HTTP: read, history, search, pages, charts; refusals are OperationOutcomes."""

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhirbridge.access.tokens import Role
from fhirbridge.facade import search
from fhirbridge.facade.parameters import TYPES
from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import ANY, Stopped
from tests.factories import a_short_visit, a_visit, amended, rate
from tests.web.fhir_reading import Reader, ids, issue, link
from tests.web.service import FHIR_BASE, Service

CANARY = "Zebrafink"


@pytest.fixture
def reader(service: Service) -> Reader:
    return Reader(service)


@pytest.fixture
def chart(reader: Reader) -> Reader:
    """A reader of a facade with one whole visit."""
    reader.take(a_visit(1))
    return reader


def valid(resource: dict[str, Any]) -> None:
    """Hold a resource against R4B's classes. Raises."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


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


def test_each_version_stays_readable_and_the_history_tells_them_all(reader: Reader) -> None:
    visit = a_short_visit()
    reader.take(visit)
    (pulse,) = ids(reader.get("Observation"))
    reader.take(amended(visit, rate(99)))

    told = reader.get(f"{pulse}/_history")
    versions = [one["resource"]["meta"]["versionId"] for one in told["entry"]]
    then = reader.get(f"{pulse}/_history/{versions[1]}")

    assert told["type"] == "history"
    assert [one["response"]["status"] for one in told["entry"]] == ["200", "201"]
    assert reader.get(pulse)["valueQuantity"]["value"] == 99
    assert then["valueQuantity"]["value"] == 72
    assert ids(reader.get("Observation/_history"), "match") == [pulse, pulse]
    valid(told)


def test_pages_lead_through_everything_once_and_are_as_all_stood_at_the_first(
    chart: Reader,
) -> None:
    whole = chart.get("Observation?_count=200")
    first = chart.get("Observation?_count=3&_total=accurate")
    chart.take(amended(a_visit(1), rate(99)), a_short_visit(1, "pt-other"))

    pages = [first]
    while following := link(pages[-1], "next"):
        pages.append(chart.get(following))

    assert [one for page in pages for one in page["entry"]] == whole["entry"]
    assert {len(ids(page)) for page in pages[:-1]} == {3}
    assert first["total"] == len(whole["entry"])
    valid(first)


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


def test_a_page_is_no_larger_than_can_be_read(
    chart: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ids(chart.get("Observation?_count=200"))
    monkeypatch.setattr(search, "MOST_BYTES", 3000)

    pages = chart.pages("Observation?_count=200")

    assert [one for page in pages for one in ids(page)] == whole
    assert len(pages) > 5


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


def test_s02_a_reader_sees_his_facade_and_no_other(chart: Reader, service: Service) -> None:
    service.bridge.add_facade(name="empty", base_url=FHIR_BASE, requires_consent=True, actor="test")
    secret = service.bridge.make_token(name="other", role=Role.READER, facade="empty", actor="test")
    sent = {"Authorization": f"Bearer {secret}"}
    following = link(chart.get("Observation?_count=2"), "next").removeprefix(FHIR_BASE)

    assert issue(chart.client.get(f"/fhir/Patient/{chart.patient()}", headers=sent)) == (
        404,
        "not-found",
    )
    assert ids(codec.decode(chart.client.get("/fhir/Patient", headers=sent).data)) == []
    assert issue(chart.client.get(f"/fhir{following}", headers=sent)) == (400, "invalid")


def test_a_token_of_a_facade_that_was_removed_reads_nothing(chart: Reader) -> None:
    own = chart.patient()
    chart.service.bridge.remove_destination("portal", actor="test")

    assert issue(chart.ask(f"Patient/{own}")) == (404, "not-found")


def test_r18_a_paused_facade_is_closed_until_it_is_resumed(chart: Reader) -> None:
    bridge = chart.service.bridge
    bridge.pause(Stopped("portal", ANY), actor="test")
    closed = chart.ask("Patient")
    bridge.resume(Stopped("portal", ANY), actor="test")

    assert issue(closed) == (503, "transient")
    assert closed.headers["Retry-After"]
    assert len(ids(chart.get("Patient"))) == 1


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


def test_s17_r56_each_reading_leaves_one_row_without_what_was_looked_for(chart: Reader) -> None:
    own = chart.patient()
    before = len(readings(chart))

    chart.ask(f"Patient/{own}")
    chart.post("Patient", f"identifier={CANARY}&_count=5")
    chart.ask("Patient/nobody")
    chart.ask(f"Patient?birthdate={CANARY}")
    chart.ask(f"{CANARY}?patient={own}")

    rows = readings(chart)[before:]
    assert [outcome for outcome, _ in rows] == ["ok", "ok", "not found", "refused", "refused"]
    read, found, *refused = [detail for _, detail in rows]
    assert (read["interaction"], read["type"], read["count"]) == ("read", "Patient", 1)
    assert len(read["patients"]) == 1
    assert (found["parameters"], found["count"]) == (["_count", "identifier"], 0)
    assert all(one["reason"].startswith("E97") for one in refused)
    assert CANARY not in str(rows)


def test_s17_nothing_is_shown_where_the_reading_cannot_be_noted(chart: Reader) -> None:
    own = chart.patient()

    with chart.service.locked():
        answer = chart.ask(f"Patient/{own}")

    assert issue(answer) == (503, "transient")


def test_r40_s13_no_log_line_says_what_was_looked_for(chart: Reader) -> None:
    (patient,) = chart.get("Patient")["entry"]
    number = patient["resource"]["identifier"][0]["value"]
    family = patient["resource"]["name"][0]["family"]

    chart.ask(f"Patient?identifier={number}&family={family}")
    chart.post("Patient", f"identifier={number}&family={family}")

    told = chart.service.log.getvalue()
    assert "/fhir/<kind>" in told
    assert not [one for one in (number, family, "identifier=") if one in told]


def readings(reader: Reader) -> list[tuple[str, dict[str, Any]]]:
    return [
        (outcome, codec.decode(detail.encode()))
        for _, action, outcome, detail in reader.service.evidence()
        if action == "facade.read"
    ]


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
