"""Coverage as a contract.

Each field of the record is read by a mapping, or ignored with a reason.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.records.source import SourceField
from fhirbridge.translate import engine, yaml_tree
from fhirbridge.translate.faults import Fault, Faults, MappingError, Place, suggest
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.translate.tables.code_table import refuse_keys
from fhirbridge.translate.values import Scope, Site, Translation, Why
from fhirbridge.translate.written import Part
from fhirbridge.translate.yaml_tree import Node, Sequence, fields_of, items_of, text_of

FILE = "ignored.yaml"
ANYWHERE = "*."  # "*.related": the field of that name, wherever it stands
BELOW = ".*"  # "clinic.limits.*": all that stands below


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A field that is deliberately not read, and why."""

    field: str
    reason: str
    owner: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What is wrong before any record is read; all empty in a set that is whole."""

    unread: tuple[str, ...]  # fields that nothing reads and ignored.yaml does not name
    stale: tuple[Fault, ...]  # entries of ignored.yaml that are read after all, or name no field

    @property
    def found(self) -> bool:
        return bool(self.unread or self.stale)


def leaves(source: SourceField, path: str = "") -> Iterator[str]:
    """Yield each simple field of the record, lists without index, in the record's own order."""
    if source.kind == "object":
        for name, inner in source.fields.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif source.item is not None and source.item.kind in ("object", "list"):
        yield from leaves(source.item, path)
    else:
        yield path


def ignored(files: Files) -> tuple[Ignored, ...]:
    """Read ignored.yaml; without the file nothing is ignored. Raises MappingError."""
    if FILE not in files.by_name:
        return ()
    faults = Faults()
    found: list[Ignored] = []
    with faults.caught():
        tree = yaml_tree.read(files.by_name[FILE].decode("utf-8", "replace"), _shown(files))
        refuse_keys(tree, ("ignored",), faults)
        for node in items_of(tree.items.get("ignored"), "'ignored'", tree.place, code="E303"):
            with faults.caught():
                found.extend(_entries(node, faults))
    if faults.found:
        raise MappingError(faults.found)
    return tuple(found)


def _shown(files: Files) -> str:
    return f"{files.root}/{FILE}"


def _entries(node: Node, faults: Faults) -> Iterator[Ignored]:
    """Read `{field: path or [paths], reason, owner}`."""
    fields = fields_of(node, "an entry", node.place, code="E303")
    refuse_keys(fields, ("field", "reason", "owner"), faults)
    reason, owner = (
        text_of(fields.items.get(key), f"'{key}'", fields.place, code="E303")
        for key in ("reason", "owner")
    )
    named = fields.items.get("field")
    for item in named.items if isinstance(named, Sequence) else (named,):
        path = text_of(item, "'field'", fields.place, code="E303")
        place = item.place if item else fields.place
        yield Ignored(field=path, reason=reason, owner=owner, place=place)


def gaps(compiled: Collection[MappingSet], entries: Iterable[Ignored]) -> Gaps:
    """Compare what the record has with what is read, by one overlay at least, and what is ignored.

    `compiled` is the set with each of its overlays.
    """
    known = tuple(leaves(next(iter(compiled)).source))
    read = frozenset[str]().union(*(one.read for one in compiled))
    covered: set[str] = set()
    stale: list[Fault] = []
    for entry in entries:
        named = [path for path in known if _names(entry.field, path)]
        unread = [path for path in named if path not in read]
        message = _mistake(entry, named, unread, known) or _twice(entry, unread, covered)
        if message:
            stale.append(Fault(code="E223", place=entry.place, message=message))
        covered.update(unread)
    missing = (path for path in known if path not in read and path not in covered)
    return Gaps(unread=tuple(missing), stale=tuple(stale))


def _names(pattern: str, path: str) -> bool:
    if pattern.startswith(ANYWHERE):
        return path.endswith(pattern[1:])
    if pattern.endswith(BELOW):
        return path.startswith(pattern[:-1])
    return path == pattern


