"""`fhirbridge export`: one command makes a package, another one proves it."""

from pathlib import Path

import pytest

from tests.exports.conftest import bytes_of, resources
from tests.factories import a_short_visit
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow


@pytest.fixture
def records(desk: Desk, ehr: EhrAtWork) -> list[str]:  # noqa: ARG001  it holds what is exported
    """Two visits of one series, and another patient's; the ids of their versions."""
    taken = desk.take(a_short_visit(), a_short_visit(2), a_short_visit(patient="pt-2"))
    desk.run("sync", "run")
    return taken


def test_a_package_is_made_proven_and_made_again_byte_for_byte(
    desk: Desk, records: list[str], tmp_path: Path
) -> None:
    package, keys = tmp_path / "pack", tmp_path / "keys.txt"
    words = ("--destination", "ehr", "--as", "csv")

    made = desk.json("export", str(package), *words, "--zip")
    keys.write_text(desk.run("audit", "key", "show").out, "utf-8")

    assert made["resources"] == len(resources(package)) > len(records)
    assert desk.run("verify", str(package), "--key", str(keys)).status == 0
    assert (tmp_path / "pack.zip").stat().st_mode & 0o077 == 0
    again = tmp_path / "again"
    desk.json("export", str(again), *words, "--at-checkpoint", str(made["checkpoint"]))
    assert bytes_of(again) == bytes_of(package)
    assert desk.run("export", str(package), *words).status == 1  # it is there already


def test_a_patient_is_named_in_a_file_and_a_series_by_one_of_its_records(
    desk: Desk, records: list[str], tmp_path: Path
) -> None:
    named = tmp_path / "patient.txt"
    named.write_text("pt-1\n", "utf-8")
    words = ("--destination", "ehr")

    desk.json("export", str(tmp_path / "one"), *words, "--patient-file", str(named))
    desk.json("export", str(tmp_path / "two"), *words, "--series-of", records[0])
    desk.json("export", str(tmp_path / "three"), *words, "--record", records[1])

    assert resources(tmp_path / "one") == resources(tmp_path / "two")
    assert set(resources(tmp_path / "three")) < set(resources(tmp_path / "one"))


WRONG = {
    ("--destination", "none"): 1,
    ("--destination", "ehr", "--type", "patient"): 1,
    ("--destination", "ehr", "--begin", "yesterday"): 64,
    ("--destination", "ehr", "--at-checkpoint", "9999"): 1,
    ("--destination", "ehr", "--patient", "nobody"): 1,
    (): 64,
}


def test_what_cannot_be_made_leaves_nothing(
    desk: Desk,
    records: list[str],  # noqa: ARG001  there is something to export
    tmp_path: Path,
) -> None:
    for words, status in WRONG.items():
        assert desk.run("export", str(tmp_path / "pack"), *words).status == status, words
        assert not (tmp_path / "pack").exists(), words
        assert not (tmp_path / ".pack.part").exists(), words
