"""The part of the EHR contract about reads and searches."""

from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import pytest

from tests.contracts.ehr_checks import WithClient, assert_outcome
from tests.contracts.ehr_client import (
    SYSTEM,
    EhrClient,
    a_patient,
    an_observation,
    json,
    link,
    new,
    put_entry,
)

FORM = "application/x-www-form-urlencoded"


class ReadContract(WithClient):
    """Reads say which version they show."""

    def test_a_read_names_its_version_in_header_and_body(self, ehr: EhrClient) -> None:
        patient = a_patient()
        ehr.put(patient)

        answer = ehr.get(f"Patient/{patient['id']}")

        assert answer.status_code == 200
        assert answer.headers["Content-Type"].split(";")[0] == "application/fhir+json"
        assert answer.headers["ETag"] == 'W/"1"'
        assert answer.headers["Last-Modified"].endswith("GMT")
        assert datetime.fromisoformat(json(answer)["meta"]["lastUpdated"]).tzinfo

    def test_what_never_was_is_404(self, ehr: EhrClient, patient: str) -> None:
        assert_outcome(ehr.get(f"Patient/{new()}"), 404)
        assert_outcome(ehr.get(f"Patient/{new()}/_history"), 404)
        assert_outcome(ehr.get(f"{patient}/_history/9"), 404)

    def test_an_unchanged_resource_is_not_sent_again(self, ehr: EhrClient, patient: str) -> None:
        answer = ehr.get(patient, If_None_Match='W/"1"')

        assert (answer.status_code, answer.content) == (304, b"")

    def test_each_version_can_be_read(self, ehr: EhrClient) -> None:
        patient = a_patient(active=True)
        ehr.put(patient)
        ehr.put({**patient, "active": False})

        first = json(ehr.get(f"Patient/{patient['id']}/_history/1"))

        assert (first["active"], first["meta"]["versionId"]) == (True, "1")

    def test_the_history_of_one_is_newest_first_and_paged(self, ehr: EhrClient) -> None:
        patient = a_patient()
        for active in (True, False, True):
            ehr.put({**patient, "active": active})

        bundle = json(ehr.get(f"Patient/{patient['id']}/_history"))
        paged = ehr.resources(f"Patient/{patient['id']}/_history?_count=1")

        assert (bundle["type"], bundle["total"]) == ("history", 3)
        assert [each["meta"]["versionId"] for each in paged] == ["3", "2", "1"]
        assert bundle["entry"][-1]["request"]["method"] == "POST"

    def test_the_history_of_a_type_shows_what_changed_since(self, ehr: EhrClient) -> None:
        patient = a_patient()
        stamp = json(ehr.put(patient))["meta"]["lastUpdated"]
        ehr.put({**patient, "active": True})

        found = ehr.resources(f"Patient/_history?_since={quote(stamp, safe='')}")

        ours = [each["meta"]["versionId"] for each in found if each.get("id") == patient["id"]]
        assert ours[0] == "2"

    def test_the_capability_statement_says_r4(self, ehr: EhrClient) -> None:
        statement = json(ehr.get("metadata"))

        assert statement["resourceType"] == "CapabilityStatement"
        assert statement["fhirVersion"] == "4.0.1"
        assert statement["software"]["name"]
        kinds = {each["type"]: each for each in statement["rest"][0]["resource"]}
        codes = {each["code"] for each in kinds["Patient"]["interaction"]}
        assert {"read", "vread", "update", "delete", "create", "search-type"} <= codes


