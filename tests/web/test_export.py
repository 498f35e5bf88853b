"""R59, R60, R61: `$export` of what a facade shows, as of one moment, to its reader alone."""

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.exports import bulk
from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.webhooks import payload
from tests.factories import a_short_visit, amended, rate
from tests.web.exporting import LENIENT, begun, exported, manifest, named, status_of
from tests.web.fhir_reading import Reader, issue
from tests.web.service import EVENTS, FHIR_BASE, Service


@pytest.fixture
def reader(service: Service) -> Reader:
    """Two patients stand on the shelf."""
    made = Reader(service)
    made.take(a_short_visit(), a_short_visit(patient="pt-2"))
    return made


def test_r59_all_that_is_shown_is_exported_as_a_read_shows_it(reader: Reader) -> None:
    said = manifest(reader)

    assert said["request"] == f"{FHIR_BASE}/$export"
    assert said["requiresAccessToken"] is True
    found = exported(reader, said)
    ids = {
        kind: len([one for one in found if one["resourceType"] == kind])
        for kind in ("Patient", "Observation")
    }
    assert ids == {"Patient": 2, "Observation": 2}
    for one in found:
        assert reader.get(f"{one['resourceType']}/{one['id']}") == one


def test_r59_the_same_again_is_the_same_bytes(reader: Reader) -> None:
    first, again = manifest(reader), manifest(reader)

    assert [one["count"] for one in first["output"]] == [one["count"] for one in again["output"]]
    for one, other in zip(first["output"], again["output"], strict=True):
        assert reader.ask(one["url"]).data == reader.ask(other["url"]).data


def test_r59_types_and_charts_can_be_chosen(reader: Reader) -> None:
    whole = named(exported(reader, manifest(reader)))

    only = named(exported(reader, manifest(reader, "$export?_type=Patient,Observation")))
    charts = named(exported(reader, manifest(reader, "Patient/$export")))

    assert only == {one for one in whole if one.startswith(("Patient/", "Observation/"))}
    shared = {"Organization", "Practitioner", "PractitionerRole", "Location"}
    assert whole - charts == {one for one in whole if one.partition("/")[0] in shared} != set()


def test_r59_since_the_last_one_is_what_came_after_it(reader: Reader) -> None:
    first = manifest(reader)
    reader.take(amended(a_short_visit(), rate(90)))

    since = exported(reader, manifest(reader, f"$export?_since={first['transactionTime']}"))

    (pulse,) = [
        one
        for one in since
        if one["resourceType"] == "Observation" and one["valueQuantity"]["value"] == 90
    ]
    assert pulse["meta"]["lastUpdated"] >= first["transactionTime"]


def test_r60_what_changes_meanwhile_does_not_show(reader: Reader) -> None:
    said = manifest(reader)
    before = exported(reader, said)

    reader.take(amended(a_short_visit(), rate(90)), a_short_visit(patient="pt-3"))

    assert exported(reader, said) == before
    assert max(one["meta"]["lastUpdated"] for one in before) <= said["transactionTime"]


def test_safety_03_what_may_not_be_read_any_more_is_in_no_file(reader: Reader) -> None:
    said = manifest(reader)
    withdrawn = {
        "id": "c-9",
        "kind": "sharing",
        "status": "withdrawn",
        "withdrawn_at": "2026-03-20T09:00:00-05:00",
    }
    record = amended(a_short_visit(patient="pt-2"), lambda new: new.update(consents=[withdrawn]))
    assert reader.service.send(record).status_code == 202

    (patients,) = [one for one in said["output"] if one["type"] == "Patient"]
    assert len(reader.ask(patients["url"]).data.splitlines()) == 1
    (now,) = [one for one in manifest(reader)["output"] if one["type"] == "Patient"]
    assert now["count"] == 1


