"""What an administrator sees: data on standard output, words on standard error, exit statuses."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.fhir import codec
from tests.egress.fake_server import FakeServer, answer, http
from tests.journey import processes
from tests.journey.installation import SERIES

pytestmark = pytest.mark.slow  # each command is a process of its own

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Run:
    env = processes.environment(home=str(home))
    return lambda *words: processes.fhirbridge(*words, env=env)


@pytest.fixture
def made(run: Run) -> Run:
    assert run("init").returncode == 0
    return run


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    with processes.serving(tmp_path, "sandbox", env=processes.environment()) as server:
        yield f"{server.url}/fhir"


def test_init_prints_the_token_alone_on_standard_output(run: Run, home: Path) -> None:
    done = run("init")

    assert done.returncode == 0
    assert done.stdout.startswith("fhirbridge_")
    assert done.stdout.count("\n") == 1
    assert {path.stat().st_mode & 0o777 for path in home.glob("*.key")} == {0o600}


def test_init_never_replaces_keys(made: Run, home: Path) -> None:
    before = (home / "site.key").read_bytes()

    done = made("init")

    assert done.returncode == 1
    assert "E803" in done.stderr
    assert (home / "site.key").read_bytes() == before


def test_every_command_before_init_says_what_to_run(run: Run) -> None:
    done = run("sync", "status")

    assert done.returncode == 1
    assert "fhirbridge init" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_use_is_64(run: Run) -> None:
    assert run("nosuch").returncode == 64
    assert run("serve", "--bind", "127.0.0.1:99999").returncode == 64
    assert run("ingest").returncode == 64


def test_a_key_file_open_to_others_stops_the_start(made: Run, home: Path) -> None:
    (home / "master.key").chmod(0o644)

    done = made("sync", "status")

    assert done.returncode == 1
    assert "chmod 600" in done.stderr


def test_safety_12_another_site_key_stops_the_start(made: Run, home: Path) -> None:
    (home / "site.key").write_text("ab12" * 16 + "\n")

    done = made("sync", "status")

    assert done.returncode == 1
    assert "second copy of every chart" in done.stderr


def test_a_misspelt_setting_is_named(home: Path) -> None:
    wrong = processes.environment(home=str(home), sit="x")
    done = processes.fhirbridge("sync", "status", env=wrong)

    assert done.returncode == 1
    assert "FHIRBRIDGE_SIT: there is no such setting" in done.stderr


def test_a_mistake_in_a_mapping_is_named_with_its_line(tmp_path: Path, made: Run) -> None:
    folder = tmp_path / "mappings"
    subprocess.run(["cp", "-r", "mappings", folder], check=True)
    file = folder / "resources" / "vital-heart-rate.yaml"
    file.write_text(file.read_text().replace("v.heart_rate", "v.hart_rate"))

    done = made("map", "check", str(folder))

    assert done.returncode == 1
    assert "vital-heart-rate.yaml:" in done.stderr
    assert "heart_rate" in done.stderr
    assert "Traceback" not in done.stderr


def test_good_files_go_on_where_others_are_refused(tmp_path: Path, made: Run) -> None:
    (tmp_path / "bad.json").write_text('{"schema": "fhirbridge/session/v1", "vitals": 7}')
    (tmp_path / "worse.json").write_text("<html>")

    files = [tmp_path / "bad.json", SERIES[0], tmp_path / "worse.json"]

    done = made("ingest", *map(str, files), "--json")

    states = [one["state"] for one in codec.decode(done.stdout.encode())]
    assert states == ["refused", "current", "refused"]
    assert done.returncode == 1
    assert "2 of 3 refused" in done.stderr


def test_the_same_file_again_changes_nothing(made: Run) -> None:
    made("ingest", str(SERIES[0]))

    again = codec.decode(made("ingest", str(SERIES[0]), "--json").stdout.encode())

    assert again[0]["state"] == "repeated"
    assert codec.decode(made("sync", "status", "--json").stdout.encode())["records"] == 1


def test_ingest_sync_and_sync_again(made: Run, sandbox: str) -> None:
    made("destination", "add", "ehr", sandbox)
    made("ingest", *map(str, SERIES[:2]))

    first, second = made("sync", "run", "--json"), made("sync", "run", "--json")

    assert first.returncode == second.returncode == 0
    assert codec.decode(first.stdout.encode())["settled"] == 3
    assert codec.decode(second.stdout.encode())["settled"] == 0


def test_a_record_that_came_before_its_destination_is_owed_to_it(made: Run, sandbox: str) -> None:
    made("ingest", *map(str, SERIES[:2]))
    made("destination", "add", "ehr", sandbox)

    done = codec.decode(made("sync", "run", "--json").stdout.encode())

    assert done["waiting"] == []
    assert {one["type"]: one["resources"] for one in done["holdings"]["ehr"]}["Encounter"] == 2


def test_an_ehr_that_is_down_keeps_the_delivery_and_says_3(tmp_path: Path, made: Run) -> None:
    with processes.serving(tmp_path, "sandbox", env=processes.environment()) as server:
        made("destination", "add", "ehr", f"{server.url}/fhir")
    made("ingest", str(SERIES[0]))

    done = made("sync", "run", "--json")

    waiting = codec.decode(done.stdout.encode())["waiting"]
    assert done.returncode == 3
    assert {one["state"] for one in waiting} == {"pending"}
    assert any("connect: refused" in one["reason"] for one in waiting)


def test_a_web_page_is_no_ehr(made: Run) -> None:
    page = answer(http(b"<html>Sign in</html>", "Content-Type: text/html"))
    with FakeServer(page) as server:
        done = made("destination", "add", "ehr", f"{server.url}/fhir")

    assert done.returncode == 1
    assert "without a CapabilityStatement" in done.stderr


def test_safety_02_a_server_that_is_no_test_server_is_only_read(made: Run) -> None:
    statement = (
        b'{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","software":{"name":"x"}}'
    )
    page = answer(http(statement, "Content-Type: application/fhir+json"))
    with FakeServer(page, page, page) as server:
        done = made("destination", "add", "ehr", f"{server.url}/fhir")

        assert {request.method for request in server.seen} == {"GET"}
    assert "Nothing is sent to ehr yet" in done.stderr


def test_safety_02_the_demo_refuses_a_given_ehr_without_the_flag(run: Run) -> None:
    done = run("demo", "--ehr", "https://ehr.example.org/fhir")

    assert done.returncode == 64
    assert "--test-patient" in done.stderr


@pytest.mark.slow
def test_the_demo_runs_to_its_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [*processes.PROGRAM, "demo", "--no-keep"],
        cwd=tmp_path,
        env=processes.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    assert "Second sync: 0 deliveries, 0 writes" in done.stderr
    assert "MedicationAdministration" in done.stdout


@pytest.mark.slow
def test_a_demo_that_is_ended_ends_its_servers(tmp_path: Path) -> None:
    command = [*processes.PROGRAM, "demo", "--keep"]
    out = tmp_path / "out"
    with (
        out.open("wb") as log,
        subprocess.Popen(
            command, cwd=tmp_path, env=processes.environment(), stdout=log, stderr=log
        ) as demo,
    ):
        while b"Press Ctrl-C" not in out.read_bytes():
            assert demo.poll() is None
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
        demo.terminate()
        demo.wait(60)

    assert len(children) == 2
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def test_serve_delivers_by_itself_what_it_takes_in(
    tmp_path: Path, run: Run, home: Path, sandbox: str
) -> None:
    token = run("init").stdout.strip()
    run("destination", "add", "ehr", sandbox)
    wanted = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    with processes.serving(tmp_path, "serve", env=processes.environment(home=str(home))) as server:
        sent = requests.post(
            f"{server.url}/api/v1/sessions", SERIES[0].read_bytes(), headers=wanted, timeout=30
        )
        status: Any = None
        for _ in range(2000):
            status = requests.get(f"{server.url}/api/v1/status", headers=wanted, timeout=30).json()
            if not status["waiting"]:
                break

    assert sent.status_code == 202
    assert status["waiting"] == []
    assert status["destinations"][0]["resources"] > 30
