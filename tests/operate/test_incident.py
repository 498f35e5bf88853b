"""safety.md 13 through the command line: what went where, taken back, packed."""

import hashlib
import stat
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.audit.log import LEAF_FIELDS, leaf_hash
from fhirbridge.fhir import codec
from tests.factories import a_short_visit, amended, rate
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow  # dozens of commands, each with a database of its own

FAMILY = a_short_visit()["patient"]["name"]["family"]
BECAUSE = ("--reason", "typed into the wrong chart")


def lines(path: Path) -> list[dict[str, Any]]:
    return [codec.decode(line) for line in path.read_bytes().splitlines()]


def newest(ehr: EhrAtWork, kind: str) -> list[dict[str, Any]]:
    """What the EHR shows of a type now."""
    return list({one["id"]: one for one in ehr.history(kind)}.values())


def test_safety_13_all_that_went_where_is_listed_taken_back_and_packed(
    desk: Desk, ehr: EhrAtWork
) -> None:
    (record,) = desk.take(a_short_visit())
    desk.run("sync", "run")

    listed = desk.json("incident", "--record", record)
    back = desk.run("incident", listed["patient"], "--retract", *BECAUSE, "--json")
    desk.run("sync", "run")
    packed = desk.run("incident", listed["patient"], "--pack", str(desk.folder / "pack"), "--json")

    (pulse,) = [one for one in listed["there"] if one["resource"].startswith("Observation/")]
    assert pulse["ehr_version"] == "1"
    assert (pulse["record"], pulse["record_version"]) == (record, 1)
    assert (pulse["mapping"], pulse["way_back"]) == ("vital-heart-rate", "entered in error")
    assert pulse["mapping_set"]
    assert pulse["delivered_at"]
    sent = [one for one in listed["sent"] if one["resource"] == pulse["resource"]]
    assert [(one["outcome"], bool(one["sent_at"] and one["answered_at"])) for one in sent] == [
        ("created", True)
    ]
    assert all(one["answers"][-1]["answer"] == "ok" for one in listed["deliveries"])
    # The Patient has no status for it: a person's task.
    assert (back.status, packed.status) == (3, 0)
    assert [one["resource"].split("/")[0] for one in back.data["retract"]["by_hand"]] == ["Patient"]
    assert [one["status"] for one in newest(ehr, "Observation")] == ["entered-in-error"]
    assert packed.data["pack"]["unsound"] == 0