class SearchContract(WithClient):
    """Search finds what is there now, whole, and by POST without telling the URL."""

    def test_an_identifier_finds_its_one_owner(self, ehr: EhrClient, patient: str) -> None:
        resource_id = patient.removeprefix("Patient/")

        token = quote(f"{SYSTEM}|{resource_id}", safe="")
        other = quote(f"urn:example:other|{resource_id}", safe="")
        assert ehr.search(f"Patient?identifier={token}") == [resource_id]
        assert ehr.search(f"Patient?identifier={resource_id}") == [resource_id]
        assert ehr.search(f"Patient?identifier={other}") == []

    def test_what_was_just_written_is_found(self, ehr: EhrClient) -> None:
        patient = a_patient()
        path = f"Patient?identifier={quote(SYSTEM + '|' + patient['id'], safe='')}"
        before = ehr.search(path)

        ehr.put(patient)

        assert (before, ehr.search(path)) == ([], [patient["id"]])

    def test_a_posted_search_shows_no_value_in_any_link(self, ehr: EhrClient, patient: str) -> None:
        for _ in range(3):
            ehr.put(an_observation(patient))
        form = urlencode({"patient": patient, "_count": "2"}).encode()

        answer = ehr.send("POST", "Observation/_search", form, {"Content-Type": FORM})

        bundle = json(answer)
        assert (answer.status_code, bundle["total"], len(bundle["entry"])) == (200, 3, 2)
        assert patient.removeprefix("Patient/") not in link(bundle, "next") + link(bundle, "self")
        assert len(json(ehr.get(link(bundle, "next")))["entry"]) == 1

    @pytest.mark.parametrize("value", ["a,b", "a|b", "a$b", "a\\b", "a b", "a+b&c=d", "é漢"])
    def test_an_identifier_of_any_letters_is_found(self, ehr: EhrClient, value: str) -> None:
        value += new()
        patient = a_patient(identifier=[{"system": SYSTEM, "value": value}])
        ehr.put(patient)
        escaped = value
        for special in "\\,$|":
            escaped = escaped.replace(special, f"\\{special}")

        assert ehr.search(f"Patient?{urlencode({'identifier': f'{SYSTEM}|{escaped}'})}") == [
            patient["id"]
        ]

    @pytest.mark.parametrize("parameter", ["patient", "subject"])
    def test_what_belongs_to_a_patient_is_found(
        self, ehr: EhrClient, patient: str, parameter: str
    ) -> None:
        observation = an_observation(patient)
        ehr.put(observation)

        assert ehr.search(f"Observation?{parameter}={patient}") == [observation["id"]]
        assert ehr.search(f"Observation?{parameter}=Patient/{new()}") == []

    def test_ids_are_found_one_or_several(self, ehr: EhrClient) -> None:
        one, two = a_patient(), a_patient()
        ehr.put(one)
        ehr.put(two)

        assert ehr.search(f"Patient?_id={one['id']}") == [one["id"]]
        both = ehr.search(f"Patient?_id={one['id']},{two['id']},{new()}")
        assert sorted(both) == sorted([one["id"], two["id"]])

    def test_times_narrow_a_search(self, ehr: EhrClient, patient: str) -> None:
        observation = an_observation(patient)
        answer = ehr.put(observation)
        written = datetime.fromisoformat(json(answer)["meta"]["lastUpdated"])

        def found(prefix: str, seconds: int) -> bool:
            instant = quote((written + timedelta(seconds=seconds)).isoformat(), safe="")
            path = f"Observation?patient={patient}&_lastUpdated={prefix}{instant}"
            return ehr.search(path) == [observation["id"]]

        assert found("ge", 0)
        assert found("le", 0)
        assert found("ge", -60)
        assert found("gt", -60)
        assert found("lt", 60)
        assert not found("ge", 60)
        assert not found("gt", 60)
        assert not found("lt", -60)
        assert not found("le", -60)

    def test_all_pages_together_hold_everything_once(self, ehr: EhrClient, patient: str) -> None:
        sent = sorted(an_observation(patient)["id"] for _ in range(13))
        entries = [put_entry(an_observation(patient, resource_id)) for resource_id in sent]
        ehr.run("transaction", *entries)

        assert sorted(ehr.search(f"Observation?patient={patient}&_count=5")) == sent
        assert sorted(ehr.search(f"Observation?patient={patient}")) == sent
        assert json(ehr.get(f"Observation?patient={patient}&_count=5"))["total"] == 13

    def test_a_total_can_be_had_alone(self, ehr: EhrClient, patient: str) -> None:
        ehr.put(an_observation(patient))

        bundle = json(ehr.get(f"Observation?patient={patient}&_summary=count"))

        assert (bundle["total"], bundle.get("entry", [])) == (1, [])

    @pytest.mark.parametrize(
        "path",
        ["Patient?nonsense=1", "Observation?_lastUpdated=nonsense", "Patient?_count=nonsense"],
    )
    def test_a_search_it_does_not_understand_is_refused(self, ehr: EhrClient, path: str) -> None:
        assert_outcome(ehr.get(path), 400)
