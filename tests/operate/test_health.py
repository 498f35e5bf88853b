"""`doctor` and `destination test`: what is wrong, and what to do next."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.overview import health
from fhirbridge.store.engine import Store
from tests.factories import a_short_visit
from tests.journey import processes
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow  # dozens of commands, each with a database of its own


def wrong(desk: Desk) -> dict[str, str]:
    """What the doctor finds wrong, and what it says to do."""
    said = desk.run("doctor", "--json")
    found = {one["name"]: one["next"] for one in said.data["checks"] if not one["good"]}
    assert said.status == (1 if found else 0)
    assert said.data["good"] is (not found)
    return found


def test_a_healthy_installation_is_0_and_its_ehr_is_only_read(desk: Desk, ehr: EhrAtWork) -> None:
    said = desk.run("doctor")

    assert said.status == 0
    assert "WRONG" not in said.out
    assert ehr.writes == []
    assert wrong(desk) == {}


def test_a_setting_that_is_not_there_is_found(desk: Desk) -> None:
    desk.monkeypatch.setenv("FHIRBRIDGE_SIT", "x")

    assert "docs/settings.md" in wrong(desk)["settings"]


@pytest.mark.parametrize("key", ["master.key", "site.key"])
def test_a_missing_or_another_key_is_found(desk: Desk, key: str) -> None:
    (desk.home / key).write_text("ab12" * 16 + "\n")
    assert "original" in wrong(desk)["keys"]

    (desk.home / key).unlink()
    assert "fhirbridge init" in wrong(desk)["keys"]


def test_a_damaged_database_is_found(desk: Desk) -> None:
    (desk.home / "fhirbridge.db").write_bytes(b"no database " * 1000)

    assert "backup" in wrong(desk)["database"]


def test_an_ehr_that_is_down_is_found(desk: Desk, ehr: EhrAtWork) -> None:
    ehr.__exit__()

    assert wrong(desk) == {"ehr": "check network and address"}


@pytest.mark.parametrize(("seconds", "good"), [(0, True), (20, True), (-20, True), (90, False)])
def test_a_clock_apart_from_the_ehrs_is_found(
    desk: Desk, ehr: EhrAtWork, seconds: int, *, good: bool
) -> None:
    ehr.clock_ahead = timedelta(seconds=seconds)

    assert (wrong(desk) == {}) is good
    assert good or "NTP" in wrong(desk)["clock beside ehr"]


def test_a_paused_destination_is_found_with_the_way_out(desk: Desk, ehr: EhrAtWork) -> None:
    ehr.before = lambda _asked: (401, b"")
    desk.take(a_short_visit())
    desk.run("sync", "run")
    assert "credentials" in wrong(desk)["ehr"]

    ehr.before = lambda _asked: None
    assert "sync resume --destination ehr" in wrong(desk)["ehr"]


def test_mappings_that_do_not_fit_are_found(desk: Desk) -> None:
    store = Store(f"sqlite:///{desk.home / 'fhirbridge.db'}")
    with store.begin() as tx:
        tx.execute(text("DELETE FROM mapping_set"))
    store.close()

    assert "map reload" in wrong(desk)["mappings"]


def test_o28_a_disk_with_too_little_room_is_found(desk: Desk) -> None:
    desk.monkeypatch.setenv("FHIRBRIDGE_LEAST_FREE_MB", str(10**7))

    assert "make space" in wrong(desk)["disk"]


def a_destination(*, test_server: bool, sandbox: bool) -> Destination:
    return Destination(
        name="ehr",
        base_url="https://ehr.invalid/fhir",
        mode=Mode.TRANSACTION,
        traits={"sandbox": sandbox},
        requires_consent=False,
        test_server=test_server,
        overlay="",
        networks=(),
        paused="",
    )


@pytest.mark.parametrize(
    ("known", "told", "good"),
    [
        ([], False, True),
        ([a_destination(test_server=True, sandbox=False)], False, True),
        ([a_destination(test_server=False, sandbox=True)], False, True),
        ([a_destination(test_server=False, sandbox=False)], False, False),
        ([a_destination(test_server=False, sandbox=False)], True, True),
    ],
)
def test_safety_05_where_charts_are_real_somebody_must_be_told_of_alerts(
    known: list[Destination], *, told: bool, good: bool
) -> None:
    found = health.of_alerts(known, told=told)

    assert found.good is good
    assert ("NOBODY" in found.found) is (not told)
    assert (found.next == "") is told


@pytest.mark.parametrize("command", ["", "true"])
def test_safety_05_a_service_that_can_tell_nobody_says_so_at_its_start(
    desk: Desk, command: str
) -> None:
    env = processes.environment(home=str(desk.home), alert_command=command)

    with processes.serving(desk.folder, "serve", "--no-deliver", env=env) as service:
        said = service.log.read_text()

    assert ("WARNING: nobody is told" in said) is (not command)
    assert ('"alerts.nobody"' in said) is (not command)


def test_before_init_the_doctor_says_what_to_run(desk: Desk, tmp_path: Path) -> None:
    desk.monkeypatch.setenv("FHIRBRIDGE_HOME", str(tmp_path / "nothing"))

    assert "fhirbridge init" in wrong(desk)["keys"]


def test_a_destination_as_it_was_probed_is_0(desk: Desk, ehr: EhrAtWork) -> None:
    said = desk.run("destination", "test", "ehr", "--json")

    assert said.status == 0
    assert (said.data["answers"], said.data["signed_in"], said.data["unchanged"]) == (True,) * 3
    assert {one.method for one in ehr.asked} == {"GET"}


def test_a_capability_statement_that_changed_pauses_the_destination_and_a_probe_ends_it(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit())
    ehr.promises = {"rest": [{"mode": "server", "resource": [{"type": "Patient"}]}]}

    said = desk.run("destination", "test", "ehr")
    ehr.asked.clear()
    ran = desk.run("sync", "run")
    asked = list(ehr.asked)
    desk.run("destination", "probe", "ehr")
    after = desk.run("sync", "run")

    assert (said.status, ran.status, after.status) == (1, 3, 0)
    assert "destination probe ehr" in said.err
    assert asked == []
    assert len(desk.evidence("destination.paused")) == 1


def test_what_only_says_when_a_statement_was_written_is_no_change(
    desk: Desk, ehr: EhrAtWork
) -> None:
    ehr.promises = {"date": "2031-01-01", "id": "another", "meta": {"versionId": "7"}}

    assert desk.run("destination", "test", "ehr").status == 0


@pytest.mark.parametrize(("status", "good"), [(401, False), (403, False), (404, True)])
def test_a_refused_sign_in_is_told_from_a_patient_who_is_not_there(
    desk: Desk, ehr: EhrAtWork, status: int, *, good: bool
) -> None:
    ehr.before = lambda asked: None if asked.path.endswith("/metadata") else (status, b"")

    assert (desk.run("destination", "test", "ehr").status == 0) is good


def test_a_probe_tells_in_one_line_where_a_server_does_not_do_as_it_claims(
    desk: Desk, ehr: EhrAtWork
) -> None:
    ehr.promises = {"rest": []}

    said = desk.run("destination", "probe", "ehr")
    again = desk.run("destination", "show", "ehr", "--json")

    assert "batch, each entry guarded: claimed no, seen yes" in said.err.splitlines()
    assert said.err == again.err
    assert again.data[0]["mode"] == "transaction"
    assert again.data[0]["traits"]["left_behind"] == []
