"""E2, R57, R64, R63: an export is a signed package that two programs prove, or it is refused."""

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from fhirbridge.audit import places, signatures, verifying
from fhirbridge.audit.log import Action
from fhirbridge.exports import zipped
from fhirbridge.exports.question import ExportError, Form
from fhirbridge.fhir import codec
from fhirbridge.overview import proof
from fhirbridge.store.tables import evidence
from tests.exports.conftest import Clinic, bytes_of, lines, names, resources
from tests.factories import A_DAY, a_short_visit, amended, rate


def test_an_export_holds_what_the_ehr_holds_and_names_where_each_comes_from(clinic: Clinic) -> None:
    package = clinic.export()

    there = clinic.world.ledger()
    assert {tuple(one.split("/")) for one in resources(package)} == set(there)
    index = lines(package, "index.ndjson")
    assert len(index) == len(there)
    by_identity = {(row["type"], row["resource_id"]): row for row in index}
    for one, line in there.items():
        assert by_identity[one]["ehr_version"] == line.ehr_version
        assert by_identity[one]["delivery"]
    manifest = codec.decode((package / "manifest.json").read_bytes())
    assert manifest["counts"]["resources"] == len(there)
    assert manifest["counts"]["dangling"] == 0


def test_r57_r64_both_verifiers_find_it_sound(clinic: Clinic) -> None:
    package = clinic.export()

    assert clinic.ours(package) == ""
    assert clinic.theirs(package) == ""


def test_each_record_and_each_delivery_is_in_the_log_with_its_proof(clinic: Clinic) -> None:
    package = clinic.export()

    rows = lines(package, "evidence.ndjson")
    assert all(row["inclusion"] for row in rows)
    about = {row["record_id"] for row in rows} | {row["delivery_id"] for row in rows}
    for row in lines(package, "index.ndjson"):
        assert {row["record_id"], row["delivery"]} <= about
    (sealed,) = [row for row in rows if row["outcome"] == "sealed"]
    assert codec.decode(sealed["detail"].encode())["content"] == _content(package)


def _content(package: Path) -> str:
    manifest = codec.decode((package / "manifest.json").read_bytes())
    return verifying.content(manifest["files"])


