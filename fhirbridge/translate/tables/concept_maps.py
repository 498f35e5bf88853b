"""conceptmaps/*.yaml: what a word of the record means in codes.

A word is never left out silently.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fhirbridge.records.source import SourceField
from fhirbridge.translate.faults import FaultError, Faults, Place, suggest
from fhirbridge.translate.frame import RefusedError
from fhirbridge.translate.source_types import tables_of, type_of
from fhirbridge.translate.tables.code_table import CODE, CodeTable, Concept, refuse_keys
from fhirbridge.translate.values import Translation
from fhirbridge.translate.yaml_tree import (
    Fields,
    Node,
    Scalar,
    Sequence,
    fields_of,
    items_of,
    text_of,
)

_KEYS = ("url", "version", "source", "target", "unmapped", "rows", "owner", "reviewed", "note")
_ROW_KEYS = ("key", "codings", "equivalence", "text", "note")
_SHORT_ROW = 3
_UNMAPPED = "unmapped:"  # so begins what a rule says of a word without a row
_RULE = re.compile(rf"translate\([^()]* {_UNMAPPED} [a-z-]+\)")


class Unmapped(StrEnum):
    """What to do with a word that has no row."""

    ERROR = "error"
    TEXT_ONLY = "text-only"
    OMIT = "omit"
    USE = "use"  # written {use: system#code}


class Equivalence(StrEnum):
    """The R4 code of how near a target is to its source."""

    RELATED_TO = "relatedto"
    EQUIVALENT = "equivalent"
    EQUAL = "equal"
    WIDER = "wider"
    SUBSUMES = "subsumes"
    NARROWER = "narrower"
    SPECIALIZES = "specializes"
    INEXACT = "inexact"
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    concept: Concept
    equivalence: str  # "" where the row is only text


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptMap:
    name: str
    url: str
    version: str
    table: str  # "" where the map is for the words of one field
    keys: tuple[str, ...]
    unmapped: Unmapped
    instead: Concept  # of `use`
    rows: Mapping[str, Row]

    def find(self, key: str) -> tuple[Concept, str]:
        """Return what a key means and the rule that says so. Raises RefusedError E405."""
        row = self.rows.get(key)
        if row is not None:
            return (
                row.concept,
                f"translate({self.name} {self.version}, {row.equivalence or 'text'})",
            )
        if self.unmapped is Unmapped.ERROR:
            raise RefusedError("E405", f"the word has no row in conceptmaps/{self.name}.yaml")
        rule = f"translate({self.name} {self.version}, {_UNMAPPED} {self.unmapped})"
        return Concept(text=key) if self.unmapped is Unmapped.TEXT_ONLY else self.instead, rule

    def codes(self) -> tuple[tuple[str, str], ...]:
        """Return every (system, code) that may come out."""
        concepts = [*(row.concept for row in self.rows.values()), self.instead]
        codings = [coding for concept in concepts for coding in concept.codings]
        return tuple(dict.fromkeys((coding["system"], coding["code"]) for coding in codings))


def load(
    name: str, tree: Fields, *, codes: CodeTable, source: SourceField, faults: Faults
) -> ConceptMap:
    """Read one map.

    Raises FaultError where its head is wrong; rows that are wrong are noted and left out.
    """
    refuse_keys(tree, _KEYS, faults)
    url = text_of(tree.items.get("url"), "'url'", tree.place, code="E303")
    if url != f"https://{{site}}/ConceptMap/{name}":
        message = f"'url' must be https://{{site}}/ConceptMap/{name}, by the file's name"
        faults.add("E303", tree.places["url"], message)
    version = text_of(tree.items.get("version"), "'version'", tree.place, code="E303")
    table, keys = _source(
        fields_of(tree.items.get("source"), "'source'", tree.place, code="E303"), source
    )
    default = tree.items.get("target")
    alias = text_of(default, "'target'", tree.place, code="E303") if default else ""
    if default:
        with faults.caught():
            codes.system(alias, default.place)  # also where no row needs it
    unmapped, instead = _unmapped(tree, alias, codes)
    listed = items_of(tree.items.get("rows"), "'rows'", tree.place, code="E303")
    rows: dict[str, Row] = {}
    for node in listed:
        with faults.caught():
            _take(rows, keys, node, alias, codes)
    missing = [key for key in keys if key not in rows]
    if missing:
        place = tree.places["rows"]
        faults.add(
            "E302", place, f"no row for {', '.join(map(repr, missing))} of {table or 'the field'}"
        )
    return ConceptMap(
        name=name,
        url=url,
        version=version,
        table=table,
        keys=keys,
        unmapped=unmapped,
        instead=instead,
        rows=rows,
    )


def unmapped_words(found: Translation) -> Counter[str]:
    """Count the words without a row, by what the why says of them: none is passed over silently.

    One of `omit` stands in what came out empty, the others in what was made.
    """
    whys = [*found.empty, *(why for made in found.resources for why in made.why)]
    rules = [rule for why in whys for rule in _RULE.findall(why.rule)]
    return Counter(rules)


def _source(fields: Fields, source: SourceField) -> tuple[str, tuple[str, ...]]:
    """Read `{table: route}` or `{field: visit.status}`; return the table and the keys it has."""
    if list(fields.items) == ["table"]:
        table = text_of(fields.items["table"], "'table'", fields.place, code="E303")
        tables = tables_of(source)
        if table not in tables:
            message = f"the record has no table '{table}'{suggest(table, tables)}"
            raise FaultError("E303", fields.items["table"].place, message)
        return table, tables[table]
    if list(fields.items) == ["field"]:
        path = text_of(fields.items["field"], "'field'", fields.place, code="E303")
        return "", _values(path, fields.items["field"].place, source)
    raise FaultError("E303", fields.place, "'source' is {table: …} or {field: …}")


def _values(path: str, place: Place, source: SourceField) -> tuple[str, ...]:
    kind = type_of(source)
    for name in path.split("."):
        known = kind.field.fields if kind.field else {}
        if name not in known:
            raise FaultError("E202", place, f"source has no field {path}{suggest(name, known)}")
        kind = type_of(known[name]).one()
    if not kind.values:
        raise FaultError("E303", place, f"{path} is not a closed set of words")
    return kind.values


def _unmapped(tree: Fields, alias: str, codes: CodeTable) -> tuple[Unmapped, Concept]:
    """Read what becomes of a word without a row, and the code that `use` puts in its place."""
    node = tree.items.get("unmapped")
    if isinstance(node, Fields) and list(node.items) == ["use"]:
        return Unmapped.USE, _code(node.items["use"], alias, codes)
    text = text_of(node, "'unmapped'", tree.place, code="E303")
    plain = [known for known in Unmapped if known is not Unmapped.USE]
    if text not in plain:
        place = tree.items["unmapped"].place
        message = f"'unmapped' is {', '.join(plain)} or {{use: system#code}}{suggest(text, plain)}"
        raise FaultError("E303", place, message)
    return Unmapped(text), Concept()


def _take(
    rows: dict[str, Row], keys: tuple[str, ...], node: Node, alias: str, codes: CodeTable
) -> None:
    key, row = _row(node, alias, codes)
    if key in rows:
        raise FaultError("E302", node.place, f"'{key}' has two rows")
    if key not in keys:
        raise FaultError("E302", node.place, f"the record has no key '{key}'{suggest(key, keys)}")
    rows[key] = row


def _row(node: Node, alias: str, codes: CodeTable) -> tuple[str, Row]:
    if isinstance(node, Sequence):
        return _short_row(node, alias, codes)
    fields = fields_of(node, "a row", node.place, code="E303")
    for key, place in fields.places.items():
        if key not in _ROW_KEYS:
            raise FaultError("E303", place, f"a row has no '{key}'{suggest(key, _ROW_KEYS)}")
    key = text_of(fields.items.get("key"), "'key'", fields.place, code="E303")
    text_node = fields.items.get("text")
    text = text_of(text_node, "'text'", fields.place, code="E303") if text_node else ""
    if "codings" not in fields.items:
        if not text:
            raise FaultError("E303", fields.place, "a row needs codings or text")
        return key, Row(concept=Concept(text=text), equivalence="")
    listed = items_of(fields.items["codings"], "'codings'", fields.place, code="E303")
    codings = tuple(c for item in listed for c in _code(item, alias, codes).codings)
    equivalence = _equivalence(fields.items.get("equivalence"), fields.place)
    return key, Row(concept=Concept(codings=codings, text=text), equivalence=equivalence)


def _short_row(node: Sequence, alias: str, codes: CodeTable) -> tuple[str, Row]:
    if len(node.items) != _SHORT_ROW:
        raise FaultError("E303", node.place, "a short row is [key, code, equivalence]")
    key = text_of(node.items[0], "the key", node.place, code="E303")
    concept = _code(node.items[1], alias, codes)
    return key, Row(concept=concept, equivalence=_equivalence(node.items[2], node.place))


def _code(node: Node, alias: str, codes: CodeTable) -> Concept:
    text = text_of(node, "a code", node.place, code="E303")
    match = CODE.fullmatch(text)
    if match and match.group(1) in codes.systems:
        return codes.find(match.group(1), match.group(2), node.place)
    if match and not alias:
        codes.system(match.group(1), node.place)
    if not alias:
        raise FaultError("E303", node.place, "a bare code needs the map's 'target'")
    return codes.find(alias, text, node.place)


def _equivalence(node: Node | None, place: Place) -> str:
    text = node.text if isinstance(node, Scalar) else ""
    if text not in list(Equivalence):
        words = ", ".join(Equivalence)
        at = node.place if node else place
        raise FaultError("E303", at, f"'equivalence' is one of {words}{suggest(text, Equivalence)}")
    return text
