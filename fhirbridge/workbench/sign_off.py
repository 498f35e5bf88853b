"""The clinical sign-off table, made from the compiled set: what a clinician reads and signs.

Nothing in it is written by hand, so it can never say other than what is sent. Same set, same bytes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fhirbridge.records.source import SourceField
from fhirbridge.translate import mapping_set, yaml_tree
from fhirbridge.translate.mapping_file import Mapping as OneMapping
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.translate.tables.code_table import Concept
from fhirbridge.translate.written import Part, Written, shown
from fhirbridge.translate.yaml_tree import Fields, Sequence

NOT_SIGNED = "not signed off"
_EDITOR_LINE = "yaml-language-server:"
_CONFIDENCE = re.compile(r"\((verified \w+)\)")
_PUBLISHED = ("R4 ", "US Core ")  # a source that is the specification itself
_WHOLE = (("value", "unit"), ("key", "system", "code", "display", "text"))
_HEAD_ORDER = (Part.EACH, Part.WHEN, Part.LET, Part.REQUIRES, Part.KEY, Part.AS_OF)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRow:
    """One code of codes.yaml."""

    alias: str
    code: str
    display: str
    system: str
    source: str
    note: str
    license: str

    @property
    def confidence(self) -> str:
        found = _CONFIDENCE.search(self.source)
        if found is None and self.source.startswith(_PUBLISHED):
            return "published with the specification"
        return found[1] if found else ""

    @property
    def words(self) -> str:
        return f"{self.alias} {self.code} {self.display}".strip()

    @property
    def short_source(self) -> str:
        return self.source.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of a mapping's table."""

    sources: tuple[str, ...]
    text: str
    under: tuple[str, ...]
    path: str
    codes: tuple[CodeRow, ...]
    maps: tuple[str, ...]
    value_set: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is to be signed for one file: a mapping, a ConceptMap or an overlay."""

    name: str
    file: str
    version: str
    owner: str
    reviewed: str
    purpose: str
    facts: tuple[tuple[str, str], ...]  # (what, how it is written)

    @property
    def signed(self) -> bool:
        return self.reviewed != NOT_SIGNED


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSheet:
    sheet: Sheet
    target: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRow:
    key: str
    codes: tuple[CodeRow, ...]
    text: str
    equivalence: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSheet:
    sheet: Sheet
    url: str
    words: str  # whose: a table of the record ("route") or one field ("visit.status")
    unmapped: str
    instead: tuple[CodeRow, ...]  # the code that another word gets, where `unmapped` is `use`
    rows: tuple[MapRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    name: str
    code: str
    display: str
    dimensions: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """All that is to be signed."""

    digest: str
    fhir: str
    mappings: tuple[MappingSheet, ...]
    maps: tuple[MapSheet, ...]
    overlays: tuple[Sheet, ...]
    units: tuple[UnitRow, ...]
    codes: tuple[CodeRow, ...]

    @property
    def unsigned(self) -> int:
        every = [*(m.sheet for m in self.mappings), *(m.sheet for m in self.maps), *self.overlays]
        return sum(not sheet.signed for sheet in every)


def document(files: Files, source: SourceField) -> Document:
    """Compile a set with each of its overlays and lay it out. Raises MappingError."""
    return _Layout(files, mapping_set.compile_all(files, source)).document()


class _Layout:
    """Holds what the parts of one document share."""

    def __init__(self, files: Files, sets: Mapping[str, MappingSet]) -> None:
        self._files = files
        self._sets = sets
        self._base = sets[""]
        self._codes = {(row.system, row.code): row for row in _code_rows(self._tree("codes.yaml"))}
        self._by_alias = {f"{row.alias}#{row.code}": row for row in self._codes.values()}

    def document(self) -> Document:
        return Document(
            digest=self._base.digest,
            fhir=mapping_set.FHIR,
            mappings=tuple(self._mappings()),
            maps=tuple(self._map(name) for name in sorted(self._base.maps)),
            overlays=tuple(self._overlay(name) for name in self._base.overlays),
            units=tuple(_unit_rows(self._tree("units.yaml"))),
            codes=tuple(self._codes.values()),
        )

    def _tree(self, name: str) -> Fields:
        return yaml_tree.read(self._files.by_name[name].decode("utf-8"), name)

    def _mappings(self) -> Iterator[MappingSheet]:
        """Yield each mapping once; an optional one from the first overlay that adds it."""
        found: dict[str, tuple[str, OneMapping]] = {}
        for overlay, compiled in self._sets.items():
            for mapping in compiled.mappings:
                found.setdefault(mapping.name, (overlay, mapping))
        for name in sorted(found, key=lambda name: (found[name][1].target, name)):
            yield self._mapping(*found[name])

    def _mapping(self, overlay: str, mapping: OneMapping) -> MappingSheet:
        file = f"resources/{mapping.name}.yaml"
        tree = self._tree(file)
        said = [one for one in self._sets[overlay].written if one.mapping == mapping.name]
        facts = [("Scope", mapping.scope.value)]
        if overlay:
            facts.append(("Only where a destination names the overlay", overlay))
        facts.append(("Profiles claimed", shown(tree.items.get("profile")) or "none"))
        facts += [fact for part in _HEAD_ORDER for fact in _head_facts(part, said)]
        return MappingSheet(
            sheet=self._sheet(mapping.name, file, facts),
            target=mapping.target,
            rules=tuple(self._rule(one) for one in said if one.part is Part.ELEMENT),
        )

    def _sheet(self, name: str, file: str, facts: Iterable[tuple[str, str]]) -> Sheet:
        tree = self._tree(file)
        version, owner, reviewed, note = (
            shown(tree.items.get(key)) for key in ("version", "owner", "reviewed", "note")
        )
        comment = _head_comment(self._files.by_name[file].decode("utf-8"))
        return Sheet(
            name=name,
            file=file,
            version=version,
            owner=owner or "not named yet",
            reviewed=reviewed or NOT_SIGNED,
            purpose=" ".join(part for part in (comment, note) if part),
            facts=tuple(facts),
        )

    def _rule(self, one: Written) -> Rule:
        codes = (self._by_alias.get(code) for code in one.codes)
        return Rule(
            sources=_as_wholes(one.reads),
            text=one.text,
            under=one.under,
            path=one.element,
            codes=tuple(row for row in codes if row is not None),
            maps=one.maps,
            value_set=one.value_set,
            line=one.line,
        )

    def _map(self, name: str) -> MapSheet:
        concept_map = self._base.maps[name]
        file = f"conceptmaps/{name}.yaml"
        tree = self._tree(file)
        notes = _row_notes(tree)
        facts = [("Words of", shown(tree.items.get("source"))), ("Canonical", concept_map.url)]
        rows = [
            MapRow(
                key=key,
                codes=self._of(row.concept),
                text=row.concept.text,
                equivalence=row.equivalence or "no code, only text",
                note=notes.get(key, ""),
            )
            for key, row in concept_map.rows.items()
        ]
        named = tree.items["source"]
        return MapSheet(
            sheet=self._sheet(name, file, facts),
            url=concept_map.url,
            words=shown(next(iter(named.items.values()))) if isinstance(named, Fields) else "",
            unmapped=concept_map.unmapped.value,
            instead=self._of(concept_map.instead),
            rows=tuple(rows),
        )

    def _of(self, concept: Concept) -> tuple[CodeRow, ...]:
        return tuple(self._codes[c["system"], c["code"]] for c in concept.codings)

    def _overlay(self, name: str) -> Sheet:
        file = f"overlays/{name}.yaml"
        tree = self._tree(file)
        facts = [
            (label, shown(tree.items.get(key)))
            for label, key in (("Adds", "add"), ("Leaves out", "leave_out"))
            if key in tree.items
        ]
        changes = tree.items.get("changes")
        if isinstance(changes, Sequence):
            facts += [("Changes", shown(change)) for change in changes.items]
        return self._sheet(name, file, facts)


def _as_wholes(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Name a measure or a coded field of which all was read by itself, not by its fields."""
    wholes = {
        path.rpartition(".")[0]
        for path in paths
        if any({f"{path.rpartition('.')[0]}.{n}" for n in names} <= set(paths) for names in _WHOLE)
    }
    named = (parent if (parent := path.rpartition(".")[0]) in wholes else path for path in paths)
    return tuple(dict.fromkeys(named))