def test_e2_a_changed_byte_is_found_wherever_it_is(clinic: Clinic) -> None:
    """By ours at every seventh byte, by the other program, which starts anew each time, at some."""
    package = clinic.export(patient=clinic.world.patient_rows()[0].lane, types={"Patient"})
    missed = []

    for name, whole in bytes_of(package).items():
        path = package / name
        step = 997 if name == "sbom.json" else 7
        for place, at in enumerate(range(0, len(whole), step)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            found = clinic.ours(package)
            if found and place == 3:
                found = clinic.theirs(package)
            # In a signature's text a changed letter may stand for the same bytes.
            if not found and name != verifying.SIGNATURE:
                missed.append(f"{name} byte {at}")
        path.write_bytes(whole)

    assert missed == []
    assert clinic.ours(package) == ""


def signed_anew(package: Path) -> None:
    """What whoever has the signing key can do: the manifest fits the files again."""
    said = codec.decode((package / "manifest.json").read_bytes())
    for one in said["files"]:
        raw = (package / one["name"]).read_bytes()
        one |= {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    raw = codec.encode(said) + b"\n"
    (package / "manifest.json").write_bytes(raw)
    name = (package / "checkpoint.txt").read_text("utf-8").splitlines()[0]
    signature = signatures.sign(raw, name, bytes(range(32)))
    (package / verifying.SIGNATURE).write_text(signature, "utf-8")


def test_e2_other_bytes_are_refused_even_where_they_are_signed_anew(clinic: Clinic) -> None:
    package = clinic.export()
    file = next(package.glob("resources/Patient.*"))
    file.write_bytes(file.read_bytes() + b"{}\n")
    signed_anew(package)

    for found in (clinic.ours(package), clinic.theirs(package)):
        assert "no row of the log says that this was handed over" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[1:], "is not of the resource that it names"),
        (lambda rows: rows[:-1], "does not name every resource"),
        (lambda rows: [*rows, rows[-1]], "is not of the resource that it names"),
        (lambda rows: [rows[0].replace(b'"delivery":"', b'"delivery":"x'), *rows[1:]], "no row of"),
    ],
    ids=["first left out", "last left out", "named twice", "another delivery"],
)
def test_an_index_that_does_not_fit_the_resources_is_refused(
    clinic: Clinic, change: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    """Such a package would be our own mistake: the log names its bytes, and still it is refused."""
    wrong = clinic.export("wrong")
    index = wrong / "index.ndjson"
    index.write_bytes(b"".join(change(index.read_bytes().splitlines(keepends=True))))
    files = [dict(one) for one in codec.decode((wrong / "manifest.json").read_bytes())["files"]]
    for one in files:
        one["sha256"] = hashlib.sha256((wrong / one["name"]).read_bytes()).hexdigest()
    with clinic.world.store.begin() as tx:
        detail = {"content": verifying.content(files)}
        clinic.world.bridge._note(tx, "test", Action.RESOURCES_EXPORTED, detail=detail)
    with_log(clinic, wrong)

    assert said in clinic.ours(wrong)
    assert said in clinic.theirs(wrong)


def with_log(clinic: Clinic, package: Path) -> None:
    """Give a package a newer checkpoint, and the whole log up to it as its evidence."""
    signed = clinic.world.bridge.checkpoint()
    with clinic.world.store.read() as tx:
        node = places.node_of(tx)
        rows = [
            {**proof.leaf_fields(row), **proof.place(tx, row.id, signed.size, node)}
            for row in tx.execute(select(evidence))
        ]
    (package / "evidence.ndjson").write_bytes(b"".join(codec.encode(one) + b"\n" for one in rows))
    (package / "checkpoint.txt").write_text(signed.note, "utf-8")
    signed_anew(package)


def test_r63_the_same_question_at_the_same_checkpoint_gives_the_same_bytes(clinic: Clinic) -> None:
    forms = frozenset({Form.TRANSACTION, Form.CSV})
    first = clinic.export("one", forms=forms)
    clinic.world.clock.advance(40 * A_DAY)
    clinic.export("other", types={"Patient"})

    again = clinic.export("again", forms=forms, at=clinic.made[0].checkpoint)

    assert bytes_of(again) == bytes_of(first)


def test_r63_its_zip_is_the_same_whenever_it_is_made_and_holds_all_of_it(clinic: Clinic) -> None:
    package = clinic.export()
    packed = zipped.beside(package)
    first = packed.read_bytes()
    packed.unlink()
    for one in package.rglob("*"):
        os.utime(one, (1_000_000_000, 1_000_000_000))

    assert zipped.beside(package).read_bytes() == first
    with zipfile.ZipFile(packed) as opened:
        assert sorted(opened.namelist()) == [f"pack/{name}" for name in names(package)]
    with pytest.raises(ExportError, match=r"pack\.zip cannot be written"):
        zipped.beside(package)


def test_at_a_checkpoint_it_is_refused_once_the_ehr_holds_something_else(clinic: Clinic) -> None:
    clinic.export("one")
    clinic.world.take(amended(a_short_visit(1, "pt-2"), rate(90)))

    with pytest.raises(ExportError, match="not as it was at that checkpoint"):
        clinic.export("again", at=clinic.made[0].checkpoint)

    assert not (clinic.folder / "again").exists()


def test_it_is_in_the_log_who_asked_for_what_before_anything_is_there(clinic: Clinic) -> None:
    patient = clinic.world.patient_rows()[0].lane

    clinic.export(patient=patient)

    begun, sealed = clinic.world.evidence("resources.exported")
    assert (begun.outcome, sealed.outcome, begun.actor) == ("begun", "sealed", "test")
    assert codec.decode(begun.detail.encode())["asked"] == {
        "destination": "ehr",
        "patient": patient,
    }
