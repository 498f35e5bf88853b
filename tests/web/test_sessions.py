"""An integrator sends records and follows them."""

from decimal import Decimal
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from tests.records.visits import a_visit, edited
from tests.web.service import SESSIONS, Service


def connect(service: Service, base_url: str) -> None:
    service.bridge.add_destination(
        name="ehr",
        base_url=base_url,
        requires_consent=False,
        test_server=False,
        networks=(),
        actor="test",
    )


def read(answer: TestResponse) -> Any:
    return codec.decode(answer.data)


def shown(service: Service, receipt: TestResponse) -> Any:
    return read(service.client(Role.INTEGRATOR).get(receipt.headers["Location"]))


def a_saturation_that_cannot_be(record: dict[str, Any]) -> dict[str, Any]:
    index = next(i for i, row in enumerate(record["vitals"]) if "spo2" in row)
    return edited(record, (f"/vitals/{index}/spo2/value", Decimal(140)))


def test_a_record_is_acknowledged_with_what_is_planned(service: Service, sandbox: str) -> None:
    connect(service, sandbox)

    answer = service.send(a_visit())

    receipt = read(answer)
    [plan] = receipt.pop("destinations")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{SESSIONS}/{receipt['id']}"
    assert receipt == {
        "id": receipt["id"],
        "version": 1,
        "state": "current",
        "translation": "done",
        "problems": 0,
        "findings": [],
    }
    assert (plan["destination"], plan["state"]) == ("ehr", "pending")
    assert plan["send"]["count"] == len(plan["send"]["resources"]) > 30
    assert {name.split("/")[0] for name in plan["send"]["resources"]} >= {"Patient", "Encounter"}
    assert (plan["kept"], plan["cannot_retract"]) == ([], [])


def test_what_is_planned_is_what_the_record_shows_and_then_what_arrives(
    service: Service, sandbox: str
) -> None:
    connect(service, sandbox)
    receipt = service.send(a_visit())
    [plan] = read(receipt)["destinations"]

    before = shown(service, receipt)
    service.bridge.sync()
    after = shown(service, receipt)

    owed = [item["resource"] for one in before["deliveries"] for item in one["items"]]
    assert plan["delivery"] in {one["id"] for one in before["deliveries"]}
    assert set(plan["send"]["resources"]) <= set(owed)
    assert {one["state"] for one in before["deliveries"]} == {"pending"}
    assert {one["state"] for one in after["deliveries"]} == {"delivered"}
    assert all(one["at"] and one["at"][0]["same"] for one in after["resources"])


def test_the_same_record_again_is_answered_alike_and_stores_nothing(
    service: Service, sandbox: str
) -> None:
    connect(service, sandbox)
    first = service.send(a_visit())

    second = service.send(a_visit())

    assert second.status_code == first.status_code == 202
    assert second.headers["Location"] == first.headers["Location"]
    assert read(second)["state"] == "repeated"
    assert read(second)["destinations"] == []
    assert service.stored() == 1


def test_an_older_version_is_kept_and_plans_nothing(service: Service, sandbox: str) -> None:
    connect(service, sandbox)
    service.send(a_visit(version=2))

    answer = service.send(a_visit(version=1))

    assert answer.status_code == 202
    assert (read(answer)["state"], read(answer)["destinations"]) == ("older", [])


def test_an_amendment_plans_only_what_changed(service: Service, sandbox: str) -> None:
    connect(service, sandbox)
    service.send(a_visit())

    answer = service.send(
        edited(a_visit(), ("/version", 2), ("/administrations/0/dose/value", Decimal("41.50")))
    )

    [plan] = read(answer)["destinations"]
    assert 0 < plan["send"]["count"] < 5


def test_a_held_element_is_named_and_what_was_sent_before_is_kept(
    service: Service, sandbox: str
) -> None:
    connect(service, sandbox)
    service.send(a_visit())

    answer = service.send({**a_saturation_that_cannot_be(a_visit()), "version": 2})

    receipt = read(answer)
    [found] = receipt["findings"]
    assert (found["level"], found["pointer"][:8]) == ("held", "/vitals/")
    assert "140" not in found["message"]
    assert receipt["destinations"][0]["kept"]
    assert shown(service, answer)["findings"][0]["code"] == found["code"]


def test_a_number_keeps_its_digits_all_the_way(service: Service) -> None:
    sent = edited(a_visit(), ("/administrations/0/dose/value", Decimal("41.50")))

    receipt = service.send(sent)
    answer = service.client(Role.AUDITOR).get(receipt.headers["Location"])

    assert b'"value":41.50,' in answer.data
    assert b"41.5," not in answer.data


def test_a_record_that_holds_phi_is_stored_by_no_cache(service: Service) -> None:
    receipt = service.send(a_visit())

    answer = service.client(Role.AUDITOR).get(receipt.headers["Location"])

    assert answer.headers["Cache-Control"] == receipt.headers["Cache-Control"] == "no-store"


def test_sending_and_reading_leave_one_evidence_row_each(service: Service) -> None:
    receipt = service.send(a_visit())
    service.send(a_visit())
    service.send({})
    service.client(Role.AUDITOR).get(receipt.headers["Location"])
    service.client(Role.AUDITOR).get(f"{SESSIONS}/none")

    assert [row[:3] for row in service.evidence()] == [
        ("token:a-integrator", "record.accepted", "current"),
        ("token:a-integrator", "record.repeated", "repeated"),
        ("token:a-integrator", "record.refused", "refused"),
        ("token:a-auditor", "record.read", "ok"),
        ("token:a-auditor", "record.read", "not found"),
    ]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_taken_by_its_name(service: Service, content_type: str) -> None:
    assert service.send(a_visit(), content_type=content_type).status_code == 202