def _head_facts(part: Part, said: Iterable[Written]) -> Iterator[tuple[str, str]]:
    labels = {
        Part.EACH: "One for each of",
        Part.WHEN: "Only where",
        Part.LET: "Short name",
        Part.REQUIRES: "Refused unless",
        Part.KEY: "Identity made from",
        Part.AS_OF: "As of",
    }
    for one in said:
        if one.part is part:
            named = f"{one.element}: " if part is Part.LET and one.element else ""
            reason = f" ({one.element})" if part is Part.REQUIRES and one.element else ""
            yield labels[part], f"{named}{one.text}{reason}"


def _head_comment(text: str) -> str:
    """Return the comment with which a file opens, without the line for editors."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if _EDITOR_LINE not in line:
            lines.append(line.lstrip("# "))
    return " ".join(lines).strip()


def _row_notes(tree: Fields) -> dict[str, str]:
    rows = tree.items["rows"]
    listed = rows.items if isinstance(rows, Sequence) else ()
    return {
        shown(row.items.get("key")): shown(row.items.get("note"))
        for row in listed
        if isinstance(row, Fields)
    }


def _code_rows(tree: Fields) -> Iterator[CodeRow]:
    for alias, system in _inner(tree, "systems"):
        for code, entry in _inner(system, "codes"):
            yield CodeRow(
                alias=alias,
                code=code,
                display=shown(entry.items.get("display")),
                system=shown(system.items.get("url")),
                source=shown(entry.items.get("source")),
                note=shown(entry.items.get("note")),
                license=shown(system.items.get("license")),
            )


def _unit_rows(tree: Fields) -> Iterator[UnitRow]:
    for name, entry in _inner(tree, "units"):
        code, display, dimension, note = (
            shown(entry.items.get(key)) for key in ("code", "display", "dimension", "note")
        )
        yield UnitRow(name=name, code=code, display=display, dimensions=dimension, note=note)


def _inner(tree: Fields, key: str) -> Iterator[tuple[str, Fields]]:
    node = tree.items.get(key)
    for name, entry in node.items.items() if isinstance(node, Fields) else ():
        if isinstance(entry, Fields):
            yield name, entry
