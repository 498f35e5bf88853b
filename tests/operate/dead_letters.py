"""Many deliveries that an EHR refused, and what must be true once they went again."""

import shutil
from pathlib import Path
from typing import Any

from tests.factories import Record, a_pulse, a_short_visit
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import NO, Asked, EhrAtWork, Trouble

PATIENTS = 3
DAYS = 28
OLD_NOTE, NEW_NOTE = "Phase of the visit: baseline", "Phase: baseline"


def visits(count: int, start: int = 0) -> list[Record]:
    """Visits of a few patients in turn, each with a time and a pulse of its own."""
    return [_visit(number) for number in range(start, start + count)]


def _visit(number: int) -> Record:
    turn, patient = divmod(number, PATIENTS)
    date = f"{2020 + turn // DAYS // 12}-{1 + turn // DAYS % 12:02}-{1 + turn % DAYS:02}"
    record = a_short_visit(1, f"pt-{patient}", vitals=[a_pulse("v-1", 60 + turn % 60, day=date)])
    record["session_id"] = f"ses-{patient}-{turn}"
    return record


def park(desk: Desk, ehr: EhrAtWork, count: int) -> None:
    """Have one visit of each patient arrive, and this many more refused by the EHR."""
    desk.take(*visits(PATIENTS))
    assert desk.run("sync", "run").status == 0
    ehr.before = _refuse_old_notes
    desk.take(*visits(count, start=PATIENTS))
    assert desk.run("sync", "run").status == 3


def heal(ehr: EhrAtWork) -> None:
    ehr.before = lambda _asked: None


def prove_replay(desk: Desk, ehr: EhrAtWork, draft: Path, count: int) -> None:
    """Park, mend the mappings, replay: all arrive in order, none twice, none vanished unsaid."""
    park(desk, ehr, count)
    before = desk.states()
    desk.reload(draft)

    done = desk.json("sync", "replay", "--reason", "refused: ")
    ran = desk.run("sync", "run")

    assert before["parked"] == count
    assert (done["translated"], done["failed"], done["put_back"]) == (count, 0, 0)
    assert ran.status == 0
    check_arrived(ehr, count + PATIENTS)
    assert [_notes(one) for one in ehr.history("Observation")[PATIENTS:]] == [[NEW_NOTE]] * count
    after = desk.states()
    assert after == {"delivered": before["delivered"] + count, "superseded": count}
    closed = [row for row in desk.evidence("delivery.changed") if row.outcome == "superseded"]
    assert len(closed) == count
    assert {row.actor for row in closed} == {"cli"}


def check_arrived(ehr: EhrAtWork, count: int) -> None:
    """Each pulse is there once, and each patient's came in the order of his visits."""
    pulses = ehr.history("Observation")
    assert len(pulses) == len({one["id"] for one in pulses}) == count
    assert set(ehr.versions().values()) == {1}
    came: dict[str, list[str]] = {}
    for one in pulses:
        came.setdefault(one["subject"]["reference"], []).append(one["effectiveDateTime"])
    expected: dict[int, list[str]] = {}
    for number, record in enumerate(visits(count)):
        expected.setdefault(number % PATIENTS, []).append(record["vitals"][0]["time"])
    assert sorted(came.values()) == sorted(expected.values())


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


def _refuse_old_notes(asked: Asked) -> Trouble:
    return NO if any(_notes(pulse) == [OLD_NOTE] for pulse in asked.of("Observation")) else None


def _notes(pulse: dict[str, Any]) -> list[str]:
    return [one["text"] for one in pulse.get("note", [])]
