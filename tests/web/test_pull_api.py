"""A clinic's system hears what changed in an EHR and asks what it is; each reading is noted."""

from typing import Any

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from fhirbridge.web.app import create_app
from tests.pull.hospital import Hospital, a_condition
from tests.web.documented_client import DocumentedClient, hold_to_its_document
from tests.web.service import EVENTS, MOST_BYTES


class Asker:
    """An integrator at the API in front of a hospital's bridge."""

    def __init__(self, hospital: Hospital, role: Role = Role.INTEGRATOR) -> None:
        app = create_app(hospital.bridge, most_bytes=MOST_BYTES)
        hold_to_its_document(app)
        self._client: Any = app.test_client()
        secret = hospital.bridge.make_token(name=f"a-{role}", role=role, actor="test")
        self._client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        assert isinstance(self._client, DocumentedClient)

    def get(self, path: str) -> tuple[int, Any]:
        answer = self._client.get(path)
        return answer.status_code, codec.decode(answer.data)


def of_the_ehr(told: Any) -> list[dict[str, Any]]:
    """What changed there; the deliveries before it are told as well."""
    return [one for one in told["events"] if one["kind"] == "ehr.changed"]


@pytest.fixture
def hospital() -> Hospital:
    made = Hospital(a_condition())
    made.pull()
    return made


def test_from_an_event_to_what_the_ehr_has(hospital: Hospital) -> None:
    asker = Asker(hospital)

    _, told = asker.get(f"{EVENTS}?after=0")
    (event,) = of_the_ehr(told)
    status, found = asker.get(f"/api/v1/patients/{event['patient']}/ehr")

    last = event["sequence"]
    assert (told["last"], told["more"]) == (last, False)
    assert asker.get(f"{EVENTS}?after={last}") == (
        200, {"events": [], "last": last, "more": False}
    )  # fmt: skip
    assert status == 200
    assert found["clinic_patient"] == "pt-1"
    assert found["sessions"] == [hospital.receipt.id]
    (there,) = found["destinations"]
    assert [one["contraindication"] for one in there["flags"]] == ["pregnancy"]
    bodies = {one["resource"]: one["body"] for one in there["resources"]}
    assert bodies["Condition/con-1"]["code"]["coding"][0]["code"] == "77386006"


def test_s17_each_reading_is_noted_also_of_a_patient_who_is_none(hospital: Hospital) -> None:
    asker = Asker(hospital)

    asker.get(f"/api/v1/patients/{hospital.lane}/ehr")
    status, problem = asker.get(f"/api/v1/patients/{'k' * 53}/ehr")

    assert (status, problem["code"]) == (404, "E442")
    rows = [(row.actor, row.outcome) for row in hospital.evidence("ehr.read")]
    assert rows == [("token:a-integrator", "ok"), ("token:a-integrator", "not found")]


def test_events_hold_no_name_and_no_id_that_the_ehr_gave(hospital: Hospital) -> None:
    _, told = Asker(hospital, Role.OPERATOR).get(EVENTS)

    (event,) = of_the_ehr(told)
    assert set(event["detail"]) == {"type", "version", "added", "changed", "removed"}
    assert "ehr-1" not in codec.encode(event).decode()
    assert "con-1" not in codec.encode(event).decode()


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 30, "", "1%20", "%D9%A1"])
def test_after_what_is_no_sequence_is_refused(hospital: Hospital, after: str) -> None:
    status, problem = Asker(hospital).get(f"{EVENTS}?after={after}")

    assert (status, problem["code"]) == (400, "E916")
