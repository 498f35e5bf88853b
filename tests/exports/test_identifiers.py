"""R69: an export without identifiers holds what is listed, and nothing that names anybody."""

import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.exports.allowed import ALLOWED
from fhirbridge.exports.question import ExportError, Form
from fhirbridge.exports.scrub import Identifiers, Scrub, words_of
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import LITERAL
from fhirbridge.fhir.validate import problems
from tests.exports.conftest import Clinic, bytes_of, lines, resources
from tests.mapping_sets import mappings

GOLDEN = Path(__file__).parents[2] / "mappings" / "tests"
LANE = "a-chart"
SAFE = Identifiers.SAFE_HARBOR
CANARY = "Zq7Kestrel"
# Who wrote this knew nothing of the list: what the law names, by the shapes that it has in FHIR.
DENIED_NAMES = {
    "name", "telecom", "identifier", "line", "city", "district", "photo", "contact", "url",
    "attachment", "serialNumber", "lotNumber", "deviceIdentifier", "implicitRules", "recorded",
    "authorString", "contentType", "generalPractitioner", "managingOrganization", "performer",
}  # fmt: skip
FULL_DATE = re.compile(r"\b(?:18|19|20)\d\d-[01]\d")
LONG_NUMBER = re.compile(r"(?<!\d)\d{3}[- .]?\d{2}[- .]?\d{4}(?!\d)")
MAIL_OR_ADDRESS = re.compile(r"@|(?<!terminology\.)(?:\d{1,3}\.){3}\d{1,3}\b(?!\.)")


@cache
def golden() -> tuple[dict[str, Any], ...]:
    """Every resource of the mappings' own cases."""
    found = [codec.decode(path.read_bytes()) for path in sorted(GOLDEN.glob("*/*.json"))]
    of_lists = [one for each in found for one in (each if isinstance(each, list) else [each])]
    return tuple(one for one in of_lists if "resourceType" in one and "id" in one)


@cache
def words() -> frozenset[str]:
    return words_of(mappings().by_name)


def a_scrub(kind: Identifiers = SAFE, *, key: bytes = b"k", year: int = 2026) -> Scrub:
    return Scrub(kind=kind, words=words(), key=key, year=year)


def scrubbed(one: dict[str, Any], kind: Identifiers = SAFE) -> dict[str, Any] | None:
    return a_scrub(kind).resource(one, LANE)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, path)
    else:
        yield path, value


def denied(resource: dict[str, Any]) -> list[str]:
    """What the second scrubber would take out."""
    found = []
    for path, value in leaves(resource):
        if path.endswith(("id", ".reference")):
            continue
        masked = "extension" in path and value in ("masked", words_url())
        parts = set(path.split("."))
        if not masked and parts & (DENIED_NAMES | {"extension", "div", "meta"}):
            found.append(path)
        text = str(value)
        if (
            isinstance(value, str)
            and (FULL_DATE.search(text) or LONG_NUMBER.search(text) or MAIL_OR_ADDRESS.search(text))
            and not text.isdigit()
        ):
            found.append(path)
    return found


def words_url() -> str:
    return "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def test_the_golden_resources_are_of_every_type_that_may_stay() -> None:
    assert {one["resourceType"] for one in golden()} >= ALLOWED.keys()


def test_r69_a_second_scrubber_that_knows_nothing_of_the_list_finds_nothing_more() -> None:
    kept = [one for one in map(scrubbed, golden()) if one is not None]

    assert len(kept) > 500
    assert [(one["resourceType"], denied(one)) for one in kept if denied(one)] == []


def test_r69_the_second_scrubber_sees_what_it_should() -> None:
    seen = {one["resourceType"] for one in golden() if denied(one)}

    assert seen >= ALLOWED.keys()


