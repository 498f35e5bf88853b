"""What a person does about what is stuck: nothing vanishes, nothing goes twice."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.factories import Record, a_pulse, a_short_visit, amended, rate
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import NO, Asked, EhrAtWork, Trouble

pytestmark = pytest.mark.slow  # dozens of commands, each with a database of its own

OLD_NOTE, NEW_NOTE = "Phase of the visit: baseline", "Phase: baseline"
MANY = 30  # the full 500: make prove
A_REFUSAL = {
    "id": "cs-1",
    "kind": "sharing",
    "status": "withdrawn",
    "signed_at": "2026-01-01T09:00:00-05:00",
    "withdrawn_at": "2026-03-02T09:00:00-05:00",
}


def notes(pulse: dict[str, Any]) -> list[str]:
    return [one["text"] for one in pulse.get("note", [])]


def refuse_pulses(asked: Asked) -> Trouble:
    return NO if "Observation" in asked.types else None


def visits(count: int, patients: int = 3) -> list[Record]:
    """Visits of a few patients in turn, a day apart, each with a pulse of its own."""
    return [
        a_short_visit(
            1 + number // patients,
            f"pt-{number % patients}",
            vitals=[a_pulse("v-1", 60 + number, day=f"2026-03-{1 + number // patients:02}")],
        )
        for number in range(count)
    ]


def starts(ehr: EhrAtWork) -> dict[str, list[str]]:
    """When each patient's pulses were taken, in the order in which the EHR got them."""
    found: dict[str, list[str]] = {}
    for pulse in ehr.history("Observation"):
        found.setdefault(pulse["subject"]["reference"], []).append(pulse["effectiveDateTime"])
    return found


def parked(desk: Desk, ehr: EhrAtWork, count: int) -> None:
    """Have this many visits refused by the EHR."""
    ehr.before = refuse_pulses
    desk.take(*visits(count))
    desk.run("sync", "run")


@pytest.mark.parametrize("command", [("retry", "--all"), ("replay", "--reason", "refused: ")])
def test_parked_deliveries_that_go_again_arrive_in_order_and_once(
    desk: Desk, ehr: EhrAtWork, command: tuple[str, ...]
) -> None:
    parked(desk, ehr, MANY)
    before = desk.states()
    ehr.before = lambda _asked: None

    done = desk.run("sync", *command)
    ran = desk.run("sync", "run")

    assert (done.status, ran.status) == (0, 0)
    assert before["parked"] > 0
    assert desk.states() == {"delivered": sum(before.values())}
    assert len(ehr.history("Observation")) == MANY
    assert set(ehr.versions().values()) == {1}
    assert all(times == sorted(times) for times in starts(ehr).values())