def _mistake(entry: Ignored, named: list[str], unread: list[str], known: tuple[str, ...]) -> str:
    if not named:
        return f"the record has no field {entry.field}{suggest(entry.field, known)}"
    read = [path for path in named if path not in unread]
    if not unread or (read and not entry.field.startswith(ANYWHERE)):
        return f"{read[0]} is read after all; take it out"
    return ""


def _twice(entry: Ignored, unread: list[str], covered: set[str]) -> str:
    if set(unread) <= covered:
        return f"{entry.field} is named by an entry before; take one out"
    return ""


def expected(compiled: MappingSet, entries: Iterable[Ignored]) -> frozenset[str]:
    """Return the fields that a translation leaves unread: ignored, or read only at delivery."""
    per_delivery = {m.name for m in compiled.mappings if m.scope is Scope.DELIVERY}
    later = {path for one in compiled.written if one.mapping in per_delivery for path in one.reads}
    patterns = [entry.field for entry in entries]
    known = leaves(compiled.source)
    return frozenset(
        path for path in known if path in later or any(_names(one, path) for one in patterns)
    )


@dataclass(slots=True)
class Tally:
    """What a corpus of records showed; paths and names only, never a patient's value."""

    compiled: MappingSet
    expected: frozenset[str] = frozenset()  # fields of which it is known that nothing reads them
    records: int = 0
    refused: int = 0  # records that could not be translated
    unread: Counter[str] = field(default_factory=Counter)  # fields with data that nothing read
    filled: set[tuple[str, str, str]] = field(default_factory=set)  # mapping, element, line
    made: Counter[str] = field(default_factory=Counter)  # resources by mapping
    rows: set[tuple[str, str]] = field(default_factory=set)  # ConceptMap, key

    def add(self, record: Mapping[str, Any], site: Site) -> None:
        """Translate one checked record and count what it used."""
        found = engine.translate(record, mapping_set=self.compiled, site=site)
        self.records += 1
        self.refused += bool(found.problems)
        self.unread.update(set(map(_without_index, found.unmapped)) - self.expected)
        self._count(record, found)

    def _count(self, record: Mapping[str, Any], found: Translation) -> None:
        for made in found.resources:
            self.made[made.mapping] += 1
            for why in made.why:
                self.filled.add((made.mapping, _without_index(why.target), why.line))
                self._count_rows(record, why)

    def _count_rows(self, record: Mapping[str, Any], why: Why) -> None:
        """Note the rows of each ConceptMap that the element's rule names."""
        for name, concept_map in self.compiled.maps.items():
            if f"translate({name} " in why.rule:
                words = {_at(record, path) for path in why.sources}
                self.rows |= {(name, key) for key in concept_map.rows if key in words}

    def idle_mappings(self) -> tuple[str, ...]:
        """Return the mappings that never made anything; Provenance is made at delivery."""
        return tuple(
            mapping.name
            for mapping in self.compiled.mappings
            if mapping.scope is not Scope.DELIVERY and not self.made[mapping.name]
        )

    def empty_elements(self) -> tuple[tuple[str, str], ...]:
        """Return (element, line) of what mappings that made something never filled."""
        return tuple(
            dict.fromkeys(
                (one.element, one.line)
                for one in self.compiled.written
                if one.part is Part.ELEMENT
                and self.made[one.mapping]
                and (one.mapping, one.element, one.line) not in self.filled
            )
        )

    def idle_rows(self) -> tuple[tuple[str, str], ...]:
        """Return (ConceptMap, key) of rows that no element used."""
        every = ((name, key) for name, table in self.compiled.maps.items() for key in table.rows)
        return tuple(sorted(row for row in every if row not in self.rows))


def _without_index(path: str) -> str:
    parts = path.split("[")
    return parts[0] + "".join(part.partition("]")[2] for part in parts[1:])


def _at(record: Mapping[str, Any], path: str) -> str:
    """Return the text at "doses[0].route.key"; nothing for what is no text."""
    value: Any = record
    for step in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