@pytest.mark.parametrize("kind", list(Identifiers))
def test_r69_whatever_is_typed_anywhere_comes_out_nowhere(kind: Identifiers) -> None:
    """Every text of every resource, extensions, narratives, contained and ids too, is a canary."""
    may_stay = () if kind is SAFE else ("city",)

    def filled(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: filled(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [filled(one, name) for one in value]
        if not isinstance(value, str) or name in ("resourceType", *may_stay):
            return value
        if name == "reference":
            return f"{value.partition('/')[0].lstrip('#')}/{CANARY}"
        return CANARY

    for one in golden():
        found = scrubbed(filled(deepcopy(one), ""), kind)
        shown = codec.encode(found or {}).decode()
        assert CANARY not in shown, one["resourceType"]


def test_r69_no_element_comes_out_that_the_list_does_not_have() -> None:
    for one in golden():
        found = scrubbed({**one, "unheardOf": {"text": "final"}, "language": "final"})
        if found is not None:
            names = {name.removeprefix("_") for name in found} - {"resourceType", "id"}
            assert names <= ALLOWED[one["resourceType"]].keys()


def test_r69_what_is_left_is_sound_r4() -> None:
    for kind in Identifiers:
        for one in golden():
            found = scrubbed(one, kind)
            if found is not None:
                assert problems(found) == [], (one["resourceType"], one["id"])


def test_what_a_dose_a_reading_and_a_patient_are_is_not_lost() -> None:
    """Of each kind, what has a value and a unit or a code has it still."""
    lost = set()
    for one in golden():
        found = scrubbed(one) or one
        for name in ("status", "gender", "valueQuantity", "medicationCodeableConcept"):
            if name in one and name not in found:
                lost.add((one["resourceType"], name))
        if (
            (dose := one.get("dosage", {}))
            and isinstance(dose, dict)
            and "value" in dose.get("dose", {})
        ):
            assert found["dosage"]["dose"] == dose["dose"]
    assert lost == set()


def test_r69_dates_are_years_and_who_is_over_89_is_90_or_older() -> None:
    patient = {"resourceType": "Patient", "id": "p", "gender": "female"}
    of = {year: scrubbed({**patient, "birthDate": f"{year}-05-06"}) for year in (1936, 1937, 2001)}

    assert [(one or {}).get("birthDate") for one in of.values()] == [None, "1937", "2001"]
    assert "masked" in str((of[1936] or {})["_birthDate"])
    onset = {"resourceType": "Condition", "id": "c", "onsetDateTime": "1930"}
    assert "onsetDateTime" not in (scrubbed(onset) or {})
    for one in golden():
        for _, value in leaves(scrubbed(one) or {}):
            assert not (isinstance(value, str) and FULL_DATE.match(value))


@pytest.mark.parametrize(
    ("written", "safe"),
    [("01101", "011"), ("03601-1234", "000"), ("89301", "000"), ("1101", None), ("SW1A 1AA", None)],
)
def test_r69_of_a_zip_code_three_digits_are_left_and_none_where_few_live(
    written: str, safe: str | None
) -> None:
    address = {"line": ["1 Road"], "city": "Springfield", "state": "MA", "postalCode": written}
    patient = {"resourceType": "Patient", "id": "p", "address": [address]}

    (found,) = (scrubbed(patient) or {})["address"]

    assert found == {"state": "MA", **({"postalCode": safe} if safe else {})}


def test_a_limited_data_set_moves_all_dates_of_a_patient_by_as_many_days() -> None:
    scrub = a_scrub(Identifiers.LIMITED)
    dose = {"resourceType": "Encounter", "id": "e", "period": {
        "start": "2026-03-02T09:00:00-05:00", "end": "2026-03-09T09:30:00-05:00"}}  # fmt: skip

    one = (scrub.resource(dose, "a") or {})["period"]
    again = (scrub.resource(dose, "a") or {})["period"]
    other = (scrub.resource(dose, "b") or {})["period"]

    assert one == again
    assert one["start"] != other["start"]
    assert one["start"][10:] == "T09:00:00-05:00"
    assert one["start"] < "2026-03-02"
    start, end = (datetime.fromisoformat(one[name]) for name in ("start", "end"))
    assert end - start == timedelta(days=7, minutes=30)


def test_two_exports_share_no_id() -> None:
    found = [a_scrub(key=key).resource(golden()[0], LANE) for key in (b"one", b"two")]

    assert found[0] != found[1]


# --- packages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Identifiers))
def test_a_package_without_identifiers_is_proven_by_both_verifiers(
    clinic: Clinic, kind: Identifiers
) -> None:
    package = clinic.export(identifiers=kind, forms={Form.CSV})

    assert clinic.ours(package) == ""
    assert clinic.theirs(package) == ""
    found = resources(package)
    assert {one["resourceType"] for one in found.values()} <= ALLOWED.keys()
    named = [
        ref for one in found.values() for path, ref in leaves(one) if path.endswith("reference")
    ]
    assert named
    assert {ref for ref in named if LITERAL.fullmatch(ref)} <= found.keys()
    assert {"NOT DE-IDENTIFIED", "LIMITED DATA SET", "De-identified"} & {
        word for word in ("NOT DE-IDENTIFIED", "LIMITED DATA SET", "De-identified")
        if word in (package / "README.txt").read_text("utf-8")
    }  # fmt: skip


def test_r69_no_file_of_a_package_names_a_chart_a_record_a_delivery_or_a_time_of_theirs(
    clinic: Clinic,
) -> None:
    package = clinic.export(identifiers=SAFE, forms={Form.CSV})

    world = clinic.world
    secret = {row.lane for row in world.patient_rows()}
    secret |= {value for row in world.patient_rows() for value in (row.id, row.record_id)}
    secret |= {own for _, own in world.ledger()} | {"pt-1", "pt-2", "2026-03"}
    for name, raw in bytes_of(package).items():
        assert [one for one in secret if one.encode() in raw] == [], name
    (row,) = lines(package, "evidence.ndjson")
    assert (row["action"], row["outcome"]) == ("resources.exported", "sealed")


def test_a_changed_byte_of_a_package_without_identifiers_is_found(clinic: Clinic) -> None:
    package = clinic.export(identifiers=SAFE)
    path = next(package.glob("resources/*.ndjson"))
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))

    assert clinic.ours(package) != ""
    assert clinic.theirs(package) != ""


@pytest.mark.parametrize(
    "asked",
    [{"patient": "p"}, {"clinic": "c"}, {"begin": "2026-01-01"}, {"since": "2026-01-01"},
     {"forms": {Form.NOTES}}, {"forms": {Form.TRANSACTION}}, {"at": 1}],
)  # fmt: skip
def test_what_would_say_who_it_is_is_refused(clinic: Clinic, asked: dict[str, Any]) -> None:
    with pytest.raises(ExportError):
        clinic.export(identifiers=SAFE, **asked)

    assert not (clinic.folder / "pack").exists()
