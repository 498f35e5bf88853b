"""Ours go into the chart that the EHR has of this patient, or wait for a person."""

from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.matching.sight import GOLDEN
from fhirbridge.store.tables import ledger as lines
from tests.factories import AFTER_A_LEASE, amended, rate, retracted
from tests.fakes import Fault, Says
from tests.matching.clinic import (
    HOSPITAL,
    NUMBER,
    Clinic,
    an_ehr_patient,
    merged_into,
    put,
    visit,
)


def test_r26_ours_point_to_the_ehrs_own_patient_and_make_no_second_one() -> None:
    clinic = Clinic(an_ehr_patient(), an_ehr_patient("ehr-2", "SYN-000999"))

    clinic.take(visit())

    assert set(clinic.states()) == {"delivered"}
    assert clinic.patients() == {"ehr-1", "ehr-2"}
    assert clinic.charted() == {"ehr-1"}
    assert (clinic.link.state, clinic.link.ehr_id, clinic.link.how) == (
        "linked", "ehr-1", "identifier",
    )  # fmt: skip
    assert len(clinic.ehr.history("Patient/ehr-1")) == 1


def test_r26_no_url_says_who_was_looked_for() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.offer_match(lambda _patient: [])

    clinic.take(visit())
    clinic.take(visit(1, "pt-2", identifiers=[]))

    urls = [one.url for one in clinic.matching.sent]
    assert sum(url.endswith("/Patient/_search") for url in urls) == 1
    assert sum(url.endswith("/Patient/$match") for url in urls) == 1
    assert not [url for url in urls if "?" in url or NUMBER in url]


def test_an_amendment_and_a_retraction_go_into_the_same_chart() -> None:
    clinic = Clinic(an_ehr_patient())
    record = visit()
    clinic.take(record)
    amendment = amended(record, rate(80))

    clinic.take(amendment)
    clinic.take(retracted(amendment))

    assert set(clinic.states()) == {"delivered"}
    assert clinic.charted() == {"ehr-1"}
    (pulse,) = clinic.ehr.all_of("Observation")
    assert pulse["status"] == "entered-in-error"
    assert clinic.bridge.reconcile("ehr", full=True, actor="test").kinds == {}


def test_a_lost_answer_is_read_back_in_the_ehrs_own_chart() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.matching.choose = lambda one: (
        Fault.LOST if one.method == "POST" and b'"transaction"' in (one.body or b"") else None
    )
    clinic.accept(visit())
    clinic.sync()
    clinic.matching.choose = lambda _one: None
    clinic.settle()

    assert set(clinic.states()) == {"delivered"}
    (pulse,) = clinic.ehr.all_of("Observation")
    assert len(clinic.ehr.history(f"Observation/{pulse['id']}")) == 1


NOT_CERTAIN: dict[str, tuple[list[dict[str, Any]], set[str]]] = {
    "nobody": ([an_ehr_patient(number="SYN-000124")], {"nobody"}),
    "two": ([an_ehr_patient(), an_ehr_patient("ehr-2")], {"several"}),
    "another birth date": ([an_ehr_patient(birthDate="1984-11-06")], {"birth-date"}),
    "half a birth date": ([an_ehr_patient(birthDate="1984-06")], {"birth-date"}),
    "another family": (
        [an_ehr_patient(name=[{"family": "Synthetic-Alvares", "given": ["Testa"]}])],
        {"family-name"},
    ),
    "the twin": (
        [an_ehr_patient(name=[{"family": "Synthetic-Alvarez", "given": ["Proba"]}])],
        {"given-name"},
    ),
    "swapped names": (
        [an_ehr_patient(name=[{"family": "Testa", "given": ["Synthetic-Alvarez"]}])],
        {"family-name", "given-name"},
    ),
    "out of use": ([an_ehr_patient(active=False)], {"inactive"}),
    "dead": ([an_ehr_patient(deceasedBoolean=True)], {"deceased"}),
    "dead before": ([an_ehr_patient(deceasedDateTime="2026-02-28")], {"deceased"}),
    "a number of before": (
        [an_ehr_patient(identifier=[{"system": HOSPITAL, "value": NUMBER, "use": "old"}])],
        {"former-number"},
    ),
    "merged in a circle": (
        [
            an_ehr_patient(**merged_into("ehr-2")),
            an_ehr_patient("ehr-2", "9", **merged_into("ehr-1")),
        ],
        {"merge"},
    ),
}


@pytest.mark.parametrize("case", NOT_CERTAIN)
def test_r26_what_is_not_certain_waits_for_a_person_and_nothing_goes(case: str) -> None:
    there, why = NOT_CERTAIN[case]
    clinic = Clinic(*there)

    clinic.take(visit())

    (row,) = clinic.patient_rows()
    assert (row.state, row.reason.startswith("patient: ")) == ("held", True)
    assert clinic.waits() == why
    assert clinic.charted() == set()
    assert clinic.patients() == {one["id"] for one in there}


def test_who_died_after_the_visit_is_charted_and_asked_of_each_time() -> None:
    clinic = Clinic(an_ehr_patient(deceasedDateTime="2026-03-05"))

    clinic.take(visit(1))
    clinic.take(visit(9))

    assert [row.state for row in clinic.patient_rows()] == ["delivered", "held"]
    assert clinic.waits() == {"deceased"}


