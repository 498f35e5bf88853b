"""What we ship (S32): each distribution is locked by hash, and installed as locked."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from fhirbridge.fhir import codec
from tests.source_rules import ROOT

LOCK = ROOT / "requirements.lock"
BIN = Path(sys.executable).parent
NOT_LOCKED = {"fhirbridge"}
SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_entries() -> list[str]:
    """One text for each requirement: its line and its continuation lines."""
    text = "\n".join(line for line in LOCK.read_text().splitlines() if "#" not in line)
    return text.replace("\\\n", " ").splitlines()


def locked() -> dict[str, str]:
    pins = (entry.split()[0].partition("==") for entry in locked_entries())
    return {canonical(name): version for name, _, version in pins}


@pytest.mark.parametrize("entry", locked_entries(), ids=lambda entry: entry.split()[0])
def test_s32_each_requirement_is_one_version_with_its_hashes(entry: str) -> None:
    pin, *hashes = entry.split()

    assert re.fullmatch(r"[\w.-]+==[\w.!+-]+", pin)
    assert hashes
    assert all(SHA256.fullmatch(each) for each in hashes)


def test_s32_what_is_installed_is_what_is_locked() -> None:
    installed = {canonical(found.name): found.version for found in metadata.distributions()}

    assert {name: v for name, v in installed.items() if name not in NOT_LOCKED} == locked()


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK.read_text()


@pytest.mark.slow
def test_s32_the_bill_of_materials_lists_every_locked_distribution(tmp_path: Path) -> None:
    bill = tmp_path / "sbom.json"

    subprocess.run(
        [BIN / "cyclonedx-py", "requirements", "--of", "JSON", "-o", bill, LOCK], check=True
    )

    components = codec.decode(bill.read_bytes())["components"]
    assert {canonical(each["name"]): each["version"] for each in components} == locked()


@pytest.mark.slow
def test_a_wheel_carries_every_file_of_the_program_and_the_mappings(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for folder in ("fhirbridge", "mappings"):
        shutil.copytree(
            ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, checkout)
    wanted = {
        *(str(p.relative_to(checkout)) for p in files_of(checkout / "fhirbridge")),
        *(f"fhirbridge/{p.relative_to(checkout)}" for p in files_of(checkout / "mappings")),
    }

    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", tmp_path, checkout], check=True)

    (wheel,) = tmp_path.glob("fhirbridge-*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    assert wanted <= carried
    assert any(name.startswith("fhirbridge/mappings/resources/") for name in carried)


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
