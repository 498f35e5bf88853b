from typing import Any

import pytest

from tests.sandbox.an_ehr import AnEhr, observation, patient, put_entry


def test_a_refusal_names_the_entry_and_the_element() -> None:
    answer = AnEhr().run(
        "transaction", put_entry(patient()), put_entry(observation("o", "nonsense"))
    )

    text = answer.body["issue"][0]["diagnostics"]
    assert text.startswith("entry 1: Observation.subject holds a reference")


def test_a_refused_transaction_uses_up_no_id() -> None:
    ehr = AnEhr()
    post = {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}
    ehr.run("transaction", post, put_entry(observation("o", "Patient/none")))

    made = ehr.run("transaction", post)

    assert made.body["entry"][0]["response"]["location"] == "Patient/1001/_history/1"


def test_the_id_in_the_url_wins_inside_a_transaction() -> None:
    ehr = AnEhr()
    entry = {"resource": patient("other"), "request": {"method": "PUT", "url": "Patient/a"}}

    ehr.run("transaction", entry)

    assert ehr.send("GET", "/Patient/a").body["id"] == "a"


def test_a_batch_shows_in_its_reads_what_it_wrote() -> None:
    read = {"request": {"method": "GET", "url": "Patient/a"}}

    answer = AnEhr().run("batch", read, put_entry(patient()))

    assert answer.body["entry"][0]["resource"]["id"] == "a"


def test_what_another_entry_makes_must_not_meet_a_condition_too() -> None:
    ehr = AnEhr()
    named = patient(identifier=[{"system": "urn:t", "value": "1"}])
    post = {
        "resource": named,
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:t|1"},
    }

    answer = ehr.run("transaction", post, put_entry(named))

    assert answer.status == 400
    assert ehr.model.snapshot() == ()


def test_a_deletion_that_leaves_a_dangling_reference_undoes_all() -> None:
    ehr = AnEhr()
    ehr.put(patient())
    delete = {"request": {"method": "DELETE", "url": "Patient/a"}}

    answer = ehr.run("transaction", delete, put_entry(observation()))

    assert answer.status == 409
    assert ehr.send("GET", "/Patient/a").status == 200


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"request": {}},
        {"request": {"method": "BREW", "url": "Patient/a"}},
        {"request": {"method": "GET", "url": 1}},
        {"request": {"method": "PUT", "url": "Patient/a"}},
        {"request": {"method": "PUT", "url": "Patient/a", "ifMatch": 1}, "resource": patient()},
        {"request": {"method": "PUT", "url": "Treatment/a"}, "resource": patient()},
        {"request": {"method": "PUT", "url": "Patient/a/b"}, "resource": patient()},
        {"request": {"method": "PUT", "url": "Patient"}, "resource": patient()},
        {"request": {"method": "PUT", "url": ""}, "resource": patient()},
        {"request": {"method": "POST", "url": "Patient/a"}, "resource": patient()},
        {"request": {"method": "DELETE", "url": "Patient"}},
        {"request": {"method": "PUT", "url": "http://elsewhere.invalid/Patient/a"}},
    ],
)
def test_an_entry_that_is_no_request_undoes_all(entry: dict[str, Any]) -> None:
    ehr = AnEhr()

    answer = ehr.run("transaction", put_entry(patient("b")), entry)

    assert (answer.status, ehr.model.snapshot()) == (400, ())


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_bundle_inside_a_bundle_is_not_run(kind: str) -> None:
    inner = {"resourceType": "Bundle", "type": kind, "entry": [put_entry(patient())]}
    ehr = AnEhr()

    ehr.run(kind, {"resource": inner, "request": {"method": "POST", "url": ""}})

    assert ehr.model.snapshot() == ()