def test_a_paused_facade_exports_nothing(reader: Reader) -> None:
    said = manifest(reader)
    reader.service.bridge.pause(Stopped("portal", ""), actor="test")

    assert begun(reader).status_code == 503
    assert reader.ask(said["output"][0]["url"]).status_code == 503


def test_r59_one_that_was_ended_is_there_no_more(reader: Reader) -> None:
    status = status_of(begun(reader))
    url = reader.get(status)["output"][0]["url"]
    below = status.removeprefix(FHIR_BASE)

    assert reader.client.delete(f"/fhir{below}").status_code == 202

    for one in (status, url):
        assert issue(reader.ask(one)) == (404, "not-found")
    assert reader.client.delete(f"/fhir{below}").status_code == 404


def test_one_readers_export_is_no_other_readers(reader: Reader) -> None:
    status = status_of(begun(reader)).removeprefix(FHIR_BASE)
    other = reader.service.bridge.make_token(
        name="other", role=Role.READER, facade="portal", actor="test"
    )

    client = reader.service.client()
    answer = client.get(f"/fhir{status}", headers={"Authorization": f"Bearer {other}"})

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("$export", {"Prefer": ""}, (400, "invalid")),
        ("$export?_type=Patient,Unheard", {}, (400, "not-supported")),
        ("$export?_type=", {}, (400, "invalid")),
        ("$export?_outputFormat=text/csv", {}, (400, "not-supported")),
        ("$export?_since=yesterday", {}, (400, "invalid")),
        ("$export?_since=2026-03-02", {}, (400, "invalid")),
        ("Group/all/$export", {}, (404, "not-found")),
        ("$export-status/none", {}, (404, "not-found")),
        ("$export-file/none/Patient.1", {}, (404, "not-found")),
    ],
)
def test_what_cannot_be_exported_is_said_in_r4s_words(
    reader: Reader, path: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert issue(begun(reader, path, **headers)) == expected


def test_who_asks_leniently_has_what_is_not_known_left_out(reader: Reader) -> None:
    said = manifest(reader, "$export?_type=Patient,Unheard&includeAssociatedData=x", **LENIENT)

    assert {one["type"] for one in said["output"]} == {"Patient"}


def test_s17_who_began_and_who_read_is_noted_before_it_is_read(reader: Reader) -> None:
    said = manifest(reader)
    reader.ask(said["output"][0]["url"])

    noted = [row[2] for row in reader.service.evidence() if row[1] == "resources.exported"]
    assert noted == ["begun", "read"]


def test_r59_that_it_is_ready_is_told_without_whose_it_is(reader: Reader) -> None:
    said = manifest(reader, "$export?_type=Patient,Observation")

    events = codec.decode(reader.service.client(Role.ADMIN).get(EVENTS).data)["events"]
    (told,) = [one for one in events if one["kind"] == "export.ready"]
    export = said["output"][0]["url"].split("/")[-2]
    counted = sum(one["count"] for one in said["output"])
    assert told["detail"] == {"export": export, "resources": counted}
    assert (told["destination"], told["patient"], told["patient_sequence"]) == ("portal", "", 0)
    assert payload.where_more_is(told) == f"/fhir/$export-status/{export}"
    assert reader.ask(f"$export-status/{export}").status_code == 200


def test_r61_a_file_ends_before_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_ROWS", 3)
    monkeypatch.setattr(bulk, "MOST_BYTES", 100)
    sizes = [("Patient", number, 10) for number in range(1, 8)]

    made = bulk.files([*sizes, ("Visit", 9, 10), ("Visit", 11, 200), ("Visit", 12, 10)])

    assert [(one.name, one.first, one.last, one.count) for one in made] == [
        ("Patient.1", 1, 3, 3),
        ("Patient.2", 4, 6, 3),
        ("Patient.3", 7, 7, 1),
        ("Visit.1", 9, 9, 1),
        ("Visit.2", 11, 11, 1),
        ("Visit.3", 12, 12, 1),
    ]
