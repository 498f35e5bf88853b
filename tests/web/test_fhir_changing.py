"""What a reader sees while things change, whom it is shown, and what is noted of that."""

from typing import Any

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.facade import search
from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import ANY, Stopped
from tests.factories import a_pulse, a_short_visit, amended, rate
from tests.web.fhir_reading import Reader, ids, issue, link, valid
from tests.web.service import FHIR_BASE, Service

CANARY = "Zebrafink"
VISIT = a_short_visit(vitals=[a_pulse(f"v-{n}", 60 + n, hour=9 + n) for n in range(7)])


@pytest.fixture
def reader(service: Service) -> Reader:
    """A reader of a facade with one short visit of seven pulses."""
    made = Reader(service)
    made.take(VISIT)
    return made


def test_each_version_stays_readable_and_the_history_tells_them_all(reader: Reader) -> None:
    reader.take(amended(VISIT, rate(99)))
    changed = reader.get("Observation")["entry"][-1]["resource"]
    pulse = f"Observation/{changed['id']}"

    told = reader.get(f"{pulse}/_history")
    versions = [one["resource"]["meta"]["versionId"] for one in told["entry"]]
    then = reader.get(f"{pulse}/_history/{versions[1]}")

    assert told["type"] == "history"
    assert [one["response"]["status"] for one in told["entry"]] == ["200", "201"]
    assert reader.get(pulse)["valueQuantity"]["value"] == 99
    assert then["valueQuantity"]["value"] == 60
    assert ids(reader.get("Observation/_history")).count(pulse) == 2
    valid(told)


def test_pages_lead_through_everything_once_and_are_as_all_stood_at_the_first(
    reader: Reader,
) -> None:
    whole = reader.get("Observation?_count=200")
    first = reader.get("Observation?_count=3&_total=accurate")
    reader.take(amended(VISIT, rate(99)), a_short_visit(1, "pt-other"))

    pages = [first]
    while following := link(pages[-1], "next"):
        pages.append(reader.get(following))

    assert [one for page in pages for one in page["entry"]] == whole["entry"]
    assert [len(ids(page)) for page in pages] == [3, 3, 1]
    assert first["total"] == len(whole["entry"])
    valid(first)


def test_a_page_is_no_larger_than_can_be_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ids(reader.get("Observation?_count=200"))
    monkeypatch.setattr(search, "MOST_BYTES", 2000)

    pages = reader.pages("Observation?_count=200")

    assert [one for page in pages for one in ids(page)] == whole
    assert len(pages) > 2


def test_s02_a_reader_sees_his_facade_and_no_other(reader: Reader, service: Service) -> None:
    service.bridge.add_facade(name="empty", base_url=FHIR_BASE, requires_consent=True, actor="test")
    secret = service.bridge.make_token(name="other", role=Role.READER, facade="empty", actor="test")
    sent = {"Authorization": f"Bearer {secret}"}
    following = link(reader.get("Observation?_count=2"), "next").removeprefix(FHIR_BASE)

    assert issue(reader.client.get(f"/fhir/Patient/{reader.patient()}", headers=sent)) == (
        404,
        "not-found",
    )
    assert ids(codec.decode(reader.client.get("/fhir/Patient", headers=sent).data)) == []
    assert issue(reader.client.get(f"/fhir{following}", headers=sent)) == (400, "invalid")


def test_a_token_of_a_facade_that_was_removed_reads_nothing(reader: Reader) -> None:
    own = reader.patient()
    reader.service.bridge.remove_destination("portal", actor="test")

    assert issue(reader.ask(f"Patient/{own}")) == (404, "not-found")


def test_r18_a_paused_facade_is_closed_until_it_is_resumed(reader: Reader) -> None:
    bridge = reader.service.bridge
    bridge.pause(Stopped("portal", ANY), actor="test")
    closed = reader.ask("Patient")
    bridge.resume(Stopped("portal", ANY), actor="test")

    assert issue(closed) == (503, "transient")
    assert closed.headers["Retry-After"]
    assert len(ids(reader.get("Patient"))) == 1


def test_s17_r56_each_reading_leaves_one_row_without_what_was_looked_for(reader: Reader) -> None:
    own = reader.patient()
    before = len(readings(reader))

    reader.ask(f"Patient/{own}")
    reader.post("Patient", f"identifier={CANARY}&_count=5")
    reader.ask("Patient/nobody")
    reader.ask(f"Patient?birthdate={CANARY}")
    reader.ask(f"{CANARY}?patient={own}")

    rows = readings(reader)[before:]
    assert [outcome for outcome, _ in rows] == ["ok", "ok", "not found", "refused", "refused"]
    read, found, *refused = [detail for _, detail in rows]
    assert (read["interaction"], read["type"], read["count"]) == ("read", "Patient", 1)
    assert len(read["patients"]) == 1
    assert (found["parameters"], found["count"]) == (["_count", "identifier"], 0)
    assert all(one["reason"].startswith("E97") for one in refused)
    assert CANARY not in str(rows)


def test_s17_nothing_is_shown_where_the_reading_cannot_be_noted(reader: Reader) -> None:
    own = reader.patient()

    with reader.service.locked():
        answer = reader.ask(f"Patient/{own}")

    assert issue(answer) == (503, "transient")


def test_r40_s13_no_log_line_says_what_was_looked_for(reader: Reader) -> None:
    (patient,) = reader.get("Patient")["entry"]
    number = patient["resource"]["identifier"][0]["value"]
    family = patient["resource"]["name"][0]["family"]

    reader.ask(f"Patient?identifier={number}&family={family}")
    reader.post("Patient", f"identifier={number}&family={family}")

    told = reader.service.log.getvalue()
    assert "/fhir/<kind>" in told
    assert not [one for one in (number, family, "identifier=") if one in told]


def readings(reader: Reader) -> list[tuple[str, dict[str, Any]]]:
    return [
        (outcome, codec.decode(detail.encode()))
        for _, action, outcome, detail in reader.service.evidence()
        if action == "facade.read"
    ]
