"""The part of the EHR contract about Bundles that are run, and about refusals."""

from datetime import datetime

import pytest

from tests.contracts.ehr_checks import ABSENT, REFUSED, WithClient, assert_outcome
from tests.contracts.ehr_client import (
    SYSTEM,
    EhrClient,
    a_patient,
    an_observation,
    entry,
    json,
    new,
    put_entry,
    without_id,
)


class TransactionContract(WithClient):
    """A transaction is done whole or not at all."""

    def test_its_answers_come_in_the_order_of_its_entries(
        self, ehr: EhrClient, patient: str
    ) -> None:
        observation, other = an_observation(patient), a_patient()
        ehr.put(other)

        answer = ehr.run(
            "transaction", put_entry(observation), put_entry({**other, "active": True})
        )

        bundle = json(answer)
        assert (answer.status_code, bundle["type"]) == (200, "transaction-response")
        made, changed = (each["response"] for each in bundle["entry"])
        assert made["status"].split()[0] == "201"
        assert made["location"].endswith(f"Observation/{observation['id']}/_history/1")
        assert datetime.fromisoformat(made["lastModified"]).tzinfo
        assert changed["status"].split()[0] == "200"
        # R4 shows W/"2", HAPI writes 2.
        assert changed["etag"] in {"2", 'W/"2"'}

    def test_an_equal_one_makes_no_version(self, ehr: EhrClient) -> None:
        patient = a_patient()
        observation = an_observation(f"Patient/{patient['id']}")
        entries = [put_entry(observation), put_entry(patient)]
        ehr.run("transaction", *entries)

        again = json(ehr.run("transaction", *entries))

        assert [each["response"]["status"].split()[0] for each in again["entry"]] == ["200", "200"]
        assert ehr.versions(f"Observation/{observation['id']}") == ["1"]

    def test_one_dangling_reference_undoes_all(self, ehr: EhrClient) -> None:
        patient = a_patient()

        answer = ehr.run(
            "transaction", put_entry(patient), put_entry(an_observation(f"Patient/{new()}"))
        )

        assert_outcome(answer, 400)
        assert ehr.get(f"Patient/{patient['id']}").status_code == 404

    def test_one_stale_guard_undoes_all(self, ehr: EhrClient) -> None:
        old, fresh = a_patient(), a_patient()
        ehr.put(old)
        ehr.put({**old, "active": False})

        answer = ehr.run(
            "transaction",
            put_entry(fresh, ifMatch=ABSENT),
            put_entry({**old, "active": True}, ifMatch='W/"1"'),
        )

        assert_outcome(answer, *REFUSED)
        assert ehr.get(f"Patient/{fresh['id']}").status_code == 404
        assert json(ehr.get(f"Patient/{old['id']}"))["active"] is False

    def test_an_entry_may_refer_to_a_later_one(self, ehr: EhrClient) -> None:
        patient = a_patient()
        observation = an_observation(f"Patient/{patient['id']}")

        answer = ehr.run("transaction", put_entry(observation), put_entry(patient))

        assert answer.status_code == 200
        assert ehr.search(f"Observation?patient=Patient/{patient['id']}") == [observation["id"]]

    def test_a_placeholder_becomes_the_id_that_the_server_gave(self, ehr: EhrClient) -> None:
        name = "urn:uuid:0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0"
        patient = without_id(a_patient())
        observation = an_observation(name)

        answer = ehr.run(
            "transaction", put_entry(observation), entry("POST", "Patient", patient, full_url=name)
        )

        location = json(answer)["entry"][1]["response"]["location"]
        held = json(ehr.get(f"Observation/{observation['id']}"))
        assert held["subject"]["reference"] == location.split("/_history")[0]

    def test_a_placeholder_of_nothing_is_refused(self, ehr: EhrClient) -> None:
        name = "urn:uuid:0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f1"

        assert_outcome(ehr.run("transaction", put_entry(an_observation(name))), 400)

    def test_a_conditional_reference_is_resolved(self, ehr: EhrClient, patient: str) -> None:
        token = f"{SYSTEM}|{patient.removeprefix('Patient/')}"
        observation = an_observation(f"Patient?identifier={token}")

        ehr.run("transaction", put_entry(observation))

        held = json(ehr.get(f"Observation/{observation['id']}"))
        assert held["subject"]["reference"] == patient

    def test_a_conditional_reference_to_nothing_is_refused(self, ehr: EhrClient) -> None:
        observation = an_observation(f"Patient?identifier={SYSTEM}|{new()}")

        assert_outcome(ehr.run("transaction", put_entry(observation)), 404, 412)

    def test_a_conditional_create_finds_or_makes(self, ehr: EhrClient) -> None:
        name = "urn:uuid:0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f2"
        patient = without_id(a_patient())
        condition = f"identifier={SYSTEM}|{patient['identifier'][0]['value']}"
        create = entry("POST", "Patient", patient, full_url=name, ifNoneExist=condition)

        bundles = [
            json(ehr.run("transaction", create, put_entry(an_observation(name)))) for _ in range(2)
        ]

        statuses = [each["entry"][0]["response"]["status"].split()[0] for each in bundles]
        locations = {each["entry"][0]["response"]["location"] for each in bundles}
        assert (statuses, len(locations)) == (["201", "200"], 1)

    def test_two_entries_for_one_resource_are_refused(self, ehr: EhrClient) -> None:
        patient = a_patient()
        twins = put_entry(patient), put_entry({**patient, "active": True})

        assert_outcome(ehr.run("transaction", *twins), 400)

    def test_what_refers_and_what_is_referred_to_are_deleted_together(
        self, ehr: EhrClient, patient: str
    ) -> None:
        observation = an_observation(patient)
        ehr.put(observation)

        answer = ehr.run(
            "transaction",
            entry("DELETE", patient),
            entry("DELETE", f"Observation/{observation['id']}"),
        )

        assert answer.status_code == 200
        assert ehr.get(patient).status_code == 410

    def test_a_hundred_entries_are_done_at_once(self, ehr: EhrClient, patient: str) -> None:
        entries = [put_entry(an_observation(patient), ifMatch=ABSENT) for _ in range(100)]

        bundle = json(ehr.run("transaction", *entries))

        statuses = {each["response"]["status"].split()[0] for each in bundle["entry"]}
        assert (len(bundle["entry"]), statuses) == (100, {"201"})

    def test_the_resources_come_back_when_asked_for(self, ehr: EhrClient) -> None:
        patient = a_patient()

        answer = ehr.run("transaction", put_entry(patient), Prefer="return=representation")

        assert json(answer)["entry"][0]["resource"]["id"] == patient["id"]


