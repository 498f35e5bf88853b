"""P17: a newer version on the same file: what it adds is let be, what it makes anew is refused."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from fhirbridge import settings
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.store.tables import SCHEMA_VERSION, metadata
from tests.factories import a_short_visit
from tests.journey.installation import Installation, ShiftedClock
from tests.numbers import two_processes
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow  # processes of their own

PATIENTS = 3


def statements(desk: Desk, *texts: str) -> None:
    """What another version does to the file."""
    with closing(sqlite3.connect(desk.home / "fhirbridge.db")) as other, other:
        for text in texts:
            other.execute(text)


def columns_of_a_newer_version() -> Iterator[str]:
    for table in metadata.tables:
        yield f"ALTER TABLE {table} ADD COLUMN newer TEXT NOT NULL DEFAULT 'x'"


def test_p17_two_processes_share_a_file_to_which_a_newer_version_added_columns(
    desk: Desk, ehr: EhrAtWork
) -> None:
    statements(desk, *columns_of_a_newer_version())

    ended, versions = two_processes.two_workers(desk, ehr, patients=PATIENTS)

    assert set(ended) <= {0, 3}
    assert desk.run("sync", "run").status == 0
    assert set(versions) == {1}
    assert desk.run("doctor").status == 0


def test_p17_states_reasons_and_alerts_of_a_newer_version_are_let_be(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit(1, "pt-1"), a_short_visit(1, "pt-2"))
    waiting = desk.json("sync", "status")["waiting"]
    mine, its = (one["id"] for one in waiting if one["lane"] != SHARED_LANE)
    statements(
        desk,
        f"UPDATE delivery SET state='resting', reason='lullaby: x' WHERE id='{its}'",
        f"UPDATE delivery SET reason='lullaby: x' WHERE id='{mine}'",
        "INSERT INTO alert (id, kind, destination, cause, count, started_at, ended_at, told,"
        " telling_until) VALUES ('a-1', 'sleepy', 'ehr', '', 1, '2026-01-01', '', '', '')",
    )

    ran = desk.json("sync", "run")

    assert ran["destinations"][0]["deliveries"] == {"delivered": 2, "resting": 1}
    assert len(ehr.history("Patient")) == 1
    assert [(one["kind"], one["words"]) for one in ran["alerts"]] == [
        ("sleepy", "a newer version of fhirbridge knows what is wrong")
    ]
    assert len(desk.evidence("delivery.changed")) > 0


def test_p17_nothing_is_sent_in_a_mode_that_only_a_newer_version_knows(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit())
    statements(desk, "UPDATE destination SET mode='telepathy'")

    ran = desk.run("sync", "run", "--json")

    assert ran.status == 3
    assert ehr.asked == []
    assert "newer version" in ran.data["destinations"][0]["paused"]


def test_p17_a_token_of_a_role_that_only_a_newer_version_knows_opens_nothing(desk: Desk) -> None:
    token = desk.run("token", "make", "visitor", "--role", "auditor").out.strip()
    statements(desk, "UPDATE api_token SET role='ghost'")

    with Installation(settings=settings.read(), clock=ShiftedClock()).bridge() as bridge:
        assert bridge.authenticate(token) is None


def test_p12_p17_an_older_version_is_refused_by_a_newer_schema_and_changes_nothing(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit())
    statements(desk, f"UPDATE meta SET value='{SCHEMA_VERSION + 1}' WHERE name='schema'")
    before = two_processes.everything(desk.home)

    ran = [desk.run("sync", "run"), desk.run("sync", "status"), desk.run("serve")]

    assert [one.status for one in ran] == [1, 1, 1]
    assert all(f"schema {SCHEMA_VERSION + 1}" in one.err for one in ran)
    assert two_processes.everything(desk.home) == before
    assert ehr.asked == []
