"""What another version of the mappings would change in what records become. Never a value in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source import SourceField
from fhirbridge.translate.mapping_set import Files, MappingSet, compile_set
from fhirbridge.translate.values import TranslatedResource
from fhirbridge.workbench.rehearsal import rehearse
from fhirbridge.workbench.versions import VersionStep, steps

What = Literal["added", "removed", "changed", "appears", "vanishes"]
WHOLE: tuple[What, ...] = ("appears", "vanishes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One kind of change, and of how many resources."""

    mapping: str
    element: str  # "Observation.valueQuantity.value"; of a whole resource its type
    what: What
    resources: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What NEW changes, over a corpus."""

    records: int  # that both could translate
    left_out: tuple[str, ...]  # "visit-3.json: refused as a record": what could not be compared
    resources: int  # that the old set makes
    touched: int  # of which something changes, those that vanish included
    changes: tuple[Change, ...]
    steps: tuple[VersionStep, ...]  # of the mapping files whose version or output changed

    @property
    def too_small(self) -> tuple[VersionStep, ...]:
        """The steps that are smaller than what changes."""
        return tuple(step for step in self.steps if not step.is_enough)


def compare(
    old: Files, new: Files, corpus: Iterable[tuple[str, bytes]], source: SourceField
) -> Comparison:
    """Translate each record of the corpus (name, bytes) by both; say what differs.

    Raises MappingError where a set cannot be compiled.
    """
    work = _Work(compile_set(old, source, traced=False), compile_set(new, source, traced=False))
    for name, raw in corpus:
        work.record(name, raw)
    changes = tuple(work.changes())
    broken = {change.mapping for change in changes if change.what == "vanishes"}
    moved = {change.mapping for change in changes}
    return Comparison(
        records=work.records,
        left_out=tuple(work.left_out),
        resources=len(work.made),
        touched=len(work.touched),
        changes=changes,
        steps=steps(old, new, vanished=broken, touched=moved),
    )


Key = tuple[str, str]  # type and id: a resource of many records counts once


class _Work:
    def __init__(self, old: MappingSet, new: MappingSet) -> None:
        self._sets = {"OLD": old, "NEW": new}
        self._found: dict[tuple[str, str, What], set[Key]] = {}
        self.made: set[Key] = set()
        self.touched: set[Key] = set()
        self.records = 0
        self.left_out: list[str] = []

    def record(self, name: str, raw: bytes) -> None:
        try:
            document = schema.load(raw).document
        except BridgeError as error:
            self.left_out.append(f"{name}: not a record that would be taken in ({error.code})")
            return
        made = {which: rehearse(document, one) for which, one in self._sets.items()}
        for which, translation in made.items():
            for problem in translation.problems[:1]:
                where = f"{problem.code} {problem.line} {problem.source}".strip()
                self.left_out.append(f"{name}: {which} cannot translate it: {where}")
        if any(translation.problems for translation in made.values()):
            return
        self.records += 1
        self._compare(made["OLD"].resources, made["NEW"].resources)

    def _compare(
        self, old: Sequence[TranslatedResource], new: Sequence[TranslatedResource]
    ) -> None:
        before = {(one.type, one.id): one for one in old}
        after = {(one.type, one.id): one for one in new}
        self.made |= before.keys()
        for key in before.keys() | after.keys():
            for change in _changes(before.get(key), after.get(key)):
                self._found.setdefault(change, set()).add(key)
                self.touched |= {key} & before.keys()

    def changes(self) -> Iterator[Change]:
        """Return what was found so far: by mapping, whole resources first."""
        order = sorted(self._found, key=lambda one: (one[0], one[2] not in WHOLE, one[1], one[2]))
        for mapping, element, what in order:
            count = len(self._found[mapping, element, what])
            yield Change(mapping=mapping, element=element, what=what, resources=count)


def _changes(
    before: TranslatedResource | None, after: TranslatedResource | None
) -> Iterator[tuple[str, str, What]]:
    if before is None or after is None:
        one = before or after
        if one is not None:
            yield one.mapping, one.type, "appears" if before is None else "vanishes"
        return
    if before.content_hash == after.content_hash:
        return
    old, new = _elements(before), _elements(after)
    for element in old.keys() | new.keys():
        what: What = "added" if element not in old else "removed"
        if element in old and element in new:
            what = "changed"
        if old.get(element) != new.get(element):
            yield after.mapping, element, what


def _elements(one: TranslatedResource) -> Mapping[str, list[bytes]]:
    """Return the values at each path; its indexes are left out."""
    found: dict[str, list[bytes]] = {}
    for path, value in _leaves(one.body, one.type):
        found.setdefault(path, []).append(codec.encode(value))
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, value
