"""The cases of a mapping set: a synthetic record each, and exactly what it must become.

A case is a folder: `record.json` (or, without it, the packaged sample of that name) and the files
that `expected.files_of` writes. In a folder `OVERLAY@CASE` it is translated with that overlay.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec, validate
from fhirbridge.records import schema
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.source import SourceField
from fhirbridge.translate.faults import suggest
from fhirbridge.translate.mapping_folder import bounded, shown
from fhirbridge.translate.mapping_set import Files, MappingSet, compile_set
from fhirbridge.translate.values import Translation
from fhirbridge.workbench import branches, differences, expected
from fhirbridge.workbench.differences import Difference, plain
from fhirbridge.workbench.rehearsal import is_synthetic, rehearse

CASES = "tests"
RECORD = "record.json"
SAMPLES = "fhirbridge.samples"


class CaseError(BridgeError):
    """A case cannot be run."""

    code = "E230"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One folder of cases."""

    name: str
    folder: Path

    @property
    def overlay(self) -> str:
        """The overlay that the folder's name begins with, or nothing."""
        return self.name.rpartition("@")[0]

    def record(self) -> bytes:
        """Return the record as it is sent. Raises CaseError where there is none, or it is real."""
        own, name = self.folder / RECORD, self.name.rpartition("@")[2]
        sample = resources.files(SAMPLES) / f"{name}.json"
        if not own.exists() and not sample.is_file():
            message = f"case {self.name} has no {RECORD}, and no sample is called {name}"
            raise CaseError(message, hint=f"put a synthetic record into {self.name}/{RECORD}")
        raw = self._read(own) if own.exists() else sample.read_bytes()
        if not is_synthetic(codec.decode(raw)):
            raise CaseError(
                f"the record of case {self.name} does not say that it is synthetic",
                hint="each family name in it must start with Synthetic: a case is for all to read",
            )
        return raw

    def kept(self) -> dict[str, str]:
        """Return the expected files by name. Raises CaseError where one cannot be read."""
        found = (*self.folder.glob("*.json"), *self.folder.glob("*.html"))
        return {path.name: self._text(path) for path in sorted(found) if path.name != RECORD}

    def _text(self, path: Path) -> str:
        try:
            return self._read(path).decode("utf-8")
        except UnicodeDecodeError:
            raise CaseError(f"{self.name}/{shown(path.name)} is not UTF-8") from None

    def _read(self, path: Path) -> bytes:
        try:
            return bounded(path)
        except OSError as error:
            said = f"{self.name}/{shown(path.name)} cannot be read: {error.strerror}"
            raise CaseError(said) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """How one case went. What stands in it is of synthetic records."""

    name: str
    found: tuple[Difference, ...]
    files: int = 0  # that were made

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs: "vital-weight.json [0].valueQuantity.value: expected …, found …"."""
        return tuple(one.said for one in self.found)

    @property
    def places(self) -> tuple[str, ...]:
        """The same without a value: an expected file may hold what should not be in it."""
        return tuple(one.bare for one in self.found)

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.found


def find(folder: Path, name: str = "") -> tuple[Case, ...]:
    """Return the cases of a folder of mappings, or only the one of that name. Raises CaseError."""
    inner = sorted(path for path in (folder / CASES).glob("*") if path.is_dir())
    found = [Case(name=path.name, folder=path) for path in inner]
    if not name:
        return tuple(found)
    chosen = tuple(case for case in found if case.name == name)
    if not chosen:
        near = suggest(name, [case.name for case in found])
        raise CaseError(f"there is no case {name}{near}", hint=f"see the folders of {CASES}/")
    return chosen


def run(files: Files, folder: Path, source: SourceField) -> tuple[CaseResult, ...]:
    """Translate the cases of a folder with these files; compare with what is expected of each.

    Each must also be sound R4, and make the same again and with its rows in another order.
    Raises MappingError where the files, or an overlay that a case names, cannot be compiled.
    """
    bench = Bench(files, source)
    return tuple(bench.run(case) for case in find(folder))


def update(files: Files, cases: Sequence[Case], source: SourceField) -> tuple[str, ...]:
    """Write what each case becomes now into its folder; return the names of what changed.

    A case that cannot be translated is left as it is. Raises MappingError.
    """
    bench = Bench(files, source)
    changed: list[str] = []
    for case in cases:
        try:
            made, kept = bench.translate(case), case.kept()
        except (CaseError, InvalidRecordError, codec.NotJsonError):
            continue
        found = expected.files_of(made, why=expected.WHY in kept)
        if not made.problems:
            changed += _write(case, kept, found)
    return tuple(changed)


def _write(case: Case, kept: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for name in sorted(kept.keys() | found.keys()):
        if name not in found:
            (case.folder / name).unlink()
        elif kept.get(name) != found[name]:
            (case.folder / name).write_text(found[name], encoding="utf-8")
        if kept.get(name) != found.get(name):
            yield f"{case.name}/{name}"


class Bench:
    """Translates cases with one mapping set and its overlays; notes which lines they reach."""

    def __init__(self, files: Files, source: SourceField) -> None:
        self._files = files
        self._source = source
        self._sets: dict[str, MappingSet] = {}
        self._reached: set[str] = set()

    def set_of(self, overlay: str) -> MappingSet:
        """Compile the set with an overlay, once. Raises MappingError."""
        if overlay not in self._sets:
            self._sets[overlay] = compile_set(self._files, self._source, overlay)
        return self._sets[overlay]

    def translate(self, case: Case) -> Translation:
        """Raise CaseError, NotJsonError or InvalidRecordError where the record is no use."""
        return rehearse(schema.load(case.record()).document, self.set_of(case.overlay))

    def run(self, case: Case) -> CaseResult:
        """Run one case; only a mistake in the set is raised. Raises MappingError."""
        mappings = self.set_of(case.overlay)
        try:
            sent = case.record()
            document = schema.load(sent).document
            kept = case.kept()
        except InvalidRecordError as error:
            lines = [f"{one.code} {one.pointer or '/'}: {one.message}" for one in error.findings]
            return _failed(case, lines)
        except BridgeError as error:
            return _failed(case, [f"{error.code} {error.message}"])
        trial = Trial(document=document, mapping_set=mappings)
        self._reached |= branches.lines_of(trial.made)
        if trial.made.problems:
            return _failed(case, _problems(trial.made))
        found = expected.files_of(trial.made, why=expected.WHY in kept)
        more = map(plain, (*_unsound(trial.made), *trial.unsteady()))
        return CaseResult(name=case.name, found=(*_compared(kept, found), *more), files=len(found))

    def unreached(self) -> tuple[str, ...]:
        """Return the lines of those parts of the mappings that no case has reached so far."""
        return branches.unreached(self._files, self._reached)


def _failed(case: Case, lines: Sequence[str]) -> CaseResult:
    return CaseResult(name=case.name, found=tuple(map(plain, lines)))


def _compared(kept: dict[str, str], found: dict[str, str]) -> Iterator[Difference]:
    for name in sorted(kept.keys() | found.keys()):
        if name not in found:
            yield plain(f"{shown(name)}: expected, and nothing of it is made")
        elif name not in kept:
            yield plain(f"{name}: made, and not expected")
        elif name.endswith(".html"):
            yield from differences.of_text(name, kept[name], found[name])
        else:
            yield from differences.of_json(name, kept[name], found[name])


def _problems(made: Translation) -> list[str]:
    """Say why a record cannot be translated, one line for each problem."""
    return [
        f"{one.code} {one.line} {one.source}: {one.message}".replace("  ", " ")
        for one in made.problems
    ]


def _unsound(made: Translation) -> Iterator[str]:
    """Say what R4 does not allow in what was made."""
    for one in made.resources:
        for said in validate.problems(one.body):
            yield f"{one.mapping}.json: {said}"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One record and one set: whether the same comes out again."""

    document: dict[str, Any]
    mapping_set: MappingSet

    @cached_property
    def made(self) -> Translation:
        """What the record becomes."""
        return rehearse(self.document, self.mapping_set)

    def unsteady(self) -> Iterator[str]:
        """Say what differs the second time, or with the rows of each list turned round."""
        if rehearse(self.document, self.mapping_set) != self.made:
            yield "translated twice, it becomes two things"
        turned = rehearse(_turned(self.document), self.mapping_set)
        if _ids_of(turned) != _ids_of(self.made):
            yield "with its rows in another order it becomes other resources"


def _ids_of(made: Translation) -> set[str]:
    """Return `Observation/abc` for each resource."""
    return {f"{one.type}/{one.id}" for one in made.resources}


def _turned(value: Any) -> Any:
    """Return a record whose lists of rows with ids stand in the opposite order."""
    if isinstance(value, dict):
        return {key: _turned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        rows = [_turned(inner) for inner in value]
        has_ids = all(isinstance(row, dict) and "id" in row for row in rows)
        return rows[::-1] if has_ids else rows
    return value
