"""What an EHR knows, as an operator chooses, asks and reads it at a command line."""

from typing import Any

import pytest

from fhirbridge.fhir import codec
from tests.factories import a_short_visit
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow
SCRIPT = "<script>alert(1)</script>\x1b[31m[red]"


def there(ehr: EhrAtWork, resource: dict[str, Any]) -> None:
    reference = f"/{resource['resourceType']}/{resource['id']}"
    headers = {"Content-Type": codec.FHIR_JSON}
    assert ehr.model.handle("PUT", reference, headers, codec.encode(resource)).status == 201


def test_an_operator_chooses_what_is_asked_asks_and_reads_it(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    (ours,) = ehr.history("Patient")
    lane = {one.record_id: one for one in desk.evidence("delivery.queued")}
    assert lane
    snomed = {"system": "http://snomed.info/sct", "code": "77386006"}
    subject = {"reference": f"Patient/{ours['id']}"}
    there(ehr, {"resourceType": "Condition", "id": "con-1", "subject": subject,
                "code": {"coding": [snomed], "text": SCRIPT}})  # fmt: skip
    (chart,) = {one["patient"] for one in [desk.json("incident", ours["id"])]}

    wrong = desk.run("destination", "set", "ehr", "--pull", "condition")
    (chosen,) = desk.json("destination", "set", "ehr", "--pull", "conditions,plans")
    pulled = desk.run("patient", "pull", chart, "--json")
    plain = desk.run("patient", "show", "ehr", chart)
    open_ = desk.run("patient", "show", "ehr", chart, "--show-values")
    data = desk.json("patient", "show", "ehr", chart, "--show-values")

    assert (wrong.status, "demographics" in wrong.err) == (64, True)
    assert chosen["pull"] == ["conditions", "plans"]
    assert pulled.status == 0
    assert [(one["type"], one["theirs"]) for one in pulled.data[0]["types"]] == [
        ("Condition", 1), ("CarePlan", 0), ("Goal", 0)
    ]  # fmt: skip
    assert "script" not in pulled.out + plain.out
    assert "77386006" not in pulled.out + plain.out
    assert "the EHR has 1" in plain.out
    assert "\x1b[31m" not in open_.out
    assert "\\u001b[31m[red]" in open_.out.replace("\n", "").replace("│", "")
    assert "pregnancy" in open_.out
    assert "Only a clinician can say" in open_.err
    assert [one["contraindication"] for one in data["ehr"]["flags"]] == ["pregnancy"]
    assert len(desk.evidence("ehr.read")) == 2


def test_an_ehr_that_refuses_is_told_of_and_is_exit_status_3(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    (ours,) = ehr.history("Patient")
    chart = desk.json("incident", ours["id"])["patient"]
    desk.run("destination", "set", "ehr", "--pull", "all")
    ehr.before = lambda one: (403, b"{}") if one.path.endswith("/Goal/_search") else None

    said = desk.run("patient", "pull", chart)
    unknown = desk.run("patient", "pull", "k" * 53)

    assert said.status == 3
    assert "refused 403" in said.out
    assert "not known: the EHR refused (403)" in desk.run("patient", "show", "ehr", chart).out
    assert (unknown.status, "no record is of this patient" in unknown.err) == (1, True)
