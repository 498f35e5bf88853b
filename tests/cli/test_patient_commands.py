"""Who is who, as IT staff decide it: by commands, each a process of its own."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.fhir import codec
from tests.journey import far_side, processes
from tests.journey.installation import SERIES
from tests.matching.clinic import CLINIC, HOSPITAL, an_ehr_patient

pytestmark = pytest.mark.slow

SYSTEM = f"{CLINIC}={HOSPITAL}"


def of_json(done: "subprocess.CompletedProcess[str]") -> Any:
    return codec.decode(done.stdout.encode())


def test_a_patient_who_is_not_certain_is_listed_shown_and_linked_by_a_person(
    tmp_path: Path,
) -> None:
    env = processes.environment(home=str(tmp_path / "home"))

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return processes.fhirbridge(*words, env=env)

    with processes.serving(tmp_path, "sandbox", env=processes.environment()) as server:
        sandbox = f"{server.url}/fhir"
        married = [{"family": "Newlywed", "given": ["Testa"]}]
        answer = requests.put(
            f"{sandbox}/Patient/ehr-1",
            data=codec.encode(an_ehr_patient(name=married)),
            headers={"Content-Type": codec.FHIR_JSON},
            timeout=60,
        )
        assert answer.status_code == 201
        assert run("init").returncode == 0
        added = run(
            "destination", "add", "ehr", sandbox, "--patients", "match", "--patient-system", SYSTEM
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        assert run("ingest", str(SERIES[0])).returncode == 0

        assert run("sync", "run").returncode == 3
        listed = run("patient", "list", "--json")
        (waiting,) = of_json(listed)
        assert (listed.returncode, waiting["why"]) == (3, ["family-name"])
        who = ("ehr", waiting["patient"])
        refused = run("patient", "link", *who, "ehr-1", "--reason", "married")
        assert refused.returncode == 1
        assert "--despite family-name" in refused.stderr
        despite = ("--despite", "family-name", "--reason", "married", "--json")
        linked = run("patient", "link", *who, "ehr-1", *despite)
        assert (linked.returncode, of_json(linked)["state"]) == (0, "linked")
        assert run("sync", "run").returncode == 0
        assert [one["id"] for one in far_side.search(sandbox, "Patient")] == ["ehr-1"]
        assert "Newlywed" not in run("patient", "show", *who).stdout
        assert "Newlywed" in run("patient", "show", *who, "--show-values").stdout
