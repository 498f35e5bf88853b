"""What a person does about what is stuck: nothing vanishes, nothing goes twice."""

from pathlib import Path

import pytest

from tests.factories import a_pulse, a_short_visit, amended, rate
from tests.operate import dead_letters
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow  # dozens of commands, each with a database of its own

MANY = 30  # `make prove` does 500
A_REFUSAL = {
    "id": "cs-1",
    "kind": "sharing",
    "status": "withdrawn",
    "signed_at": "2026-01-01T09:00:00-05:00",
    "withdrawn_at": "2026-03-02T09:00:00-05:00",
}


@pytest.mark.parametrize("command", [("retry", "--all"), ("replay", "--reason", "refused: ")])
def test_parked_deliveries_that_go_again_arrive_in_order_and_once(
    desk: Desk, ehr: EhrAtWork, command: tuple[str, ...]
) -> None:
    dead_letters.park(desk, ehr, MANY)
    before = desk.states()
    dead_letters.heal(ehr)

    done = desk.run("sync", *command)
    ran = desk.run("sync", "run")

    assert (done.status, ran.status) == (0, 0)
    assert before["parked"] == MANY
    assert desk.states() == {"delivered": sum(before.values())}
    dead_letters.check_arrived(ehr, MANY + dead_letters.PATIENTS)


def test_r13_after_a_fix_of_the_mappings_a_replay_makes_what_was_refused_anew(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    dead_letters.prove_replay(desk, ehr, dead_letters.mended(written_mappings, tmp_path), MANY)


def test_records_made_by_an_older_set_are_made_anew_and_only_what_differs_is_sent(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    old = desk.run("map", "live").out.strip()
    desk.take(*dead_letters.visits(4))
    desk.run("sync", "run")
    desk.reload(dead_letters.mended(written_mappings, tmp_path))
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
    draft = dead_letters.mended(written_mappings, tmp_path)
    dead_letters.rewrite(draft, "v.heart_rate.exists()", "v.heart_rate.value > 100")
    desk.reload(draft)

    desk.json("sync", "replay", "--mapping-set", old)
    desk.run("sync", "run")

    assert [one["status"] for one in ehr.history("Observation")] == ["final", "entered-in-error"]


def test_a_record_that_the_new_set_cannot_translate_stays_as_it_was(
    desk: Desk, ehr: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    desk.take(a_short_visit(vitals=[a_pulse("v-1", 210)]))
    desk.run("sync", "run")
    draft = dead_letters.mended(written_mappings, tmp_path)
    check = "requires:\n  - {check: v.heart_rate.value < 200, message: too fast}\n"
    dead_letters.rewrite(draft, "owner:", f"{check}owner:")
    desk.reload(draft)
    ehr.asked.clear()

    said = desk.run("sync", "replay", "--from", "2020-01-01")
    desk.run("sync", "run")

    assert said.status == 1
    assert "cannot translate 1 of them" in said.err
    assert ehr.writes == []
    assert [one["status"] for one in ehr.history("Observation")] == ["final"]


@pytest.mark.usefixtures("ehr")
def test_r33_a_replay_of_one_day_looks_at_no_other_day(
    desk: Desk, written_mappings: Path, tmp_path: Path
) -> None:
    desk.take(*dead_letters.visits(3))
    desk.reload(dead_letters.mended(written_mappings, tmp_path))

    done = desk.json("sync", "replay", "--to", "2020-01-01")

    assert done == {"considered": 0, "translated": 0, "failed": 0, "put_back": 0}


def test_r33_an_unchanged_replay_of_everything_writes_nothing(desk: Desk, ehr: EhrAtWork) -> None:
    desk.take(*dead_letters.visits(6))
    desk.run("sync", "run")
    ehr.asked.clear()

    desk.run("sync", "replay", "--from", "2020-01-01")
    desk.run("sync", "run")

    assert ehr.asked == []


def test_one_parked_delivery_is_retried_by_its_id(desk: Desk, ehr: EhrAtWork) -> None:
    dead_letters.park(desk, ehr, 2)
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
    dead_letters.park(desk, ehr, 3)
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
    desk.reload(dead_letters.mended(written_mappings, tmp_path))
    desk.run("sync", "replay", "--mapping-set", old)
    desk.run("sync", "run")

    desk.take(amended(a_short_visit(), rate(91)))
    desk.run("sync", "run")

    values = [one["valueQuantity"]["value"] for one in ehr.history("Observation")]
    assert values == [72, 72, 91]
