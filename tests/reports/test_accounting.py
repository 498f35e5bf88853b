"""The account of controlled substances: exact, each once, and no difference is hidden."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.reports.catalog import Asked
from fhirbridge.reports.table import Period
from fhirbridge.reports.written import Format, written
from tests.factories import World, a_visit, amended, retracted
from tests.journey.canaries import hits, record_with_canaries
from tests.mapping_sets import few_mappings
from tests.records.visits import amount
from tests.reports.stocks import (
    KETAMINE,
    MARCH,
    SEEN,
    a_dose,
    a_receipt,
    a_session,
    a_stock,
    a_waste,
    account,
    at,
    rows,
)

STRONG = amount(50, "mg/mL")
SUMS = ("opening", "received", "administered", "wasted", "returned", "lost", "on_hand")


def sums(report: Any, name: str = "by-location") -> list[tuple[Any, ...]]:
    return [tuple(row[one] for one in SUMS) for row in rows(report, name)]


def flags(report: Any) -> list[tuple[str, str]]:
    return [(row["row"], row["what"]) for row in rows(report, "to-look-at")]


def test_what_is_there_is_what_came_without_what_went() -> None:
    back = {**KETAMINE, **SEEN, "id": "rt", "time": at(5), "amount": amount(100, "mg")}
    spilt = {**KETAMINE, **SEEN, "id": "ls", "time": at(6), "amount": amount("0.05", "g")}
    stock = a_stock(receipts=[a_receipt(1000)], returns=[back], losses=[spilt])
    session = a_session(administrations=[a_dose("36.25")], waste=[a_waste("13.75")])

    report = account([session], [stock])

    assert sums(report) == [(0, 1000, Decimal("36.25"), Decimal("13.75"), 100, 50, 800)]
    assert flags(report) == []


def test_the_past_is_the_opening_and_what_is_later_is_not_there_yet() -> None:
    stock = a_stock(receipts=[a_receipt(500, 1), a_receipt(100, 20)])
    session = a_session(administrations=[a_dose(40, 10)])
    middle = Period(since=date(2026, 3, 5), until=date(2026, 3, 15))

    report = account([session], [stock], middle)

    assert sums(report) == [(500, 0, 40, 0, 0, 0, 460)]
    assert [row["day"] for row in rows(report, "by-day")] == ["2026-03-10"]
    assert len(rows(report, "movements")) == 1


@pytest.mark.parametrize(
    ("dose", "more", "mg"),
    [
        (amount("0.5", "mg/kg"), {"weight_used": amount(160, "lb")}, "36.2873896"),
        (amount("2.5", "mL"), {"supplies": [{"id": "s", "concentration": STRONG}]}, "125"),
        (amount(3, "mL"), {"supplies": [{"id": "s", "vial": "V-1"}]}, "30"),
        (amount(250, "ug"), {}, "0.25"),
        (amount("0.0001", "g"), {}, "0.1"),
    ],
)
def test_units_are_worked_out_exactly(dose: Any, more: Any, mg: str) -> None:
    vial = {**KETAMINE, "id": "vi", "number": "V-1", "state": "open",
            "concentration": amount(10, "mg/mL")}  # fmt: skip
    session = a_session(administrations=[a_dose(1, dose=dose, **more)])

    report = account([session], [a_stock(receipts=[a_receipt(500)], vials=[vial])])

    (row,) = rows(report, "by-location")
    assert (row["unit"], row["administered"]) == ("mg", Decimal(mg))


def test_a_device_of_esketamine_is_28_mg() -> None:
    receipt = a_receipt(0, drug={"key": "esketamine"}, amount=amount(6, "device"))
    devices = [
        {"id": f"d-{n}", "time": at(2, 9, n), "given": amount(28, "mg"), "lot": "L-1"}
        for n in (1, 2)
    ]
    left = {"id": "d-3", "given": amount(0, "mg"), "wasted": amount(28, "mg"), "lot": "L-1"}
    dose = a_dose(56, drug={"key": "esketamine"}, supplies=[], devices=[*devices, left])

    report = account([a_session(administrations=[dose])], [a_stock(receipts=[receipt])])

    assert sums(report) == [(0, 168, 56, 28, 0, 0, 84)]
    assert flags(report) == [("administrations/a-1/devices/d-3", "no witness")]


def test_a_row_of_waste_tells_of_what_was_left_in_the_devices_of_its_dose() -> None:
    device = {"id": "d", "given": amount(28, "mg"), "wasted": amount(28, "mg"), "lot": "L-1"}
    dose = a_dose(28, drug={"key": "esketamine"}, supplies=[], devices=[device])
    waste = a_waste(28, drug={"key": "esketamine"}, administration="a-1")

    report = account([a_session(administrations=[dose], waste=[waste])], [a_stock()])

    assert sums(report)[0][3] == 28


def test_a_count_that_differs_is_a_row_and_mends_nothing() -> None:
    count = {**KETAMINE, **SEEN, "id": "ct", "time": at(8), "found": amount(430, "mg")}
    loss = {**KETAMINE, **SEEN, "id": "ls", "time": at(8), "kind": "unknown",
            "amount": amount(10, "mg"), "counted": "ct"}  # fmt: skip
    session = a_session(administrations=[a_dose(50)])

    open_one = account([session], [a_stock(receipts=[a_receipt(500)], counts=[count])])
    part = account([session], [a_stock(receipts=[a_receipt(500)], counts=[count], losses=[loss])])

    (first,), (second,) = rows(open_one, "counts"), rows(part, "counts")
    shown = ("books", "found", "difference", "lost", "unexplained", "result")
    assert [first[one] for one in shown] == [450, 430, -20, 0, -20, "DIFFERS"]
    assert [second[one] for one in shown] == [450, 430, -20, 10, -10, "DIFFERS"]
    assert sums(open_one)[0][-1] == 450
    assert sums(part)[0][-1] == 440


def test_r68_who_gave_it_is_no_witness_however_that_is_written() -> None:
    same = a_session("same", waste=[a_waste(1, witness="st-1")])
    gave = a_session(
        "gave",
        administrations=[a_dose(10, performer="st-2")],
        waste=[a_waste(1, administration="a-1", giver="st-1", witness="st-2")],
    )
    held = [a_finding("R217", "waste/w-1")]
    was_held = a_session("held", findings=held, waste=[_without(a_waste(1), "witness")])
    nobody = a_session("nobody", waste=[_without(a_waste(1), "witness")])

    report = account([same, gave, was_held, nobody], [a_stock(receipts=[a_receipt(500)])])

    found = {row["source"]: row["what"] for row in rows(report, "to-look-at")}
    alike = "the witness is the one who did it"
    assert found == {"same": alike, "gave": alike, "held": alike, "nobody": "no witness"}


def test_what_the_check_held_back_is_shown() -> None:
    held = [a_finding("R214", "administrations/a-9"), a_finding("R207", "vitals/v-1")]
    world = a_session(findings=held, visit={"start": at(2)})

    report = account([world], [a_stock(receipts=[a_receipt(500)])])

    assert flags(report) == [
        ("administrations/a-9", "the check held /administrations/0 back: R214")
    ]


def test_what_has_no_amount_or_no_location_is_shown() -> None:
    unknown = a_dose(1, dose={"absent_reason": "unknown"})
    nowhere = a_session("nowhere", administrations=[a_dose(5, supplies=[])])
    del nowhere.document["clinic"]
    two = [{"id": "loc-1", "name": "East"}, {"id": "loc-2", "name": "West"}]

    report = account(
        [a_session(administrations=[unknown]), nowhere],
        [a_stock(receipts=[a_receipt(500)], locations=two)],
    )

    assert ("administrations/a-1", "no amount is written down") in flags(report)
    assert ("administrations/a-1", "at which location is not known") in flags(report)
    assert [row["no_amount"] for row in rows(report, "by-location")] == [0, 1]


def test_more_out_than_in_and_an_empty_vial_with_a_rest_are_shown() -> None:
    vials = [{**KETAMINE, "id": "vi", "number": "V-1", "state": "empty"}]
    receipt = a_receipt(100, vials=["vi"])
    session = a_session(administrations=[a_dose(60)])
    over = a_session("over", administrations=[a_dose(200, 3, supplies=[{"id": "s", "lot": "L-2"}])])

    report = account([session, over], [a_stock(receipts=[receipt], vials=vials)])

    assert flags(report) == [
        ("vials/V-1", "vial V-1 is empty, and the books keep 40 of it"),
        ("administrations/a-1", "more of lot L-2 went out than came in"),
    ]


def test_a_dose_at_home_from_no_vial_of_the_clinic_is_listed_and_not_counted() -> None:
    home = a_session(administrations=[a_dose(100, setting="home", supplies=[])])

    report = account([home], [a_stock(receipts=[a_receipt(500)])])

    assert sums(report) == [(0, 500, 0, 0, 0, 0, 500)]
    assert rows(report, "not-counted") == [
        {"source": "rec-1", "row": "administrations/a-1", "why": "ketamine taken at home"}
    ]


def test_two_clinics_with_a_place_of_one_name_have_two_accounts() -> None:
    other = a_stock("stock-b", receipts=[a_receipt(70)])
    other.document["clinic"] = {"id": "clinic-2", "name": "Other"}

    report = account([], [a_stock(receipts=[a_receipt(500)]), other])

    assert [(row["clinic"], row["on_hand"]) for row in rows(report, "by-location")] == [
        ("clinic-1", 500),
        ("clinic-2", 70),
    ]


def test_the_newest_version_counts_once_and_what_was_taken_back_not_at_all() -> None:
    world = World(mapped=few_mappings)
    first = a_visit(1)
    more = lambda record: record["administrations"][0]["dose"].update(value=Decimal("40.5"))  # noqa: E731
    world.accept(first)
    world.accept(amended(first, more))
    world.accept(a_visit(2))
    gone = world.accept(retracted(a_visit(2)))

    report = world.bridge.report("controlled-substances", Asked(period=MARCH), actor="test")

    assert [row["administered"] for row in rows(report, "by-location")] == [Decimal("40.5")]
    assert rows(report, "not-counted") == [
        {"source": gone.id, "row": "", "why": "entered in error"}
    ]
    (noted,) = world.evidence("report.made")
    detail = codec.decode(noted.detail.encode())
    assert (detail["report"], detail["rows"]) == ("controlled-substances", report.count)


def test_safety_03_the_account_names_no_patient() -> None:
    world = World(mapped=few_mappings)
    visit, _ = record_with_canaries()
    world.accept(visit)

    report = world.bridge.report("controlled-substances", Asked(period=MARCH), actor="test")

    tokens = re.findall(r"Zq[0-9a-f]{16}", str(visit["patient"]))
    assert len(tokens) > 5
    for form in Format:
        assert hits(written(report, form, made_at=world.clock.now()), tokens) == []


def a_finding(code: str, row: str) -> dict[str, str]:
    pointer = f"/{row.partition('/')[0]}/0"
    return {"code": code, "row": row, "pointer": pointer, "level": "held"}


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
