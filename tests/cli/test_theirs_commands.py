"""What is the EHR's own, as IT staff set it: by commands, each a process of its own."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.fhir import codec
from tests.journey import far_side, processes
from tests.matching.clinic import CLINIC, HOSPITAL, an_ehr_patient
from tests.matching.theirs.hospital import NUMBER, a_numbered_visit, an_encounter

pytestmark = pytest.mark.slow


def of_json(done: "subprocess.CompletedProcess[str]") -> Any:
    return codec.decode(done.stdout.encode())


def test_a_visit_is_left_out_until_a_table_names_its_encounter(tmp_path: Path) -> None:
    env = processes.environment(home=str(tmp_path / "home"))

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return processes.fhirbridge(*words, env=env)

    record, visits, bad = (tmp_path / name for name in ("v.json", "visits.csv", "bad.csv"))
    record.write_bytes(codec.encode(a_numbered_visit()))
    visits.write_text(f"ours,theirs\r\n{NUMBER},enc-1\r\n", encoding="utf-8-sig")
    bad.write_text(f"ours,theirs\n{NUMBER},\n=1,x\n", encoding="utf-8")
    with processes.serving(tmp_path, "sandbox", env=processes.environment()) as server:
        sandbox = f"{server.url}/fhir"
        for body in (an_ehr_patient(), an_encounter()):
            answer = requests.put(
                f"{sandbox}/{body['resourceType']}/{body['id']}",
                data=codec.encode(body),
                headers={"Content-Type": codec.FHIR_JSON},
                timeout=60,
            )
            assert answer.status_code == 201
        assert run("init").returncode == 0
        added = run(
            "destination", "add", "ehr", sandbox, "--patients", "match",
            "--patient-system", f"{CLINIC}={HOSPITAL}", "--theirs", "Encounter",
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        assert run("ingest", str(record)).returncode == 0
        assert run("sync", "run").returncode == 0
        listed = run("theirs", "list", "--json")
        (left,) = of_json(listed)
        assert (listed.returncode, left["why"]) == (3, ["no-way"])

        refused = run("destination", "crosswalk", "load", "ehr", "visit", str(bad))
        assert (refused.returncode, NUMBER in refused.stderr) == (1, False)
        assert "line 2" in refused.stderr
        assert "line 3" in refused.stderr
        load = ("destination", "crosswalk", "load", "ehr", "visit", str(visits))
        assert run(*load, "--plan").returncode == 2
        assert run(*load).returncode == 0
        asked = run("theirs", "ask", "ehr", "--json")
        assert of_json(asked)["changed"] == 1
        assert run("sync", "plan").returncode == 2
        assert run("sync", "run").returncode == 0
        named = {one["encounter"]["reference"] for one in far_side.search(sandbox, "Observation")}
        assert named == {"Encounter/enc-1"}
        assert [one["id"] for one in far_side.search(sandbox, "Encounter")] == ["enc-1"]
        (link,) = of_json(run("theirs", "list", "--all", "--json"))
        assert run("theirs", "unlink", link["id"], "--reason", "another stay").returncode == 0
        assert run("sync", "run").returncode == 0
        assert not [one for one in far_side.search(sandbox, "Observation") if "encounter" in one]
