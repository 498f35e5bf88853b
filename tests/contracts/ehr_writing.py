"""The part of the EHR contract about single writes."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.contracts.ehr_checks import ABSENT, REFUSED, WithClient, assert_outcome, race
from tests.contracts.ehr_client import (
    SYSTEM,
    EhrClient,
    a_patient,
    an_observation,
    json,
    new,
    put_entry,
    without_id,
)


def _weighing(patient: str, resource_id: str, number: str) -> dict[str, Any]:
    quantity = {"value": Decimal(number), "unit": "kg"}
    return an_observation(patient, resource_id, valueQuantity=quantity)


class GuardedCreateContract(WithClient):
    """`If-Match: W/"0"` creates once, and never over anything."""

    def test_it_creates_what_was_never_there(self, ehr: EhrClient) -> None:
        answer = ehr.put(a_patient(), If_Match=ABSENT)

        assert answer.status_code == 201
        assert answer.headers["ETag"] == 'W/"1"'

    def test_it_refuses_what_is_there_even_when_equal(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient, If_Match=ABSENT)

        again = ehr.put(patient, If_Match=ABSENT)

        assert_outcome(again, *REFUSED)
        assert ehr.versions(f"Patient/{patient['id']}") == ["1"]

    def test_of_eight_at_once_exactly_one_wins(self, base_url: str, ehr: EhrClient) -> None:
        resource_id = new("race")

        def create(client: EhrClient, number: int) -> requests.Response:
            return client.put(a_patient(resource_id, language=f"x-{number}"), If_Match=ABSENT)

        statuses = race(base_url, create)

        assert statuses.count(201) == 1
        assert set(statuses) - {201} <= REFUSED
        assert ehr.versions(f"Patient/{resource_id}") == ["1"]

    def test_it_guards_inside_a_transaction_too(self, ehr: EhrClient) -> None:
        patient = a_patient()
        other = a_patient()
        first = ehr.run("transaction", put_entry(patient, ifMatch=ABSENT))

        second = ehr.run(
            "transaction", put_entry(other, ifMatch=ABSENT), put_entry(patient, ifMatch=ABSENT)
        )

        assert first.status_code == 200
        assert_outcome(second, *REFUSED)
        assert ehr.get(f"Patient/{other['id']}").status_code == 404

    def test_of_eight_transactions_at_once_exactly_one_wins(
        self, base_url: str, ehr: EhrClient
    ) -> None:
        patient = a_patient()
        observation = an_observation(f"Patient/{patient['id']}")

        def create(client: EhrClient, _: int) -> requests.Response:
            return client.run(
                "transaction",
                put_entry(observation, ifMatch=ABSENT),
                put_entry(patient, ifMatch=ABSENT),
            )

        statuses = race(base_url, create)

        assert statuses.count(200) == 1
        assert set(statuses) - {200} <= REFUSED
        assert ehr.versions(f"Observation/{observation['id']}") == ["1"]

    def test_it_does_not_bring_back_what_was_deleted(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)
        ehr.delete(f"Patient/{patient['id']}")

        single = ehr.put(patient, If_Match=ABSENT)
        bundled = ehr.run("transaction", put_entry(patient, ifMatch=ABSENT))

        assert_outcome(single, *REFUSED)
        assert_outcome(bundled, *REFUSED)
        assert ehr.get(f"Patient/{patient['id']}").status_code == 410


class UpdateContract(WithClient):
    """An update changes what it read, or nothing."""

    def test_one_without_a_guard_creates_under_our_id(self, ehr: EhrClient) -> None:
        patient = a_patient()

        answer = ehr.put(patient)

        assert answer.status_code == 201
        assert json(ehr.get(f"Patient/{patient['id']}"))["id"] == patient["id"]

    def test_one_at_the_current_version_makes_the_next(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)

        answer = ehr.put({**patient, "active": True}, If_Match='W/"1"')

        assert answer.status_code == 200
        assert answer.headers["ETag"] == 'W/"2"'
        assert json(answer)["meta"]["versionId"] == "2"

    def test_one_at_an_old_version_is_refused_and_changes_nothing(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)
        edited = {**patient, "active": False}
        ehr.put(edited)

        answer = ehr.put({**patient, "active": True}, If_Match='W/"1"')

        assert_outcome(answer, *REFUSED)
        held = json(ehr.get(f"Patient/{patient['id']}"))
        assert (held["meta"]["versionId"], held["active"]) == ("2", False)

    def test_one_at_a_version_that_never_was_is_refused(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)

        assert_outcome(ehr.put({**patient, "active": True}, If_Match='W/"7"'), *REFUSED)

    def test_of_eight_at_one_version_exactly_one_wins(self, base_url: str, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)

        def edit(client: EhrClient, number: int) -> requests.Response:
            return client.put({**patient, "language": f"x-{number}"}, If_Match='W/"1"')

        statuses = race(base_url, edit)

        assert statuses.count(200) == 1
        assert set(statuses) - {200} <= REFUSED
        assert ehr.versions(f"Patient/{patient['id']}") == ["2", "1"]

    def test_an_equal_one_makes_no_version(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)

        again = ehr.put(dict(reversed(patient.items())))

        assert again.status_code == 200
        assert again.headers["ETag"] == 'W/"1"'
        assert ehr.versions(f"Patient/{patient['id']}") == ["1"]

    def test_what_was_read_can_be_sent_back_without_a_version(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)
        held = json(ehr.get(f"Patient/{patient['id']}"))

        again = ehr.put(held, If_Match='W/"1"')

        assert again.status_code == 200
        assert ehr.versions(f"Patient/{patient['id']}") == ["1"]

    def test_labels_outlive_an_update_that_leaves_them_out(self, ehr: EhrClient) -> None:
        label = {"system": "urn:example:label", "code": "kept"}
        patient = a_patient()
        ehr.put({**patient, "meta": {"tag": [label], "security": [label]}})

        ehr.put({**patient, "active": True})

        meta = json(ehr.get(f"Patient/{patient['id']}"))["meta"]
        assert (meta["tag"], meta["security"]) == ([label], [label])

    @pytest.mark.parametrize("number", ["72.50", "0.10", "70", "0.000001", "123456789.123456789"])
    def test_a_decimal_keeps_its_digits(self, ehr: EhrClient, patient: str, number: str) -> None:
        observation = _weighing(patient, new("o"), number)

        ehr.put(observation)

        text = ehr.get(f"Observation/{observation['id']}").text.replace(" ", "")
        assert f'"value":{number},' in text

    def test_other_digits_of_one_number_are_a_change(self, ehr: EhrClient, patient: str) -> None:
        resource_id = new("o")

        for number in ("72.50", "72.50", "72.5"):
            ehr.put(_weighing(patient, resource_id, number))

        assert ehr.versions(f"Observation/{resource_id}") == ["2", "1"]


class DeleteContract(WithClient):
    """What was deleted is gone, and its past stays."""

    def test_it_is_gone_to_reads_and_searches(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)

        answer = ehr.delete(f"Patient/{patient['id']}")

        assert answer.status_code in {200, 204}
        assert_outcome(ehr.get(f"Patient/{patient['id']}"), 410)
        assert ehr.search(f"Patient?_id={patient['id']}") == []

    def test_its_past_can_be_read(self, ehr: EhrClient) -> None:
        patient = a_patient()
        path = f"Patient/{patient['id']}"
        ehr.put(patient)
        ehr.delete(path)

        history = json(ehr.get(f"{path}/_history"))

        assert [each["request"]["method"] for each in history["entry"]] == ["DELETE", "POST"]
        assert "resource" not in history["entry"][0]
        assert ehr.get(f"{path}/_history/1").status_code == 200

    def test_deleting_nothing_is_no_error(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)
        ehr.delete(f"Patient/{patient['id']}")

        assert ehr.delete(f"Patient/{patient['id']}").status_code in {200, 204}
        assert ehr.delete(f"Patient/{new()}").status_code in {200, 204, 404}

    def test_an_unguarded_update_brings_it_back_at_a_later_version(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)
        ehr.delete(f"Patient/{patient['id']}")

        answer = ehr.put(patient)

        assert answer.status_code == 201
        assert int(json(answer)["meta"]["versionId"]) > 2

    def test_what_others_refer_to_is_not_deleted(self, ehr: EhrClient, patient: str) -> None:
        ehr.put(an_observation(patient))

        assert_outcome(ehr.delete(patient), 409)
        assert ehr.get(patient).status_code == 200


class ReferenceContract(WithClient):
    """Nothing may point at nothing."""

    def test_a_dangling_reference_is_refused(self, ehr: EhrClient) -> None:
        observation = an_observation(f"Patient/{new()}")

        assert_outcome(ehr.put(observation), 400)
        assert ehr.get(f"Observation/{observation['id']}").status_code == 404

    def test_a_reference_to_what_was_deleted_is_refused(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)
        ehr.delete(f"Patient/{patient['id']}")

        assert_outcome(ehr.put(an_observation(f"Patient/{patient['id']}")), 400, 409, 410)

    def test_a_reference_to_another_server_is_refused(self, ehr: EhrClient) -> None:
        assert_outcome(ehr.put(an_observation("http://elsewhere.invalid/fhir/Patient/1")), 400)

    def test_a_logical_reference_needs_no_target(self, ehr: EhrClient, patient: str) -> None:
        performer = [{"identifier": {"system": SYSTEM, "value": new()}, "display": "someone"}]

        assert ehr.put(an_observation(patient, performer=performer)).status_code == 201

    def test_a_contained_resource_can_be_referred_to(self, ehr: EhrClient, patient: str) -> None:
        observation = an_observation(
            patient,
            contained=[{"resourceType": "Device", "id": "d", "lotNumber": "L1"}],
            device={"reference": "#d"},
        )

        ehr.put(observation)

        held = json(ehr.get(f"Observation/{observation['id']}"))
        assert held["device"]["reference"] == f"#{held['contained'][0]['id'].lstrip('#')}"

    def test_a_version_in_a_reference_is_dropped(self, ehr: EhrClient, patient: str) -> None:
        observation = an_observation(f"{patient}/_history/1")

        ehr.put(observation)

        held = json(ehr.get(f"Observation/{observation['id']}"))
        assert held["subject"]["reference"] == patient


class ConditionalContract(WithClient):
    """Where the server gives the ids, one identifier still has one resource."""

    def test_a_conditional_create_creates_once(self, ehr: EhrClient) -> None:
        patient = without_id(a_patient())
        condition = f"identifier={SYSTEM}|{patient['identifier'][0]['value']}"

        first = ehr.post(patient, If_None_Exist=condition)
        second = ehr.post({**patient, "active": True}, If_None_Exist=condition)

        assert (first.status_code, second.status_code) == (201, 200)
        assert first.headers["Location"] == second.headers.get("Location", "") or (
            json(first)["id"] == json(second)["id"]
        )
        assert "active" not in json(ehr.get(f"Patient/{json(first)['id']}"))

    def test_a_conditional_create_with_several_matches_is_refused(self, ehr: EhrClient) -> None:
        patient = without_id(a_patient())
        condition = f"identifier={SYSTEM}|{patient['identifier'][0]['value']}"
        ehr.post(patient)
        ehr.post(patient)

        assert_outcome(ehr.post(patient, If_None_Exist=condition), 412)

    def test_the_location_of_what_was_created_leads_to_it(self, ehr: EhrClient) -> None:
        answer = ehr.post(without_id(a_patient()))

        assert answer.status_code == 201
        assert ehr.get(answer.headers["Location"]).status_code == 200

    def test_a_conditional_update_creates_then_updates(self, ehr: EhrClient) -> None:
        patient = without_id(a_patient())
        path = f"Patient?identifier={quote(SYSTEM + '|' + patient['identifier'][0]['value'])}"

        answers = [
            ehr.send("PUT", path, body) for body in (patient, patient, {**patient, "active": True})
        ]

        assert [each.status_code for each in answers] == [201, 200, 200]
        assert [each.headers["ETag"] for each in answers] == ['W/"1"', 'W/"1"', 'W/"2"']

    def test_a_conditional_update_with_several_matches_is_refused(self, ehr: EhrClient) -> None:
        patient = without_id(a_patient())
        path = f"Patient?identifier={quote(SYSTEM + '|' + patient['identifier'][0]['value'])}"
        ehr.post(patient)
        ehr.post(patient)

        assert_outcome(ehr.send("PUT", path, patient), 412)

    @pytest.mark.parametrize("condition", ["nonsense", "nonsense=1"])
    def test_a_condition_it_does_not_understand_is_refused(
        self, ehr: EhrClient, condition: str
    ) -> None:
        assert_outcome(ehr.post(without_id(a_patient()), If_None_Exist=condition), 400)
