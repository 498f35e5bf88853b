"""S13 and S19: patients' data stands in sealed payloads and in the EHR, and nowhere else."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from fhirbridge.fhir import codec
from tests.journey import processes
from tests.journey.canaries import hits, record_with_canaries

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}


# An administrator's command: keeps what it is given, and what a process list shows of it meanwhile.
TELL = """
import os, pathlib, sys
with open(sys.argv[1], "ab") as told:
    told.write(sys.stdin.buffer.read())
    for process in ("self", str(os.getppid())):
        for name in ("cmdline", "environ"):
            told.write(pathlib.Path("/proc", process, name).read_bytes() + b"\\n")
"""


class Life(NamedTuple):
    """All that a stranger could get hold of after a busy day, and what should hold the tokens."""

    tokens: list[str]
    seen: dict[str, bytes]
    record_shown: bytes
    ehr: bytes


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Good, amended, wrong and repeated records; an EHR that is up, then down; every command."""
    folder = tmp_path_factory.mktemp("life")
    home = folder / "home"
    temporary = folder / "temporary"
    temporary.mkdir()
    (folder / "tell.py").write_text(TELL)
    command = f"{sys.executable} {folder / 'tell.py'} {folder / 'told'}"
    env = processes.environment(home=str(home), alert_command=command)
    env["TMPDIR"] = str(temporary)
    record, tokens = record_with_canaries()
    seen: dict[str, bytes] = {}

    def run(*words: str) -> str:
        done = processes.fhirbridge(*words, env=env)
        seen[f"output of {words[0]} {len(seen)}"] = (done.stdout + done.stderr).encode()
        return done.stdout

    token = run("init").strip()
    sandbox_file = folder / "ehr.db"
    with processes.serving(folder, "sandbox", "--file", str(sandbox_file), env=env) as sandbox:
        run("destination", "add", "ehr", f"{sandbox.url}/fhir")
        with processes.serving(folder, "serve", "--no-deliver", env=env) as service:
            wanted = {**JSON, "Authorization": f"Bearer {token}"}
            sent = [send(service.url, wanted, body) for body in bodies(record)]
            seen["answers"] = b"".join(answer.content for answer in sent)
            seen["headers"] = b"".join(str(answer.headers).encode() for answer in sent)
            seen["processes"] = about_process(service.pid)
            record_id = codec.decode(sent[0].content)["id"]
            shown = requests.get(
                f"{service.url}/api/v1/sessions/{record_id}", headers=wanted, timeout=60
            ).content
        plan = str(home / "first.plan")
        run("sync", "plan", "--out", plan)
        run("sync", "apply", plan)
        run("sync", "run")
        run("sync", "status")
        run("doctor")
        run("destination", "test", "ehr")
    (folder / "wrong.json").write_bytes(codec.encode({**record, "version": "wrong"}))
    run("ingest", str(folder / "wrong.json"))
    (folder / "next.json").write_bytes(codec.encode({**record, "version": 7}))
    run("ingest", str(folder / "next.json"))
    run("sync", "plan", "--json", "--out", str(home / "second.plan"))
    run("sync", "run")  # the EHR is down now
    run("sync", "status", "--json")
    run("sync", "cancel", "--all", "--yes")
    run("sync", "run")  # now there is something to be told
    run("sync", "pause", "--destination", "ehr")
    run("sync", "retry", "--all")
    run("sync", "replay", "--all")
    run("doctor", "--json")
    seen["names of files"] = " ".join(str(path) for path in folder.rglob("*")).encode()
    seen["alerts"] = (folder / "told").read_bytes()
    left = [path for path in temporary.rglob("*") if path.is_file()]
    for path in [*home.rglob("*"), *left, folder / "serve.log"]:
        seen[f"file {path.name}"] = path.read_bytes()
    return Life(tokens, seen, shown, sandbox_file.read_bytes())


def bodies(record: dict[str, Any]) -> list[bytes]:
    amended = {**record, "version": 2}
    impossible = {
        **record,
        "version": 3,
        "vitals": [{**record["vitals"][0], "spo2": {"value": 137, "unit": "%"}}],
    }
    untyped = {
        **record,
        "version": 4,
        "patient": {**record["patient"], "birth_date": record["session_id"]},
    }
    unknown = {**record, "version": 5, record["patient"]["name"]["family"] + " family": 1}
    taken = {**record, "visit": {**record["visit"], "number": 99}}
    stranger = {**record, "version": 6, "patient": {**record["patient"], "id": "another"}}
    whole = codec.encode(record)
    good = [whole, whole, codec.encode(amended), codec.encode(impossible)]
    bad = [
        codec.encode(untyped),
        codec.encode(unknown),
        codec.encode(taken),
        codec.encode(stranger),
    ]
    return [*good, *bad, whole[:-40], whole.replace(b'"version":1', b'"version":NaN')]


def send(url: str, headers: dict[str, str], body: bytes) -> requests.Response:
    return requests.post(f"{url}/api/v1/sessions", data=body, headers=headers, timeout=60)


def about_process(pid: int) -> bytes:
    """What any process list shows of the service: command lines, environments, thread names."""
    found = b""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = (path / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if path.name == str(pid) or parent == str(pid):
                shown = [path / "cmdline", path / "environ", *path.glob("task/*/comm")]
                found += b"".join(one.read_bytes() for one in shown)
        except OSError:
            continue
    return found


def test_the_tokens_stand_where_they_belong(life: Life) -> None:
    """The positive control: they are in the EHR and in what an allowed reader is shown."""
    reaching = set(hits(life.ehr, life.tokens))

    assert len(reaching) >= 20
    assert len(hits(life.record_shown, life.tokens)) >= 20
    assert life.seen["processes"]
    assert b'"cause":"cancelled"' in life.seen["alerts"]


def test_every_outcome_was_among_what_was_sent(life: Life) -> None:
    answers = life.seen["answers"]

    for word in (
        b'"current"',
        b'"repeated"',
        b'"held"',
        b'"E201"',
        b'"E202"',
        b'"E101"',
        b'"E102"',
    ):
        assert word in answers, word


def test_r40_no_token_is_in_any_log_answer_file_name_process_or_database_file(life: Life) -> None:
    # The record's own session id and row ids come back only inside sealed payloads.
    leaks = {where: len(hits(what, life.tokens)) for where, what in life.seen.items()}

    assert {where: count for where, count in leaks.items() if count} == {}
