"""Through the command line: an EHR is asked to tell us of changes, and asked no more."""

from fhirbridge.subscriptions.wanted import KIND
from tests.factories import a_short_visit
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

ADDRESS = "https://bridge.invalid/fhirbridge"
SUBSCRIBE = ("destination", "subscribe", "ehr", "--address", ADDRESS)


def test_an_ehr_is_asked_to_tell_us_and_asked_no_more(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")

    asked = desk.run(*SUBSCRIBE, "--types", "Patient,Observation", "--json")
    (shown,) = desk.json("destination", "show", "ehr")
    table = desk.run("destination", "show", "ehr").out
    (status,) = desk.json("sync", "status")["destinations"]
    there = [dict(one.resource or {}) for one in ehr.storage.living(KIND)]
    ended = desk.run("destination", "unsubscribe", "ehr", "--json")

    assert (asked.status, asked.data["state"]) == (0, "requested")
    assert shown["subscription"]["types"] == ["Patient", "Observation"]
    assert status["subscription"] == shown["subscription"]
    assert "requested" in table
    assert {one["criteria"] for one in there} == {"Patient?", "Observation?"}
    endpoints = {one["channel"]["endpoint"] for one in there}
    assert all(one.startswith(f"{ADDRESS}/hooks/ehr/v1/") for one in endpoints)
    said = asked.out + asked.err + table
    assert [one for one in endpoints if one.rpartition("/")[2] in said] == []
    assert ended.data == {"name": "ehr", "removed": 2}
    assert list(ehr.storage.living(KIND)) == []


def test_an_ehr_that_takes_no_subscriptions_says_so_and_is_status_1(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    ehr.before = lambda asked: (403, b"{}") if KIND in asked.path else None

    refused = desk.run(*SUBSCRIBE)

    assert refused.status == 1
    assert "answered 403" in refused.out


def test_what_cannot_be_asked_for_is_said_and_nothing_is_changed(
    desk: Desk, ehr: EhrAtWork
) -> None:
    plain = desk.run("destination", "subscribe", "ehr", "--address", "http://bridge.example.org")
    unknown = desk.run(*SUBSCRIBE, "--types", "Observations")
    nobody = desk.run("destination", "unsubscribe", "nobody")

    assert (plain.status, unknown.status, nobody.status) == (1, 64, 1)
    assert "https" in plain.err
    assert ehr.asked == []
    (shown,) = desk.json("destination", "show", "ehr")
    assert shown["subscription"]["state"] == "off"