def test_safety_13_the_package_holds_what_was_sent_and_proves_its_own_files(
    desk: Desk, ehr: EhrAtWork
) -> None:
    (record,) = desk.take(a_short_visit())
    desk.run("sync", "run")
    desk.run("incident", "--record", record, "--retract", *BECAUSE)
    desk.run("sync", "run")
    pack = desk.folder / "pack"

    desk.run("incident", "--record", record, "--pack", str(pack))

    manifest = codec.decode((pack / "manifest.json").read_bytes())
    there = {str(one.relative_to(pack)) for one in pack.rglob("*") if one.is_file()}
    assert there == {one["name"] for one in manifest["files"]} | {"manifest.json", "manifest.jws"}
    for one in manifest["files"]:
        raw = (pack / one["name"]).read_bytes()
        assert (one["bytes"], one["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
        assert one.get("rows", 0) in (0, raw.count(b"\n"))
    evidence = lines(pack / "evidence.ndjson")
    for row in evidence:
        fields = {name: row[name] for name in LEAF_FIELDS}
        assert leaf_hash(bytes.fromhex(row["salt"]), fields) == row["leaf"]
        if "payload" in row:
            salted = bytes.fromhex(row["payload_salt"]) + (pack / row["payload"]).read_bytes()
            assert hashlib.sha256(salted).hexdigest() == row["payload_digest"]
    sent = [codec.decode(one.read_bytes()) for one in sorted(pack.glob("payloads/*.sent"))]
    arrived = [one.body for one in ehr.asked if one.writes]
    assert sorted(map(codec.encode, sent)) == sorted(map(codec.encode, arrived))
    assert len(list(pack.glob("payloads/*.answered"))) == len(arrived)
    assert [one.read_bytes() for one in pack.glob("payloads/*.words")] == [BECAUSE[1].encode()]
    assert manifest["signed"] is True
    assert manifest["counts"]["evidence"] == len(evidence)
    assert manifest["counts"]["records"] == len(lines(pack / "records.ndjson")) == 1
    page = (pack / "index.txt").read_text()
    assert "PATIENT DATA" in page
    assert FAMILY not in page
    assert stat.S_IMODE(pack.stat().st_mode) == 0o700
    assert {stat.S_IMODE((pack / name).stat().st_mode) for name in there} == {0o600}


def test_safety_13_what_is_shown_is_no_patient_data_unless_it_is_asked_for(
    desk: Desk, ehr: EhrAtWork
) -> None:
    (record,) = desk.take(a_short_visit())
    desk.run("sync", "run")

    plain = [desk.run("incident", "--record", record, *more) for more in ((), ("--json",))]
    shown = desk.run("incident", "--record", record, "--show-values", "--json")

    assert ehr.asked
    assert all(FAMILY not in one.out + one.err for one in plain)
    assert FAMILY in shown.out
    noted = [codec.decode(one.detail.encode())["values"] for one in desk.evidence("incident.read")]
    assert noted == [False, False, True]


def test_a_patient_is_named_by_our_name_the_ehrs_id_a_file_or_a_record(
    desk: Desk, ehr: EhrAtWork
) -> None:
    (record,) = desk.take(a_short_visit())
    desk.run("sync", "run")
    name = desk.folder / "who"
    name.write_text("pt-1\n")
    (patient,) = [one["id"] for one in newest(ehr, "Patient")]

    first = desk.json("incident", "--record", record)
    by_key = desk.json("incident", first["patient"])
    by_ehr = desk.json("incident", f"Patient/{patient}")
    by_file = desk.json("incident", "--patient-file", str(name))

    assert first["there"] == by_key["there"] == by_ehr["there"] == by_file["there"] != []


@pytest.mark.usefixtures("ehr")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 64, "name a PATIENT"),
        (("nobody",), 1, "E203"),
        (("--record", "none"), 1, "E203"),
        (("nobody", "--retract"), 64, "--reason"),
        (("nobody", "--retract", "--lift", "--reason", "x"), 64, "not both"),
        (("nobody", "--reason", "x"), 64, "--retract or --lift"),
        (("nobody", "--retract", "--reason", "x", "--pack", "p"), 64, "go alone"),
    ],
)
def test_what_makes_no_sense_is_said_and_does_nothing(
    desk: Desk, words: tuple[str, ...], status: int, said: str
) -> None:
    done = desk.run("incident", *words)

    assert (done.status, done.out) == (status, "")
    assert said in done.err


def test_one_session_is_taken_back_and_the_others_stay(desk: Desk, ehr: EhrAtWork) -> None:
    wrong, _ = desk.take(a_short_visit(1), a_short_visit(2))
    desk.run("sync", "run")

    back = desk.run("incident", "--record", wrong, "--retract", *BECAUSE, "--json")
    desk.run("sync", "run")

    assert back.data["retract"]["records"] == [wrong]
    assert sorted(one["status"] for one in newest(ehr, "Observation")) == [
        "entered-in-error",
        "final",
    ]


def test_an_amendment_waits_is_shown_and_goes_when_it_is_lifted(desk: Desk, ehr: EhrAtWork) -> None:
    first = a_short_visit()
    (record,) = desk.take(first)
    desk.run("sync", "run")
    desk.run("incident", "--record", record, "--retract", *BECAUSE)
    desk.run("sync", "run")

    desk.take(amended(first, rate(90)))
    waiting = desk.json("sync", "status")["waiting"]
    released = desk.json("sync", "release", "--all")
    lifted = desk.run("incident", "--record", record, "--lift", "--reason", "it was right")
    desk.run("sync", "run")

    assert [one["reason"] for one in waiting] == ["retracted from this chart"]
    assert released == {"put_back": 0}
    assert lifted.status == 3
    (pulse,) = newest(ehr, "Observation")
    assert (pulse["status"], pulse["valueQuantity"]["value"]) == ("final", 90)
    assert desk.run("incident", "--record", record).status == 0


def test_a_folder_that_is_there_is_left_alone(desk: Desk, ehr: EhrAtWork) -> None:
    (record,) = desk.take(a_short_visit())
    kept = desk.folder / "kept"
    kept.mkdir()

    done = desk.run("incident", "--record", record, "--pack", str(kept))

    assert ehr.asked == []
    assert done.status == 1
    assert "is there already" in done.err
    assert list(kept.iterdir()) == []
