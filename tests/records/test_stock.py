from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from fhirbridge.records import stock
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.json_schema import json_schema
from tests.records.schema_reader import mistakes
from tests.records.test_laws import JSON, places, put
from tests.records.visits import ABSENT, Record, a_visit, amount, edited

TIME = "2026-03-02T08:00:00-05:00"
KETAMINE = {"drug": {"key": "ketamine"}, "location": "loc-1", "lot": "SYN-LOT-77"}
BY = {"by": "st-ordering", "witness": "st-nurse", "time": TIME}


def a_stock(**edits: Any) -> Record:
    visit = a_visit()
    record = {
        "schema": "fhirbridge/stock/v1",
        "stock_id": "stock-2026-03",
        "version": 1,
        "recorded_at": "2026-03-31T18:00:00-04:00",
        "status": "active",
        "clinic": visit["clinic"],
        "staff": visit["staff"],
        "locations": [{"id": "loc-1", "name": "East", "registration": "SYN-REG-1"}],
        "receipts": [
            {**KETAMINE, **BY, "id": "rc-1", "supplier": "Synthetic Supply", "order_form": "F-1",
             "expiry": "2027-01", "amount": amount(1000, "mg"), "vials": ["vi-1", "vi-2"]}
        ],
        "vials": [
            {**KETAMINE, "id": "vi-1", "number": "V-1", "amount": amount(500, "mg"),
             "volume": amount(10, "mL"), "concentration": amount(50, "mg/mL"), "state": "open",
             "opened_at": TIME, "opened_by": "st-nurse"},
            {**KETAMINE, "id": "vi-2", "number": "V-2", "amount": amount(500, "mg"),
             "state": "returned"},
            {**KETAMINE, "id": "vi-3", "number": "V-3", "state": "lost"},
        ],
        "returns": [
            {**KETAMINE, **BY, "id": "rt-1", "to": "Synthetic Distributor",
             "amount": amount(500, "mg"), "vials": ["vi-2"], "why": "Recalled"}
        ],
        "counts": [
            {**KETAMINE, **BY, "id": "ct-1", "expected": amount(1000, "mg"),
             "found": amount(500, "mg")}
        ],
        "losses": [
            {**KETAMINE, **BY, "id": "ls-1", "kind": "theft", "amount": amount(500, "mg"),
             "vials": ["vi-3"], "counted": "ct-1", "reported_to": "Field office",
             "reported_at": TIME, "report_number": "R-1", "why": "Cabinet forced"}
        ],
    }  # fmt: skip
    return {**record, **edits}


def taken_back(**edits: Any) -> Record:
    names = ("schema", "stock_id", "version", "recorded_at")
    return {name: a_stock()[name] for name in names} | {"status": "entered-in-error"} | edits


def allows(record: Record) -> bool:
    return not list(mistakes(record, json_schema("fhirbridge/stock/v1")))


def found(record: Any) -> list[tuple[str, str, str]]:
    try:
        findings = stock.load(codec.encode(record)).findings
    except InvalidRecordError as refused:
        findings = refused.findings
    return [(one.level.value, one.code, one.pointer) for one in findings]


def test_a_month_of_stock_passes_without_any_finding() -> None:
    checked = stock.load(codec.encode(a_stock()))

    assert checked.findings == ()
    assert checked.document == a_stock()
    assert (checked.stock_id, checked.version) == ("stock-2026-03", 1)


@pytest.mark.parametrize(
    ("pointer", "value", "level", "code", "place"),
    [
        ("/receipts/0/location", "loc-9", "error", "R115", "/receipts/0/location"),
        ("/receipts/0/location", ABSENT, "error", "R101", "/receipts/0/location"),
        ("/receipts/0/vials/0", "vi-9", "error", "R115", "/receipts/0/vials/0"),
        ("/losses/0/kind", "thft", "error", "R106", "/losses/0/kind"),
        ("/locatons", [], "error", "R105", "/locatons"),
        ("/amends", 1, "error", "R118", "/amends"),
        ("/counts/0/found/unit", ABSENT, "held", "R201", "/counts/0/found"),
        ("/receipts/0/amount/value", -1, "held", "R206", "/receipts/0/amount"),
        ("/receipts/0/witness", "st-ordering", "held", "R217", "/receipts/0/witness"),
        ("/losses/0/witness", "st-ordering", "held", "R217", "/losses/0/witness"),
        ("/losses/0/witness", ABSENT, "warning", "R323", "/losses/0"),
        ("/returns/0/witness", ABSENT, "warning", "R323", "/returns/0"),
        ("/losses/0/counted", ABSENT, "warning", "R341", "/counts/0/found"),
        ("/losses/0/reported_at", ABSENT, "warning", "R342", "/losses/0"),
        ("/vials/1/state", "sealed", "warning", "R343", "/returns/0/vials"),
        ("/vials/2/state", "open", "warning", "R343", "/losses/0/vials"),
        ("/counts/0/time", "2026-04-01T08:00:00-04:00", "warning", "R316", "/counts/0/time"),
    ],
)
def test_what_is_wrong_with_the_stock_is_found_where_it_stands(
    pointer: str, value: Any, level: str, code: str, place: str
) -> None:
    assert (level, code, place) in found(edited(a_stock(), (pointer, value)))


def test_a_count_in_another_unit_of_the_same_amount_agrees() -> None:
    record = edited(a_stock(losses=[]), ("/counts/0/found", amount(1, "g")))

    assert found(record) == []


def test_a_loss_entered_in_error_is_gone() -> None:
    record = a_stock(losses=[{"id": "ls-1", "status": "entered-in-error"}])

    assert stock.load(codec.encode(record)).document["losses"] == []


def test_a_stock_record_that_is_taken_back_needs_only_its_identity() -> None:
    clinic = {"id": a_stock()["clinic"]["id"]}

    assert found(taken_back(clinic=clinic)) == []
    assert allows(taken_back(clinic=clinic))


@pytest.mark.parametrize(("clinic", "place"), [(None, "/clinic"), ({}, "/clinic/id")])
def test_a_stock_record_that_is_taken_back_must_say_of_which_clinic(
    clinic: Record | None, place: str
) -> None:
    record = taken_back() if clinic is None else taken_back(clinic=clinic)

    assert found(record) == [("error", "R101", place)]
    assert not allows(record)


def test_a_local_time_of_the_stock_gets_the_clinics_offset() -> None:
    record = edited(a_stock(), ("/counts/0/time", "2026-03-02T08:00:00"))

    assert stock.load(codec.encode(record)).document["counts"][0]["time"] == TIME


def test_the_stock_has_a_json_schema_of_its_own() -> None:
    schema = json_schema("fhirbridge/stock/v1")

    assert schema["title"] == "fhirbridge/stock/v1"
    assert "losses" in schema["properties"]
    assert "vitals" not in schema["properties"]


@settings(deadline=None)
@given(st.sampled_from([place for place in places(a_stock()) if place]), JSON)
def test_any_value_anywhere_in_a_stock_record_gives_a_record_or_findings(
    place: tuple[Any, ...], value: Any
) -> None:
    for _, code, _ in found(put(a_stock(), place, value)):
        assert code.startswith("R")


@settings(deadline=None)
@given(JSON)
def test_any_json_as_stock_gives_findings(value: Any) -> None:
    assert found(value)[0][0] == "error"
