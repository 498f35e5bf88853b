"""E1 to E3, R57, R64: a package of evidence is proven offline, by two programs, or not at all."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fhirbridge.audit import notes, verifying
from fhirbridge.audit.verifying import UnprovenError
from fhirbridge.fhir import codec
from tests.factories import a_short_visit
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow  # commands with a database of their own, and another program

VERIFIER = Path(__file__).parents[2] / "verify" / "verify.mjs"
Tamper = Callable[[Path], None]


class Auditor:
    """Who has the public key and an older checkpoint from elsewhere, and both verifiers."""

    def __init__(self, desk: Desk) -> None:
        self.keys = desk.folder / "keys.txt"
        self.keys.write_text(desk.run("audit", "key", "show").out, "utf-8")
        self.kept = desk.folder / "kept.txt"
        self.kept.write_text(desk.run("audit", "checkpoint").out, "utf-8")

    def ours(self, package: Path, *, kept: bool = True) -> str:
        """Return what our verifier says is wrong, or ""."""
        older = [self.kept.read_text("utf-8")] if kept else []
        try:
            verifying.verify(package, verifying.trusted(self.keys.read_text("utf-8")), older)
        except UnprovenError as error:
            return error.message
        return ""

    def theirs(self, package: Path, *, kept: bool = True) -> str:
        """Return what the independent verifier says is wrong, or ""."""
        words = ["node", str(VERIFIER), str(package), str(self.keys)]
        done = subprocess.run(
            [*words, *([str(self.kept)] if kept else [])],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == done.stdout.startswith("Sound: ")
        return done.stderr


@pytest.fixture
def auditor(desk: Desk, ehr: EhrAtWork) -> Auditor:  # noqa: ARG001  it answers
    """One who came when the first visit had been delivered; there is a second now."""
    desk.take(a_short_visit())
    desk.run("sync", "run")
    made = Auditor(desk)
    desk.take(a_short_visit(patient="pt-2"))
    desk.run("sync", "run")
    return made


@pytest.fixture
def package(desk: Desk, auditor: Auditor) -> Path:  # noqa: ARG001  it came before
    """The whole log, as it was exported."""
    made = desk.folder / "log"
    assert desk.run("audit", "export", str(made)).status == 0
    return made


def lines(package: Path) -> list[bytes]:
    return (package / "evidence.ndjson").read_bytes().splitlines(keepends=True)


def rewritten(package: Path, rows: list[bytes]) -> None:
    (package / "evidence.ndjson").write_bytes(b"".join(rows))


def test_r57_r64_the_whole_log_is_sound_to_both_verifiers(
    desk: Desk, auditor: Auditor, package: Path
) -> None:
    said = desk.run(
        "verify", str(package), "--key", str(auditor.keys), "--checkpoint", str(auditor.kept)
    )

    assert said.status == 0
    assert "The log still begins with" in said.err
    assert auditor.theirs(package) == ""
    assert desk.run("audit", "check").status == 0


def test_an_incident_package_is_signed_and_each_of_its_rows_is_in_the_log(
    desk: Desk, auditor: Auditor
) -> None:
    (record,) = desk.take(a_short_visit(patient="pt-3"))
    desk.run("sync", "run")
    made = desk.folder / "pack"
    desk.run("incident", "--record", record, "--pack", str(made))
    desk.run("audit", "key", "show")

    assert auditor.ours(made) == ""
    assert auditor.theirs(made) == ""
    rows = [codec.decode(one) for one in lines(made)]
    assert all(row["number"] is not None for row in rows)
    (sent, *_) = made.glob("payloads/*.sent")
    sent.write_bytes(sent.read_bytes() + b" ")
    assert sent.name in auditor.ours(made)
    assert sent.name in auditor.theirs(made)


def not_found(auditor: Auditor, package: Path, *, every: int) -> list[str]:
    """Change one bit at every so many bytes of each file; return where that was not found.

    The other program, which starts anew each time, looks at some. In a signature's text a changed
    letter may stand for the same bytes.
    """
    missed = []
    for path in sorted(package.iterdir()):
        whole = path.read_bytes()
        for at in range(0, len(whole), every):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            found = auditor.ours(package)
            if at % (every * 40) == 0 and found:
                found = auditor.theirs(package)
            if not found and path.name != verifying.SIGNATURE:
                missed.append(f"{path.name} byte {at}")
        path.write_bytes(whole)
    return missed


def added(package: Path) -> None:
    (package / "more.txt").write_text("more", "utf-8")


def removed(package: Path) -> None:
    (package / "keys.txt").unlink()


def renamed(package: Path) -> None:
    (package / "keys.txt").rename(package / "key.txt")


def linked(package: Path) -> None:
    (package / "keys.txt").rename(package.parent / "elsewhere.txt")
    (package / "keys.txt").symlink_to(package.parent / "elsewhere.txt")


@pytest.mark.parametrize("tamper", [added, removed, renamed, linked])
def test_e2_a_file_added_removed_renamed_or_linked_is_named(
    auditor: Auditor, package: Path, tamper: Tamper
) -> None:
    tamper(package)

    assert ".txt" in auditor.ours(package)
    assert ".txt" in auditor.theirs(package)


def test_e2_a_changed_byte_is_found_wherever_it_is(auditor: Auditor, package: Path) -> None:
    assert not_found(auditor, package, every=37) == []
    assert auditor.ours(package) == ""


def test_e1_what_a_forger_with_the_signing_key_changes_is_found_by_a_kept_checkpoint(
    desk: Desk, auditor: Auditor
) -> None:
    """Everything is computed and signed anew: without an older checkpoint nobody could tell."""
    seed = (desk.home / "evidence.key").read_bytes()
    shutil.rmtree(desk.home)
    assert desk.run("init").status == 0
    (desk.home / "evidence.key").write_bytes(seed)
    desk.take(*(a_short_visit(patient=f"pt-{number}") for number in range(20)))
    forged = desk.folder / "forged"
    assert desk.run("audit", "export", str(forged)).status == 0

    assert auditor.ours(forged, kept=False) == ""
    assert auditor.theirs(forged, kept=False) == ""
    assert "rows before it were changed" in auditor.ours(forged)
    assert "not the one that was signed" in auditor.theirs(forged)


def test_e1_a_tail_that_was_cut_off_is_found_by_a_kept_checkpoint(
    desk: Desk, auditor: Auditor, package: Path
) -> None:
    now = desk.folder / "later.txt"
    desk.take(a_short_visit(patient="pt-9"))
    now.write_text(desk.run("audit", "checkpoint").out, "utf-8")
    auditor.kept = now

    assert "cut off" in auditor.ours(package)
    assert "cut off" in auditor.theirs(package)


def test_e2_another_key_is_not_believed(auditor: Auditor, package: Path) -> None:
    other = verifying.trusted(auditor.keys.read_text("utf-8"))[0].key
    auditor.keys.write_text(f"{notes.verifier_of(other.name, bytes(range(32)))}\n", "utf-8")

    assert "not signed by a key that you trust" in auditor.ours(package)
    assert "not signed by a key that you trust" in auditor.theirs(package)


def test_e3_an_old_package_verifies_after_a_rotation_and_a_new_one_by_either_key(
    desk: Desk, auditor: Auditor, package: Path
) -> None:
    assert desk.run("audit", "key", "rotate").status == 0
    newer = desk.folder / "newer"
    assert desk.run("audit", "export", str(newer)).status == 0
    both = desk.run("audit", "key", "show").out

    assert auditor.ours(package) == ""
    assert "not signed" in auditor.ours(newer)  # its manifest is the new key's alone
    auditor.keys.write_text(both, "utf-8")
    for one in (package, newer):
        assert auditor.ours(one) == ""
        assert auditor.theirs(one) == ""


def test_e3_what_a_key_signed_after_somebody_else_had_it_is_not_believed(
    desk: Desk, auditor: Auditor, package: Path
) -> None:
    (key,) = verifying.trusted(auditor.keys.read_text("utf-8"))
    desk.run("audit", "key", "compromised", key.key.id, "--since", "2020-01-01")
    auditor.keys.write_text(desk.run("audit", "key", "show").out, "utf-8")

    assert "somebody else may have had" in auditor.ours(package)
    assert auditor.theirs(package) != ""