def test_a_merged_patient_is_found_at_the_one_that_is_left() -> None:
    clinic = Clinic(an_ehr_patient("ehr-9", "SYN-9"), an_ehr_patient(**merged_into("ehr-9")))

    clinic.take(visit())

    assert clinic.charted() == {"ehr-9"}


def test_what_was_held_goes_once_the_registrar_has_put_it_right() -> None:
    clinic = Clinic(an_ehr_patient(birthDate="1984-11-06"))
    clinic.take(visit())
    clinic.take(visit(2))
    put(clinic.ehr, an_ehr_patient())
    clinic.clock.advance(AFTER_A_LEASE)

    clinic.retry(clinic.patient_rows()[0].id)
    clinic.sync()

    assert set(clinic.states()) == {"delivered"}
    assert clinic.charted() == {"ehr-1"}
    assert len(clinic.ehr.all_of("Observation")) == 2


def test_two_of_ours_are_never_linked_to_one_of_theirs() -> None:
    clinic = Clinic(an_ehr_patient())

    clinic.take(visit())
    clinic.take(visit(1, "pt-2"))

    assert sorted(one.why for one in clinic.links()) == ["", "taken"]
    assert [row.state for row in clinic.patient_rows()].count("held") == 1


def grade(*found: tuple[dict[str, Any], str]) -> Any:
    return lambda _patient: list(found)


WHO = an_ehr_patient(identifier=[])
TAG = dict(zip(("system", "code"), GOLDEN, strict=True))
GOLD = {**an_ehr_patient("gold", identifier=[]), "meta": {"tag": [TAG]}}
TWIN = {**WHO, "name": [{"family": "Synthetic-Alvarez", "given": ["Proba"]}]}
MATCHES: dict[str, tuple[list[tuple[dict[str, Any], str]], str]] = {
    "certain": ([(WHO, "certain")], ""),
    "certain beside a golden record": ([(GOLD, "certain"), (WHO, "certain")], ""),
    "certain beside a possible one": (
        [(WHO, "certain"), (an_ehr_patient("ehr-2", identifier=[]), "possible")], "",
    ),
    "probable": ([(WHO, "probable")], "nobody"),
    "two": ([(WHO, "certain"), (an_ehr_patient("ehr-2", identifier=[]), "certain")], "several"),
    "a golden record alone": ([(GOLD, "certain")], "nobody"),
    "the twin": ([(TWIN, "certain")], "given-name"),
    "another number": ([(an_ehr_patient(number="SYN-000777"), "certain")], "number"),
}  # fmt: skip


@pytest.mark.parametrize("case", MATCHES)
def test_r26_of_match_one_that_is_certain_counts_and_is_checked(case: str) -> None:
    found, why = MATCHES[case]
    clinic = Clinic(*(one for one, _ in found))
    clinic.offer_match(grade(*found))

    clinic.take(visit())

    assert clinic.link.why == why
    assert clinic.charted() == (set() if why else {"ehr-1"})
    assert not why or clinic.patient_rows()[0].state == "held"


def test_match_is_asked_for_certain_ones_with_the_numbers_that_the_ehr_knows() -> None:
    clinic = Clinic()
    clinic.offer_match(lambda _patient: [])

    clinic.take(visit())

    (asked,) = [one for one in clinic.matching.sent if one.url.endswith("$match")]
    given = {one["name"]: one for one in codec.decode(asked.body or b"")["parameter"]}
    assert given["onlyCertainMatches"]["valueBoolean"] is True
    assert given["count"]["valueInteger"] == 5
    assert given["resource"]["resource"]["identifier"] == [{"system": HOSPITAL, "value": NUMBER}]


def test_o14_the_last_guard_holds_what_the_ledger_would_send_elsewhere() -> None:
    clinic = Clinic(an_ehr_patient(), an_ehr_patient("ehr-2", "SYN-2"))
    clinic.take(visit())
    with clinic.store.begin() as tx:
        tx.execute(lines.update().where(lines.c.type == "Patient").values(ehr_id="ehr-2"))

    clinic.take(visit(2))

    assert clinic.patient_rows()[1].reason.startswith("wrong-patient: ")
    assert clinic.charted() == {"ehr-1"}


def test_who_did_not_agree_to_share_is_not_asked_for_either() -> None:
    clinic = Clinic(an_ehr_patient())
    refused = {"id": "c-1", "kind": "sharing", "status": "rejected", "recipient": "*"}

    clinic.take({**visit(), "consents": [refused]})

    assert [row.state for row in clinic.patient_rows()] == ["held"]
    assert not [one for one in clinic.matching.sent if "Patient" in one.url]
    assert clinic.links() == []


@pytest.mark.parametrize("status", [503, 500, 404, 400])
def test_where_the_ehr_does_not_say_who_it_is_nothing_goes(status: int) -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.matching.choose = lambda one: Says(status=status) if "_search" in one.url else None

    clinic.take(visit())

    assert clinic.charted() == set()
    assert {row.state for row in clinic.patient_rows()} == {"held" if status < 500 else "pending"}
    clinic.matching.choose = lambda _one: None
    clinic.retry(clinic.patient_rows()[0].id)
    clinic.settle()
    assert clinic.charted() == {"ehr-1"}
