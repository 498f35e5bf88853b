"""The column map: which column of a flat export fills which field of the record.

A YAML file of plain words: every value is text, nothing is a date or a number by itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import yaml

from fhirbridge.errors import BridgeError
from fhirbridge.records import vocabulary
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema

FORMAT = "fhirbridge/columns/v1"
SIZE_LIMIT = 200_000
SHEET_WORDS = ("session", "encoding", "delimiter", "decimal", "constants", "fields")
EXPORT_WORDS = (*SHEET_WORDS, "part", "id", "time", "patient")
CELL_WORDS = ("column", "and", "format", "unit", "unit_column", "values", "split")
_STEP = re.compile(r"([a-z_0-9]+)(?:\[([^\[\]]+)\])?", re.ASCII)

Step = tuple[str, str]  # field name, id of the row in it ("" where it is no list)


class ColumnMapError(BridgeError):
    """The column map cannot be used; all that is wrong is named at once."""

    code = "E121"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One field and where its value stands."""

    path: tuple[Step, ...]
    kind: SourceField
    column: str
    second: str = ""  # a column whose text is put behind, such as the time behind the date
    format: str = ""
    unit: str = ""
    unit_column: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    split: str = ""

    def columns(self) -> Iterator[str]:
        """Yield the columns that it reads."""
        yield from (name for name in (self.column, self.second, self.unit_column) if name)
        yield from (row[1:] for _, row in self.path if row.startswith("$"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One kind of file. `part` is the list that each row adds a row to; () for a visit a row."""

    session: str
    encoding: str
    delimiter: str
    decimal: str
    constants: tuple[tuple[tuple[Step, ...], SourceField, str], ...]
    cells: tuple[Cell, ...]
    part: tuple[Step, ...] = ()
    id: str = ""
    time: str = "time"
    patient: str = ""

    def columns(self) -> list[str]:
        """Return every column that this file must have."""
        named = [name for name in (self.session, self.id, self.patient) if name]
        named += [name for cell in self.cells for name in cell.columns()]
        return list(dict.fromkeys(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """The export of visits, and the exports of devices that are joined to it."""

    sessions: Sheet
    exports: Mapping[str, Sheet]


class _Loader(yaml.SafeLoader):
    """Plain words only: no dates, no numbers, no anchors, no key twice."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012, the base class has it so

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
        keys = [key.value for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: a key stands twice")
        return super().construct_mapping(node, deep=deep)


def load(raw: bytes) -> ColumnMap:
    """Read a column map; raise ColumnMapError that names all that is wrong."""
    tree = _tree(raw)
    reader = _Reader()
    if tree.get("format") != FORMAT:
        reader.faults.append(f"format must be {FORMAT}")
    reader.refuse_words(tree, ("format", "sessions", "exports"), "the map")
    sessions = reader.sheet(tree.get("sessions"), "sessions", source_schema())
    exports = tree.get("exports") or {}
    made = {
        str(name): reader.export(sheet, f"exports.{name}")
        for name, sheet in (exports.items() if isinstance(exports, dict) else ())
    }
    if not sessions.session:
        reader.faults.append("sessions: session must name the column with the id of the visit")
    if reader.faults:
        raise ColumnMapError("the column map is wrong: " + "; ".join(reader.faults))
    return ColumnMap(sessions=sessions, exports=made)


def _tree(raw: bytes) -> dict[str, Any]:
    if len(raw) > SIZE_LIMIT:
        raise ColumnMapError(f"the column map is longer than {SIZE_LIMIT} bytes")
    try:
        tree = _Loader(raw.decode("utf-8-sig")).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else str(error)
        raise ColumnMapError(f"the column map is not YAML that can be read: {place}") from None
    if not isinstance(tree, dict):
        raise ColumnMapError("the column map must be a YAML mapping")
    return tree


class _Reader:
    """Reads the parts of a map and collects what is wrong in them."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def refuse_words(self, tree: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
        for word in tree:
            if word not in known:
                near = vocabulary.nearest(word, known)
                hint = f"; did you mean {near}?" if near else ""
                self.faults.append(f"{where}: {word} is not a word of a column map{hint}")

    def export(self, tree: Any, where: str) -> Sheet:
        steps, target = self.path(str((tree or {}).get("part", "")), where, source_schema())
        if target is None or target.kind != "list" or target.item is None:
            self.faults.append(f"{where}: part must name a list, such as vitals")
            return self.sheet(None, where, source_schema())
        return self.sheet(tree, where, target.item, part=steps)

    def sheet(
        self, tree: Any, where: str, root: SourceField, *, part: tuple[Step, ...] = ()
    ) -> Sheet:
        if not isinstance(tree, dict):
            self.faults.append(f"{where} is missing")
            tree = {}
        self.refuse_words(tree, EXPORT_WORDS if part else SHEET_WORDS, where)
        cells = [
            self.cell(str(path), spec, where, root) for path, spec in _items(tree.get("fields"))
        ]
        constants = [
            (*self.path(str(path), where, root), str(value))
            for path, value in _items(tree.get("constants"))
        ]
        plain = {
            name: str(tree.get(name, usual))
            for name, usual in (
                ("session", ""), ("encoding", ""), ("delimiter", ""), ("decimal", "."),
                ("id", ""), ("time", "time"), ("patient", ""),
            )
        }  # fmt: skip
        return Sheet(
            **plain,
            constants=tuple((steps, kind, value) for steps, kind, value in constants if kind),
            cells=tuple(cell for cell in cells if cell),
            part=part,
        )

    def cell(self, path: str, spec: Any, where: str, root: SourceField) -> Cell | None:
        spec = {"column": spec} if isinstance(spec, str) else spec
        if not isinstance(spec, dict) or not spec.get("column"):
            self.faults.append(f"{where}.{path}: must be a column, or say column:")
            return None
        self.refuse_words(spec, CELL_WORDS, f"{where}.{path}")
        steps, kind = self.path(path, where, root)
        if kind is None:
            return None
        if kind.dimensions and not (spec.get("unit") or spec.get("unit_column")):
            self.faults.append(f"{where}.{path}: a measure needs a unit or a unit_column")
        words = {str(key): str(value) for key, value in _items(spec.get("values"))}
        names = ("format", "unit", "unit_column", "split")
        return Cell(
            path=steps,
            kind=kind,
            column=str(spec["column"]),
            second=str(spec.get("and", "")),
            values=words,
            **{name: str(spec.get(name, "")) for name in names},
        )

    def path(
        self, path: str, where: str, root: SourceField
    ) -> tuple[tuple[Step, ...], SourceField | None]:
        """Return the steps and the field at their end; None where there is no such field."""
        steps: list[Step] = []
        at: SourceField = root
        for written in re.split(r"\.(?![^\[]*\])", path):
            match = _STEP.fullmatch(written)
            name, row = (match[1], match[2] or "") if match else (written, "")
            below = at.fields.get(name)
            if below is None:
                near = vocabulary.nearest(name, at.fields)
                hint = f"; did you mean {near}?" if near else ""
                self.faults.append(f"{where}: {path} is not a field of the record{hint}")
                return (), None
            at = below.item if row and below.item is not None else below
            steps.append((name, row))
        return tuple(steps), at


def _items(tree: Any) -> list[tuple[Any, Any]]:
    return list(tree.items()) if isinstance(tree, dict) else []
