"""The transaction that a delivery is: what goes out, and what its answer accounts for."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.deliver import bundle
from fhirbridge.deliver.bundle import Send
from fhirbridge.egress.exchange import Response
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import Names
from tests.deliver.sends import a_send, an_entry

HERE = "Observation/o-1/_history/3"


def test_each_entry_is_a_put_under_our_id_and_guarded() -> None:
    sends = [
        a_send(valueQuantity={"value": Decimal("72.50")}),
        a_send("7", identity=("Patient", "p")),
    ]

    written = codec.decode(bundle.transaction(sends))

    assert written["type"] == "transaction"
    assert [entry["request"] for entry in written["entry"]] == [
        {"method": "PUT", "url": "Observation/o-1", "ifMatch": 'W/"0"'},
        {"method": "PUT", "url": "Patient/p", "ifMatch": 'W/"7"'},
    ]
    assert b"72.50" in bundle.transaction(sends)


def test_a_create_is_guarded_by_what_the_server_honours() -> None:
    sends = [replace(a_send(base), new_by_none=True) for base in ("0", "7")]

    written = codec.decode(bundle.batch(sends))

    assert written["type"] == "batch"
    assert [entry["request"] for entry in written["entry"]] == [
        {"method": "PUT", "url": "Observation/o-1", "ifNoneMatch": "*"},
        {"method": "PUT", "url": "Observation/o-1", "ifMatch": 'W/"7"'},
    ]


OTHER = "Patient/p/_history/1"


@pytest.mark.parametrize(
    ("entries", "landed"),
    [
        ([("200", HERE), ("201", OTHER)], [True, True]),
        ([("200", OTHER), ("201", HERE)], [False, False]),
        ([("201", OTHER)], [False, True]),
        ([("201", OTHER), ("200", HERE), ("200", HERE)], [True, True]),
        ([("200", ""), ("201", OTHER)], [False, True]),
        ([("422", HERE), ("201", OTHER)], [False, True]),
        ([], [False, False]),
        ("nonsense", [False, False]),
        ([None, ("201", OTHER)], [False, True]),
    ],
)
def test_each_entry_of_a_batch_is_answered_by_position_and_id(
    entries: Any, landed: list[bool]
) -> None:
    sends = [a_send(), a_send(identity=("Patient", "p"))]
    said = [an_entry(one[0], location=one[1]) if len(one or ()) == 2 else one for one in entries]

    answers = bundle.answers(sends, {"entry": said})

    found = [
        one.status < 300 and bundle.landed_alone(send, one, None) is not None
        for send, one in zip(sends, answers, strict=True)
    ]
    assert found == landed


@pytest.mark.parametrize(
    ("entry", "version", "created"),
    [
        (an_entry("201 Created", location=HERE, etag='W/"3"'), "3", True),
        (an_entry("200 OK", location=HERE), "3", False),
        (an_entry("200", location=f"http://ehr.invalid/fhir/{HERE}"), "3", False),
        (an_entry("201", location="/fhir/" + HERE), "3", True),
        (an_entry("200 OK", etag='W/"4"'), "4", False),
        (an_entry("200 OK", etag="4"), "4", False),  # HAPI's bare one
        (an_entry("200 OK", etag='"4"'), "4", False),
    ],
)
def test_success_is_a_2xx_of_this_type_and_id_with_a_version(
    entry: dict[str, Any], version: str, *, created: bool
) -> None:
    landed = bundle.landed([a_send()], {"entry": [entry]})

    assert landed is not None
    assert [(one.version, one.created) for one in landed] == [(version, created)]


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "entry",
        {},
        {"response": None},
        an_entry("200 OK"),
        an_entry("200 OK", etag='W/""'),
        an_entry("202 Accepted", location=HERE),
        an_entry("204", location=HERE),
        an_entry("404 Not Found", location=HERE),
        an_entry("500", location=HERE),
        an_entry("", location=HERE),
        an_entry("200 OK", location="Observation/o-2/_history/3"),
        an_entry("200 OK", location="Patient/o-1/_history/3"),
        an_entry("200 OK", location="XObservation/o-1/_history/3"),
        an_entry("200 OK", location="Observation/o-1", etag='W/"3"'),
        an_entry("200 OK", location="Observation/o-1/_history/"),
        an_entry("200 OK", location='Observation/o-1/_history/3" or "4'),
        an_entry("200 OK", location="Observation/o-2/_history/3", etag='W/"3"'),
    ],
)
def test_anything_else_accounts_for_nothing(entry: Any) -> None:
    good = an_entry("200 OK", location="Patient/p/_history/1")

    assert bundle.landed([a_send()], {"entry": [entry]}) is None
    assert (
        bundle.landed([a_send(), a_send(identity=("Patient", "p"))], {"entry": [entry, good]})
        is None
    )


@pytest.mark.parametrize(
    "answer", [{}, {"entry": {}}, {"entry": []}, {"entry": [an_entry(etag="1")] * 2}]
)
def test_an_answer_with_fewer_or_more_entries_accounts_for_none(answer: dict[str, Any]) -> None:
    assert bundle.landed([a_send()], answer) is None


def test_entries_in_another_order_account_for_none() -> None:
    first, second = a_send(), a_send(identity=("Observation", "o-2"))
    swapped = [
        an_entry(location="Observation/o-2/_history/1"),
        an_entry(location="Observation/o-1/_history/1"),
    ]

    assert bundle.landed([first, second], {"entry": swapped}) is None


@pytest.mark.parametrize(
    ("send", "foreign"),
    [
        (a_send(subject={"reference": "Patient/p"}), False),
        (a_send(subject={"reference": "Patient/other"}), True),
        (a_send(subject={"reference": "http://ehr.invalid/fhir/Patient/other"}), True),
        (a_send(subject={"reference": "Patient/other/_history/2"}), True),
        (a_send(contained=[{"subject": {"reference": "Patient/other"}}]), True),
        (a_send(identity=("Patient", "p")), False),
        (a_send(identity=("Patient", "other")), True),
        (a_send(identity=("Practitioner", "other")), False),
        (a_send(subject={"display": "Patient/other"}), False),
    ],
)
def test_another_patient_is_found_wherever_it_stands(send: bundle.Send, *, foreign: bool) -> None:
    assert bundle.foreign_patients([a_send(), send], "p") is foreign


def test_for_nobody_every_patient_is_another_one() -> None:
    assert bundle.foreign_patients([a_send(subject={"reference": "Patient/p"})], "")


OURS = {"resourceType": "Observation", "id": "o-1", "meta": {"versionId": "3"}}
SOMEBODY = {"resourceType": "Observation", "id": "o-2", "meta": {"versionId": "3"}}
SAID = {"resourceType": "OperationOutcome", "issue": []}
HERE_BELOW = f"http://ehr.invalid/fhir/{HERE}"


@pytest.mark.parametrize(
    ("headers", "body", "version"),
    [
        ({"etag": 'W/"3"'}, None, "3"),
        ({"etag": "3"}, SAID, "3"),
        ({"location": HERE_BELOW}, None, "3"),
        ({"content-location": HERE_BELOW}, None, "3"),
        ({"location": HERE_BELOW, "etag": 'W/"3"'}, OURS, "3"),
        ({}, OURS, "3"),
        ({"location": "http://ehr.invalid/fhir/Observation/o-1"}, OURS, "3"),
        ({}, None, ""),
        ({}, SAID, ""),
        ({"etag": 'W/"3"'}, SOMEBODY, ""),
        ({"etag": 'W/"3"'}, {**OURS, "resourceType": "Patient"}, ""),
        ({"location": "Observation/o-2/_history/3", "etag": 'W/"3"'}, None, ""),
        ({"location": "http://ehr.invalid/fhir/Observation/o-2", "etag": 'W/"3"'}, None, ""),
        ({"location": "http://ehr.invalid/fhir/XObservation/o-1/_history/3"}, None, ""),
        ({"etag": 'W/"3", W/"4"'}, None, ""),
        ({}, {**OURS, "meta": None}, ""),
        ({}, {**OURS, "meta": {"versionId": 'x"y'}}, ""),
    ],
)
def test_one_resource_has_landed_where_type_id_and_version_are_said(
    headers: dict[str, str], body: dict[str, Any] | None, version: str
) -> None:
    for status, created in ((201, True), (200, False)):
        said = Response(status=status, headers=headers, body=b"")

        found = bundle.landed_alone(a_send(), said, body)

        assert ("" if found is None else found.version) == version
        assert found is None or found.created is created


BASE = "https://ehr.example.org/fhir"
NEW_THERE = replace(a_send(), there=Names({}))


@pytest.mark.parametrize(
    ("headers", "body", "found"),
    [
        ({"location": f"{BASE}/Observation/77/_history/1"}, None, ("77", "1")),
        ({"location": "Observation/77", "etag": 'W/"4"'}, None, ("77", "4")),
        ({"etag": 'W/"4"'}, {"resourceType": "Observation", "id": "77"}, ("77", "4")),
        ({}, {"resourceType": "Observation", "id": "77", "meta": {"versionId": "2"}}, ("77", "2")),
        ({"location": f"{BASE}/Patient/77/_history/1"}, None, None),
        ({"location": f"{BASE}/Patient/77/_history/1"}, {"resourceType": "Observation"}, None),
        ({"location": f"{BASE}/Observation/a b/_history/1"}, None, None),
        ({"location": f"{BASE}/Observation/77"}, None, None),
        ({"etag": 'W/"4"'}, None, None),
        (
            {"location": f"{BASE}/Observation/77/_history/1"},
            {"resourceType": "Observation", "id": "78"},
            None,
        ),
    ],
)
def test_a_create_is_told_under_which_id_it_landed_or_is_no_success(
    headers: dict[str, str], body: dict[str, Any] | None, found: tuple[str, str] | None
) -> None:
    said = Response(status=201, headers=headers, body=b"")

    landed = bundle.landed_alone(NEW_THERE, said, body)

    assert (landed and (landed.ehr_id, landed.version)) == found


@pytest.mark.parametrize(
    ("send", "status", "there"),
    [(NEW_THERE, 200, True), (NEW_THERE, 201, False), (a_send(), 200, False)],
)
def test_a_create_that_made_nothing_found_one_that_says_we_do_not_know_what(
    send: Send, status: int, *, there: bool
) -> None:
    assert bundle.was_there(send, Response(status=status, headers={}, body=b"")) is there
