"""A copy of the mappings that a test may change."""

import shutil
from pathlib import Path

from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import Files
from fhirbridge.workbench import cases

MAPPINGS = Path(__file__).parents[2] / "mappings"
CASE = "09-intramuscular-visit-1.v1"


def copy(folder: Path, *, case: str = CASE) -> Path:
    """Copy the mappings with only one case, which expects what they make now."""
    found = folder / "mappings"
    shutil.copytree(MAPPINGS, found, ignore=shutil.ignore_patterns("tests"))
    (found / "tests" / case).mkdir(parents=True)
    cases.update(mapping_set.read(found), cases.find(found), source_schema())
    return found


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Replace a text that stands in a file."""
    file = folder / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def files_with(name: str, *edits: tuple[str, str]) -> Files:
    """Return the files of the mappings, one of them edited."""
    files = mapping_set.read(MAPPINGS)
    text = files.by_name[name].decode("utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return Files(by_name={**files.by_name, name: text.encode("utf-8")})
