"""`sync plan` and `sync apply`: look first, then exactly that."""

from pathlib import Path

import pytest

from fhirbridge.fhir import codec
from tests.factories import a_short_visit, amended, rate, retracted
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import NO, EhrAtWork

pytestmark = pytest.mark.slow  # dozens of commands, each with a database of its own

A_REFUSAL = {
    "id": "cs-1",
    "kind": "sharing",
    "status": "withdrawn",
    "signed_at": "2026-01-01T09:00:00-05:00",
    "withdrawn_at": "2026-03-02T09:00:00-05:00",
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "a.plan")


def steps(found: dict[str, object]) -> dict[str, int]:
    summary = found["summary"]
    assert isinstance(summary, dict)
    return {name: count for name, count in summary.items() if count}


def test_nothing_to_do_is_0(desk: Desk, ehr: EhrAtWork) -> None:
    assert desk.run("sync", "plan").status == 0
    assert ehr.asked == []


def test_r30_a_new_record_is_planned_and_the_ehr_is_not_asked(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(a_short_visit())

    said = desk.run("sync", "plan", "--json")

    assert said.status == 2
    assert steps(said.data) == {"create": 4}
    assert ehr.asked == []


@pytest.mark.usefixtures("ehr")
def test_a_plan_names_every_path_that_changes_and_no_value(desk: Desk) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    desk.take(amended(a_short_visit(), rate(91)))

    said, data = desk.run("sync", "plan"), desk.json("sync", "plan")

    changes = [r for one in data["deliveries"] for r in one["resources"] if r["step"] == "change"]
    assert [r["resource"].split("/")[0] for r in changes] == ["Observation"]
    assert changes[0]["changes"] == [{"path": ".valueQuantity.value"}]
    assert ".valueQuantity.value" in said.out
    assert " -> " not in said.out


@pytest.mark.usefixtures("ehr")
def test_values_are_shown_on_demand_and_the_reading_is_noted(desk: Desk) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    (record,) = desk.take(amended(a_short_visit(), rate(91)))

    said = desk.run("sync", "plan", "--show-values")

    assert ".valueQuantity.value: 72 -> 91" in said.out
    assert [row.record_id for row in desk.evidence("differences.read")] == [record]


@pytest.mark.usefixtures("ehr")
def test_what_is_there_already_and_what_leaves_a_record_are_told_apart(desk: Desk) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    desk.take(retracted(a_short_visit()))

    found = steps(desk.json("sync", "plan"))

    assert found == {"create": 1, "retract": 1}  # its own Provenance, and the pulse


@pytest.mark.usefixtures("ehr")
def test_a_plan_sees_ahead_what_the_deliveries_before_will_have_done(desk: Desk) -> None:
    first = a_short_visit()
    desk.take(first, amended(first, rate(80)), amended(amended(first, rate(80)), rate(90)))

    found = desk.json("sync", "plan")

    pulses = [
        resource["step"]
        for one in found["deliveries"]
        for resource in one["resources"]
        if resource["resource"].startswith("Observation/")
    ]
    assert pulses == ["create", "change", "change"]


@pytest.mark.usefixtures("ehr")
def test_who_did_not_agree_is_planned_as_held_and_why(desk: Desk) -> None:
    desk.take(a_short_visit(consents=[A_REFUSAL]))

    found = desk.json("sync", "plan")

    held = [one["reason"] for one in found["deliveries"] if one["step"] == "hold"]
    assert held == ["consent: consent to sharing is withdrawn"]


def test_what_somebody_edited_in_the_ehr_is_planned_as_a_conflict(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "run")
    (pulse,) = ehr.history("Observation")
    edited = codec.encode({**pulse, "status": "amended"})
    headers = {"Content-Type": codec.FHIR_JSON}
    assert ehr.model.handle("PUT", f"/Observation/{pulse['id']}", headers, edited).status == 200
    desk.take(amended(a_short_visit(), rate(91)))
    desk.run("sync", "run")

    assert steps(desk.json("sync", "plan")) == {"conflict": 1}


def test_r30_an_applied_plan_is_exactly_what_was_planned(
    desk: Desk, ehr: EhrAtWork, file: str
) -> None:
    desk.take(a_short_visit(1, "pt-1"), a_short_visit(1, "pt-2"))
    planned = {
        resource["resource"]
        for one in desk.json("sync", "plan", "--out", file)["deliveries"]
        for resource in one["resources"]
    }
    desk_plan_is_opaque(file)

    done = desk.run("sync", "apply", file, "--json")

    assert done.status == 0
    assert {one["state"] for one in done.data["deliveries"]} == {"delivered"}
    assert set(ehr.versions()) == planned
    assert set(ehr.versions().values()) == {1}
    assert desk.run("sync", "plan").status == 0


def test_applying_sends_what_is_in_the_plan_and_leaves_what_came_after(
    desk: Desk, ehr: EhrAtWork, file: str
) -> None:
    (first,) = desk.take(a_short_visit(1, "pt-1"))
    desk.run("sync", "plan", "--record", first, "--out", file)
    desk.take(a_short_visit(1, "pt-2"))

    assert desk.run("sync", "apply", file).status == 0

    assert len(ehr.history("Patient")) == 1
    assert desk.run("sync", "plan").status == 2


@pytest.mark.parametrize("change", ["a record", "a pause", "a delivery", "a release"])
def test_r30_a_stale_plan_is_refused_with_0_writes(
    desk: Desk, ehr: EhrAtWork, file: str, change: str
) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "plan", "--out", file)
    match change:
        case "a record":
            desk.take(amended(a_short_visit(), rate(91)))
        case "a pause":
            desk.run("sync", "pause", "--destination", "ehr")
        case "a delivery":
            desk.run("sync", "run")
        case "a release":
            ehr.before = lambda asked: NO if "Patient" in asked.types else None
            desk.run("sync", "run")
            ehr.before = lambda _asked: None
            desk.run("sync", "retry", "--all")
    ehr.asked.clear()

    said = desk.run("sync", "apply", file)

    assert said.status == 1
    assert "E503" in said.err
    assert ehr.asked == []


