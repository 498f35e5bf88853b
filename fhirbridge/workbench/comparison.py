"""What another version of the mappings would change in what records become. Never a value in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source import SourceField
from fhirbridge.translate.mapping_set import Files, MappingSet, compile_all
from fhirbridge.translate.values import TranslatedResource
from fhirbridge.workbench.rehearsal import rehearse
from fhirbridge.workbench.versions import VersionStep, steps

What = Literal["added", "removed", "changed", "appears", "vanishes"]
WHOLE: tuple[What, ...] = ("appears", "vanishes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One kind of change, and of how many resources.

    With an overlay it is told only where it is not the same as without one.
    """

    mapping: str
    element: str  # "Observation.valueQuantity.value"; of a whole resource its type
    what: What
    resources: int
    overlay: str = ""  # for destinations with this one; else for those without


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What NEW changes, over a corpus."""

    records: int  # that both could translate
    left_out: tuple[str, ...]  # "visit-3.json: refused as a record": what could not be compared
    resources: int  # that the old set makes
    touched: int  # of which something changes, those that vanish included
    changes: tuple[Change, ...]
    steps: tuple[VersionStep, ...]  # of the mappings and overlays that changed, or their output
    overlays_gone: tuple[str, ...] = ()  # that only OLD has: nothing is compared for these

    @property
    def too_small(self) -> tuple[VersionStep, ...]:
        """The steps that are smaller than what changes."""
        return tuple(step for step in self.steps if not step.is_enough)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two: its files, and what they are with each overlay and without."""

    files: Files
    sets: Mapping[str, MappingSet]


def side(files: Files, source: SourceField) -> Side:
    """Compile one of the two. Raises MappingError."""
    return Side(files=files, sets=compile_all(files, source, traced=False))


def compare(old: Side, new: Side, corpus: Iterable[tuple[str, bytes]]) -> Comparison:
    """Translate each record of the corpus (name, bytes) by both, with each overlay and without."""
    both = [name for name in old.sets if name in new.sets]
    work = _Work({name: _Pair(old.sets[name], new.sets[name]) for name in both})
    for name, raw in corpus:
        work.record(name, raw)
    changes = tuple(work.changes())
    told = [(one.mapping, one.overlay, one.what) for one in changes]
    return Comparison(
        records=work.records,
        left_out=tuple(work.left_out),
        resources=len(work.all_of("made")),
        touched=len(work.all_of("touched")),
        changes=changes,
        steps=steps(old.files, new.files, told),
        overlays_gone=tuple(name for name in old.sets if name not in new.sets),
    )


Key = tuple[str, str]  # type and id: a resource of many records counts once
Kind = tuple[str, str, What]  # mapping, element, what


class _Pair:
    """OLD and NEW with one overlay, and what was found of them."""

    def __init__(self, old: MappingSet, new: MappingSet) -> None:
        self._sets = {"OLD": old, "NEW": new}
        self.found: dict[Kind, set[Key]] = {}
        self.made: set[Key] = set()
        self.touched: set[Key] = set()

    def compare(self, document: dict[str, Any]) -> list[str]:
        """Note how what a record becomes differs; return why it cannot be compared."""
        made = {which: rehearse(document, one) for which, one in self._sets.items()}
        wrong = []
        for which, translation in made.items():
            for problem in translation.problems[:1]:
                where = f"{problem.code} {problem.line} {problem.source}".strip()
                wrong.append(f"{which} cannot translate it: {where}")
        if not wrong:
            self._compare(made["OLD"].resources, made["NEW"].resources)
        return wrong

    def _compare(
        self, old: Sequence[TranslatedResource], new: Sequence[TranslatedResource]
    ) -> None:
        before = {(one.type, one.id): one for one in old}
        after = {(one.type, one.id): one for one in new}
        self.made |= before.keys()
        for key in before.keys() | after.keys():
            for change in _changes(before.get(key), after.get(key)):
                self.found.setdefault(change, set()).add(key)
                self.touched |= {key} & before.keys()


class _Work:
    def __init__(self, pairs: Mapping[str, _Pair]) -> None:
        self._pairs = pairs  # by overlay, without one first
        self.records = 0
        self.left_out: list[str] = []

    def record(self, name: str, raw: bytes) -> None:
        try:
            document = schema.load(raw).document
        except BridgeError as error:
            self.left_out.append(f"{name}: not a record that would be taken in ({error.code})")
            return
        wrong = [why for pair in self._pairs.values() for why in pair.compare(document)]
        self.left_out += [f"{name}: {why}" for why in dict.fromkeys(wrong)]
        self.records += not wrong

    def all_of(self, what: Literal["made", "touched"]) -> set[Key]:
        """Return the resources of all destinations together."""
        return set().union(*(getattr(pair, what) for pair in self._pairs.values()))

    def changes(self) -> Iterator[Change]:
        """Return what was found so far: by mapping, whole resources first."""
        plain = self._pairs[""].found
        for overlay, pair in self._pairs.items():
            kinds = pair.found.keys() | plain.keys()
            for kind in sorted(kinds, key=lambda one: (one[0], one[2] not in WHOLE, one[1:])):
                if not overlay or pair.found.get(kind) != plain.get(kind):
                    count = len(pair.found.get(kind, ()))
                    mapping, element, what = kind
                    yield Change(
                        mapping=mapping,
                        element=element,
                        what=what,
                        resources=count,
                        overlay=overlay,
                    )


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
