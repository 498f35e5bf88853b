"""How an administrator signs us in: the commands, and that none of them tells a secret."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from fhirbridge.fhir import codec
from fhirbridge.sandbox.app import create_app
from tests.egress.certificates import authority, server
from tests.egress.fake_server import http
from tests.operate.conftest import Desk
from tests.signin.far_side import SmartEhr

SECRET = "a-secret-that-nobody-may-see"


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def sandbox_for(token: str) -> Iterator[str]:
    """A sandbox EHR that lets in who brings this token."""
    server = make_server(
        "127.0.0.1", 0, create_app(token=token), threaded=True, request_handler=Quiet
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/fhir"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def secret_file(desk: Desk, text: str = SECRET) -> str:
    path = desk.folder / "secret"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


def test_a_sandbox_that_wants_a_token_is_reached_with_it_and_not_without(desk: Desk) -> None:
    with sandbox_for(SECRET) as url:
        without = desk.run("destination", "add", "ehr", url)
        how = ("--sign-in", "bearer", "--secret-file", secret_file(desk))
        added = desk.run("destination", "add", "ehr", url, *how)
        tested = desk.run("destination", "test", "ehr", "--json")
        desk.monkeypatch.setenv("WRONG", "another")
        changed = desk.run("destination", "sign-in", "ehr", "--secret-env", "WRONG")
        refused = desk.json("destination", "test", "ehr")

    assert (without.status, added.status, tested.status) == (1, 0, 0), added.err
    assert [one["good"] for one in tested.data["steps"]] == [True] * 6
    assert changed.status == 0
    steps = {one["name"]: one for one in refused["steps"]}
    assert (steps["sign-in"]["good"], steps["access"]["good"]) == (False, None)
    assert steps["sign-in"]["found"] == "a read answered 401; invalid_token"


def test_s20_no_command_and_no_row_tells_a_secret(desk: Desk) -> None:
    said = []
    with sandbox_for(SECRET) as url:
        how = ("--sign-in", "bearer", "--secret-file", secret_file(desk))
        said += [desk.run("destination", "add", "ehr", url, *how)]
        for words in (
            ("destination", "sign-in", "ehr"),
            ("destination", "sign-in", "ehr", "--json"),
            ("destination", "export", "ehr"),
            ("destination", "show", "ehr", "--json"),
            ("destination", "keys", "new", "ehr", "--json"),
            ("destination", "keys", "list"),
            ("doctor", "--json"),
            ("sync", "status", "--json"),
        ):
            said.append(desk.run(*words))
            assert said[-1].status == 0, (words, said[-1])

    printed = "".join(one.out + one.err for one in said)
    kept = b"".join(path.read_bytes() for path in desk.home.rglob("*") if path.is_file())
    assert SECRET not in printed
    assert SECRET.encode() not in kept
    assert '"d"' not in printed
    assert b"PRIVATE KEY" not in kept
    assert '"kid"' in printed  # the control: the public part is shown


def test_smart_step_by_step_as_the_manual_says(desk: Desk) -> None:
    ehr = SmartEhr()
    try:
        capability = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
        ehr.fhir_answer = _answer(capability)
        made = desk.json("destination", "keys", "new", "epic")
        jwks = desk.folder / "jwks.json"
        assert desk.run("destination", "keys", "export", "epic", str(jwks)).status == 0
        how = ("--sign-in", "smart", "--client", "id-1", "--scope", "system/*.write")
        added = desk.run("destination", "add", "epic", ehr.base_url, *how)
        ehr.scope = "system/Patient.read"
        desk.run("destination", "sign-in", "epic", "--scope", "system/*.write")
        tested = desk.json("destination", "test", "epic")
    finally:
        ehr.close()

    assert added.status == 0, added.err
    (published,) = codec.decode(jwks.read_bytes())["keys"]
    assert published == made[0]["public"]
    assert (published["kid"], published.keys() & {"d", "p", "q"}) == (made[0]["kid"], set())
    access = next(one for one in tested["steps"] if one["name"] == "access")
    assert (access["good"], access["found"]) == (
        False,
        "asked for and not granted: system/*.write",
    )


def _answer(body: object) -> bytes:
    return http(codec.encode(body), "Content-Type: application/fhir+json")


def test_another_machine_without_a_sign_in_is_not_added(desk: Desk) -> None:
    said = desk.run("destination", "add", "ehr", "https://ehr.example.org/fhir")

    assert (said.status, said.err.split()[0]) == (1, "E421")
    assert "--no-sign-in" in said.err
    assert desk.json("destination", "list") == []


def test_settings_go_from_test_to_production_without_secrets_paused_and_unproven(
    desk: Desk,
) -> None:
    with sandbox_for(SECRET) as url:
        how = ("--sign-in", "basic", "--client", "us", "--secret-file", secret_file(desk))
        desk.run("destination", "add", "ehr", url, "--sign-in", "bearer", *how[4:])
        desk.run("destination", "sign-in", "ehr", *how)
        file = desk.folder / "ehr.json"
        file.write_text(desk.run("destination", "export", "ehr").out)

        production = ("--name", "real", "--url", "https://ehr.example.org/fhir")
        done = desk.run("destination", "import", str(file), *production)

    assert done.status == 0, done.err
    assert "the password (--secret-file)" in done.err
    (real,) = [one for one in desk.json("destination", "list") if one["name"] == "real"]
    assert (real["mode"], real["test_server"]) == ("unproven", False)
    assert real["paused"].startswith("not proven")
    shown = desk.json("destination", "sign-in", "real")
    assert (shown["method"], shown["client"]) == ("basic", "us")
    spoiled = file.read_text().replace('"networks":[]', '"networks":7')
    file.write_text(spoiled)
    refused = desk.run("destination", "import", str(file), "--name", "third")
    assert (refused.status, "networks" in refused.err) == (1, True)


def test_safety_10_whose_patients_they_are_goes_along_to_production(desk: Desk) -> None:
    """Else the first delivery would make a second Patient for each that the hospital has."""
    systems = {"urn:oid:1.2.3": "https://ehr.example.org/mrn"}
    with sandbox_for("") as url:
        how = ("--patients", "match", *system_options(systems), "--theirs", "Encounter=urn:oid:1.4")
        desk.run("destination", "add", "ehr", url, *how)
        file = desk.folder / "ehr.json"
        file.write_text(desk.run("destination", "export", "ehr").out)
        done = desk.run("destination", "import", str(file), "--name", "real")

    assert done.status == 0, done.err
    (real,) = [one for one in desk.json("destination", "list") if one["name"] == "real"]
    assert (real["patients"], real["patient_systems"]) == ("match", systems)
    assert real["theirs"] == {"Encounter": "urn:oid:1.4"}
    file.write_text(file.read_text().replace('"policy":"match"', '"policy":"maybe"'))
    refused = desk.run("destination", "import", str(file), "--name", "third")
    assert (refused.status, "patients" in refused.err) == (1, True)


def system_options(systems: dict[str, str]) -> list[str]:
    return [word for pair in systems.items() for word in ("--patient-system", "=".join(pair))]


def test_a_secret_that_others_can_read_is_not_taken(desk: Desk) -> None:
    path = Path(secret_file(desk))
    path.chmod(0o644)
    how = ("--sign-in", "bearer", "--secret-file", str(path))

    said = desk.run("destination", "add", "ehr", "http://127.0.0.1:1/fhir", *how)

    assert (said.status, "E424" in said.err, "chmod 600" in said.err) == (1, True, True)


@pytest.mark.parametrize("words", [("--client", "a\nb"), ("--token-url", "http://x.example/t")])
def test_what_cannot_be_meant_is_refused_and_names_its_option(
    desk: Desk, words: tuple[str, str]
) -> None:
    how = ("--sign-in", "smart", "--client", "c", "--scope", "s", *words)

    said = desk.run("destination", "add", "ehr", "http://127.0.0.1:1/fhir", *how)

    assert (said.status, "E421" in said.err, words[0] in said.err) == (1, True, True)


def test_doctor_tells_of_a_certificate_that_ends_soon(desk: Desk) -> None:
    ours = server(authority(), subject="fhirbridge")
    pem = ours.write(desk.folder / "both.pem")
    pem.chmod(0o600)
    with sandbox_for(SECRET) as url:
        how = ("--sign-in", "bearer", "--secret-file", secret_file(desk))
        desk.run("destination", "add", "ehr", url, *how)
        both = ("--certificate", str(pem), "--key", str(pem))
        assert desk.run("destination", "sign-in", "ehr", *both).status == 0
        checks = {one["name"]: one for one in desk.json("doctor")["checks"]}

    found = checks["--certificate of ehr"]
    assert (found["good"], found["found"]) == (False, "CN=fhirbridge: 0 days left")