def test_after_a_fix_of_the_mappings_a_replay_makes_what_was_refused_anew(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    def refuse_what_the_old_mappings_made(asked: Asked) -> Trouble:
        return NO if any(notes(pulse) == [OLD_NOTE] for pulse in asked.of("Observation")) else None

    ehr.before = refuse_what_the_old_mappings_made
    records = visits(MANY)
    desk.take(*records)
    desk.run("sync", "run")
    before = desk.states()
    assert desk.run("map", "reload", str(mended(written_mappings, tmp_path))).status == 0

    done = desk.json("sync", "replay", "--reason", "refused: ")
    while desk.run("sync", "run").status == 3 and desk.states().get("parked"):
        done = desk.json("sync", "replay", "--reason", "refused: ")

    assert done["failed"] == 0
    assert len(ehr.history("Observation")) == MANY
    assert all(notes(pulse) == [NEW_NOTE] for pulse in ehr.history("Observation"))
    assert set(ehr.versions().values()) == {1}
    assert all(times == sorted(times) for times in starts(ehr).values())
    assert before["parked"] > 0
    after = desk.states()
    assert set(after) == {"delivered", "superseded"}
    closed = [row for row in desk.evidence("delivery.changed") if row.outcome == "superseded"]
    assert len(closed) == after["superseded"]
    assert {row.actor for row in closed} == {"cli"}


def test_records_made_by_an_older_set_are_made_anew_and_only_what_differs_is_sent(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    old = desk.run("map", "live").out.strip()
    desk.take(*visits(4, patients=2))
    desk.run("sync", "run")
    assert desk.run("map", "reload", str(mended(written_mappings, tmp_path))).status == 0
    ehr.asked.clear()

    done = desk.json("sync", "replay", "--mapping-set", old[:12])
    desk.run("sync", "run")
    sent = {kind for one in ehr.writes for kind in one.types}
    ehr.asked.clear()
    again = desk.json("sync", "replay", "--mapping-set", old[:12])

    assert (done["considered"], done["translated"], done["failed"]) == (4, 4, 0)
    assert sent == {"Observation", "Provenance"}
    assert all(
        count == (2 if name.startswith("Observation") else 1)
        for name, count in ehr.versions().items()
    )
    assert (again["considered"], again["translated"]) == (0, 0)
    assert desk.run("sync", "plan").status == 0


def test_what_a_new_set_makes_no_more_is_retracted(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    old = desk.run("map", "live").out.strip()
    desk.take(a_short_visit())
    desk.run("sync", "run")
    draft = mended(written_mappings, tmp_path)
    rewrite(draft, "v.heart_rate.exists()", "v.heart_rate.value > 100")
    reloaded = desk.run("map", "reload", str(draft))
    assert reloaded.status == 0, reloaded.err

    desk.json("sync", "replay", "--mapping-set", old)
    desk.run("sync", "run")

    assert [one["status"] for one in ehr.history("Observation")] == ["final", "entered-in-error"]


def test_a_record_that_the_new_set_cannot_translate_stays_as_it_was(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    desk.take(a_short_visit(vitals=[a_pulse("v-1", 210)]))
    desk.run("sync", "run")
    draft = mended(written_mappings, tmp_path)
    check = "requires:\n  - {check: v.heart_rate.value < 200, message: too fast}\n"
    rewrite(draft, "owner:", f"{check}owner:")
    assert desk.run("map", "reload", str(draft)).status == 0
    ehr.asked.clear()

    said = desk.run("sync", "replay", "--from", "2020-01-01")
    desk.run("sync", "run")

    assert said.status == 1
    assert "cannot translate 1 of them" in said.err
    assert ehr.writes == []
    assert [one["status"] for one in ehr.history("Observation")] == ["final"]


@pytest.mark.usefixtures("ehr")
def test_a_replay_of_one_day_looks_at_no_other_day(
    desk: Desk, written_mappings: Path, tmp_path: Path
) -> None:
    desk.take(*visits(3))
    assert desk.run("map", "reload", str(mended(written_mappings, tmp_path))).status == 0

    done = desk.json("sync", "replay", "--to", "2020-01-01")

    assert done == {"considered": 0, "translated": 0, "failed": 0, "put_back": 0}


def test_an_unchanged_replay_of_everything_writes_nothing(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(*visits(6))
    desk.run("sync", "run")
    ehr.asked.clear()

    desk.run("sync", "replay", "--from", "2020-01-01")
    desk.run("sync", "run")

    assert ehr.asked == []


def test_one_parked_delivery_is_retried_by_its_id(desk: Desk, ehr: EhrAtWork) -> None:
    parked(desk, ehr, 2)
    stuck = [one for one in desk.json("sync", "status")["waiting"] if one["state"] == "parked"]

    done = desk.json("sync", "retry", stuck[0]["id"])

    assert done == {"put_back": 1}
    assert desk.states()["parked"] == len(stuck) - 1


def test_a_held_delivery_is_released_not_retried_and_held_again_while_nothing_changed(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit(consents=[A_REFUSAL]))
    desk.run("sync", "run")
    (held,) = desk.json("sync", "status")["waiting"]
    ehr.asked.clear()

    assert desk.run("sync", "retry", held["id"]).status == 1
    assert desk.json("sync", "release", "--reason", "consent") == {"put_back": 1}
    assert desk.run("sync", "run").status == 3
    assert ehr.writes == []
    assert desk.states()["held"] == 1


@pytest.mark.parametrize("command", ["retry", "release", "replay"])
def test_what_is_meant_must_be_said(desk: Desk, command: str) -> None:
    assert desk.run("sync", command).status == 64
    assert desk.run("sync", command, "--all", "--reason", "x").status == 64


def test_only_what_the_options_name_goes_again(desk: Desk, ehr: EhrAtWork) -> None:
    parked(desk, ehr, 4)
    stuck = [one for one in desk.json("sync", "status")["waiting"] if one["state"] == "parked"]
    one = stuck[0]

    assert desk.json("sync", "retry", "--reason", "poison") == {"put_back": 0}
    assert desk.json("sync", "retry", "--type", "Encounter") == {"put_back": 0}
    assert desk.json("sync", "retry", "--mapping-set", "0000") == {"put_back": 0}
    assert desk.json("sync", "retry", "--patient", one["lane"]) == {"put_back": 1}


def test_an_amendment_after_a_replay_replaces_what_the_replay_sent(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    old = desk.run("map", "live").out.strip()
    desk.take(a_short_visit())
    desk.run("sync", "run")
    desk.run("map", "reload", str(mended(written_mappings, tmp_path)))
    desk.run("sync", "replay", "--mapping-set", old)
    desk.run("sync", "run")

    desk.take(amended(a_short_visit(), rate(91)))
    desk.run("sync", "run")

    values = [one["valueQuantity"]["value"] for one in ehr.history("Observation")]
    assert values == [72, 72, 91]


def mended(written: Path, folder: Path) -> Path:
    """A draft whose pulses say something else in their note."""
    draft = folder / "mended"
    shutil.copytree(written, draft)
    rewrite(draft, "'Phase of the visit: '", "'Phase: '")
    return draft


def rewrite(draft: Path, before: str, after: str) -> None:
    file = draft / "resources" / "vital-heart-rate.yaml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
