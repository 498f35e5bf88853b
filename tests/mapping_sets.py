"""Sets of mappings for tests: the packaged one, and smaller or changed ones made of it."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from fhirbridge import settings
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import Files, MappingSet


@cache
def mappings() -> Files:
    """The packaged set, read once for all tests."""
    return mapping_set.read(settings.packaged_mappings())


_COMPILED: dict[tuple[str, str], MappingSet] = {}


def compiled(files: Files, overlay: str) -> MappingSet:
    """Compile a set once for all tests."""
    key = (files.digest, overlay)
    if key not in _COMPILED:
        _COMPILED[key] = mapping_set.compile_set(files, source_schema(), overlay)
    return _COMPILED[key]


def changed_mappings(change: Callable[[Path], None]) -> Files:
    """The packaged set after `change` was at its folder."""
    with TemporaryDirectory() as folder:
        copied = Path(folder) / "mappings"
        shutil.copytree(settings.packaged_mappings(), copied)
        change(copied / "resources")
        return mapping_set.read(copied)


@cache
def strict_mappings() -> Files:
    """A set that cannot translate a pulse above 200: what a gap in the mappings looks like."""

    def change(resources: Path) -> None:
        file = resources / "vital-heart-rate.yaml"
        check = "requires:\n  - {check: v.heart_rate.value < 200, message: too fast}\n"
        text = file.read_text(encoding="utf-8").replace("owner:", f"{check}owner:", 1)
        file.write_text(text, encoding="utf-8")

    return changed_mappings(change)


@cache
def few_mappings() -> Files:
    """Patient, clinic, pulse and Provenance alone: one of each scope, and quick."""
    return _those_of("documents", "fragments", "overlays", kept=FEW)


@cache
def note_mappings() -> Files:
    """As the few, with the readable note and whom it names."""
    return _those_of("fragments", "overlays", kept=FEW | {"practitioner", "session-note"})


FEW = frozenset({"patient", "organization", "vital-heart-rate", "provenance"})


def _those_of(*emptied: str, kept: frozenset[str]) -> Files:
    """Some mappings of the packaged set, without visits and who took a pulse."""

    def change(resources: Path) -> None:
        for file in resources.glob("*.yaml"):
            if file.stem not in kept:
                file.unlink()
        file = resources / "vital-heart-rate.yaml"
        text = file.read_text(encoding="utf-8")
        performers = text[text.index("  performer:") : text.index("  valueQuantity:")]
        file.write_text(text.replace(performers, ""), encoding="utf-8")
        for file in resources.glob("*.yaml"):
            text = file.read_text(encoding="utf-8").replace("    encounter:\n", "")
            lines = text.splitlines(keepends=True)
            file.write_text("".join(one for one in lines if "Encounter" not in one), "utf-8")
        for folder in emptied:
            for unused in (resources.parent / folder).iterdir():
                unused.unlink()

    return changed_mappings(change)