def test_a_plan_that_was_applied_is_done_when_it_is_applied_again(
    desk: Desk, ehr: EhrAtWork, file: str
) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "plan", "--out", file)
    desk.run("sync", "apply", file)
    ehr.asked.clear()

    again = desk.run("sync", "apply", file, "--json")

    assert (again.status, again.data["resumed"], again.data["settled"]) == (0, True, 0)
    assert ehr.asked == []


@pytest.mark.usefixtures("ehr")
@pytest.mark.parametrize("spoilt", [b"", b"[]", b"{}", b'{"format":"fhirbridge/plan/v1"}', b"\xff"])
def test_what_is_no_plan_is_refused(desk: Desk, file: str, spoilt: bytes) -> None:
    Path(file).write_bytes(spoilt)

    said = desk.run("sync", "apply", file)

    assert said.status == 1
    assert "Traceback" not in said.err


def test_a_changed_plan_is_refused(desk: Desk, ehr: EhrAtWork, file: str) -> None:
    desk.take(a_short_visit())
    desk.run("sync", "plan", "--out", file)
    held = codec.decode(Path(file).read_bytes())
    Path(file).write_bytes(codec.encode({**held, "deliveries": []}))

    assert "E504" in desk.run("sync", "apply", file).err
    assert ehr.asked == []


def test_a_narrowed_plan_takes_along_what_must_go_before(
    desk: Desk, ehr: EhrAtWork, file: str
) -> None:
    _, second, _ = desk.take(a_short_visit(1), a_short_visit(2), a_short_visit(1, "pt-2"))

    desk.run("sync", "plan", "--record", second, "--out", file)
    done = desk.run("sync", "apply", file, "--json")

    assert done.status == 0
    assert len(done.data["deliveries"]) == 3  # what all share, visit 1, visit 2
    assert len(ehr.history("Patient")) == 1


@pytest.mark.usefixtures("ehr")
def test_a_destination_that_is_not_there_is_an_error(desk: Desk) -> None:
    for words in (("plan",), ("run",), ("status",), ("retry",), ("replay",)):
        said = desk.run("sync", *words, "--destination", "nosuch")
        assert (said.status, "E401" in said.err) == (1, True), words


@pytest.mark.usefixtures("ehr")
def test_the_plan_of_one_day_looks_at_no_other_day(desk: Desk) -> None:
    desk.take(a_short_visit())

    assert desk.run("sync", "plan", "--to", "2020-01-01").status == 0
    assert desk.run("sync", "plan", "--from", "2020-01-01").status == 2


def desk_plan_is_opaque(file: str) -> None:
    held = codec.decode(Path(file).read_bytes())
    assert set(held) == {"format", "made_at", "selection", "state", "deliveries", "digest"}
    assert all(isinstance(one, str) for one in held["deliveries"])