class BatchContract(WithClient):
    """A batch is many requests in one, each for itself."""

    def test_many_are_read_back_at_once(self, ehr: EhrClient, patient: str) -> None:
        gone = a_patient()
        ehr.put(gone)
        ehr.delete(f"Patient/{gone['id']}")

        answer = ehr.run(
            "batch",
            entry("GET", patient),
            entry("GET", f"Patient/{new()}"),
            entry("GET", f"Patient/{gone['id']}"),
        )

        bundle = json(answer)
        assert (answer.status_code, bundle["type"]) == (200, "batch-response")
        statuses = [each["response"]["status"].split()[0] for each in bundle["entry"]]
        assert statuses == ["200", "404", "410"]
        assert bundle["entry"][0]["resource"]["id"] == patient.removeprefix("Patient/")
        assert bundle["entry"][0]["resource"]["meta"]["versionId"] == "1"

    def test_one_refusal_does_not_undo_the_others(self, ehr: EhrClient) -> None:
        patient, stale = a_patient(), a_patient()
        ehr.put(stale)

        answer = ehr.run(
            "batch",
            put_entry({**stale, "active": True}, ifMatch='W/"9"'),
            put_entry(patient, ifMatch=ABSENT),
        )

        first, second = (each["response"] for each in json(answer)["entry"])
        assert int(first["status"].split()[0]) in REFUSED
        assert first["outcome"]["resourceType"] == "OperationOutcome"
        assert second["status"].split()[0] == "201"


class RefusalContract(WithClient):
    """Every error is an OperationOutcome, and nothing was done."""

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b'{"a": 1}', b'{"resourceType": "Observation"}']
    )
    def test_a_body_that_is_not_the_resource_is_refused(self, ehr: EhrClient, body: bytes) -> None:
        assert_outcome(ehr.send("PUT", f"Patient/{new()}", body), 400)

    def test_another_media_type_is_refused(self, ehr: EhrClient) -> None:
        answer = ehr.send(
            "POST", "Patient", b'{"resourceType": "Patient"}', {"Content-Type": "text/plain"}
        )

        assert_outcome(answer, 400, 415)

    def test_plain_json_is_taken(self, ehr: EhrClient) -> None:
        body = b'{"resourceType": "Patient"}'

        answer = ehr.send("POST", "Patient", body, {"Content-Type": "application/json"})

        assert answer.status_code == 201

    def test_an_id_that_differs_from_the_url_is_refused(self, ehr: EhrClient) -> None:
        patient = a_patient()

        assert_outcome(ehr.send("PUT", f"Patient/{new()}", patient), 400)
        assert_outcome(ehr.send("PUT", f"Patient/{patient['id']}", without_id(patient)), 400)

    @pytest.mark.parametrize("resource_id", ["20011224", "a_b", "a" * 65])
    def test_an_id_that_a_client_may_not_choose_is_refused(
        self, ehr: EhrClient, resource_id: str
    ) -> None:
        assert_outcome(ehr.put(a_patient(resource_id)), 400)

    def test_an_unknown_type_is_refused(self, ehr: EhrClient) -> None:
        assert_outcome(ehr.get("Treatment/1"), 404)
        assert_outcome(ehr.put({"resourceType": "Treatment", "id": new()}), 404)

    def test_a_transaction_that_would_be_stored_is_refused(self, ehr: EhrClient) -> None:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": []}

        assert_outcome(ehr.send("POST", "Bundle", bundle), 422)

    def test_a_bundle_that_cannot_be_run_is_refused(self, ehr: EhrClient) -> None:
        assert_outcome(ehr.run("collection"), 400)
        assert_outcome(ehr.send("POST", "", a_patient()), 400)
