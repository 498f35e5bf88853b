"""documents/*.html.

Readable notes, filled in by Jinja in a sandbox that sees the record and nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from types import CodeType
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fhirbridge.fhir import codec
from fhirbridge.records.source import SourceField
from fhirbridge.translate.documents import markup, plots
from fhirbridge.translate.faults import Faults, Place, suggest
from fhirbridge.translate.frame import Frame, RefusedError
from fhirbridge.translate.source_types import Type
from fhirbridge.translate.tables.concept_maps import ConceptMap
from fhirbridge.translate.tables.unit_table import UnitTable

# `random`, `shuffle` and their like are left out: equal records must give equal bytes.
_FILTERS = (
    "default",
    "d",
    "e",
    "escape",
    "first",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "trim",
    "upper",
)
_TESTS = (
    "defined",
    "none",
    "eq",
    "equalto",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "in",
    "true",
    "false",
    "odd",
    "even",
)
_OF_LOOPS = ("first", "last", "index", "length")
_DAY = 10
MINUTE, SECOND = 16, 19  # how far of a time is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    template: Template
    tree: nodes.Template
    file: str
    text: str
    names: frozenset[str]  # that it takes from the record and its mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    by_name: Mapping[str, Document]

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """Fill in one document. Raises RefusedError E409."""
        try:
            return plots.drawn(self.by_name[name].template.render(context))
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            line = _line_of(error)
            message = f"documents/{name}.html{line} could not be filled in"
            raise RefusedError("E409", message) from None


def load(
    texts: Mapping[str, tuple[str, str]],
    *,
    maps: Mapping[str, ConceptMap],
    units: UnitTable,
    faults: Faults,
) -> Documents:
    """Compile each document of {name.

    (file, text)}; what Jinja does not take is noted in `faults`.
    """
    environment = _environment(maps, units)
    found: dict[str, Document] = {}
    for name, (file, text) in texts.items():
        try:
            tree = _tree(text)
            # Before it is compiled: Jinja itself would stop at the first, and suggest nothing.
            _refuse_strange(tree, environment, maps, file=file, faults=faults)
            _refuse_strange_loops(tree, file, faults)
            template = Template.from_code(environment, _code(text), environment.make_globals(None))
        except TemplateSyntaxError as error:
            message = f"not a template: {error.message}"
            faults.add("E209", Place(file=file, line=error.lineno), message)
            continue
        faults.found += markup.faults_in(text, file)
        found[name] = Document(
            template=template,
            tree=tree,
            file=file,
            text=text,
            names=_names(text),
        )
    return Documents(by_name=found)


_NO_UNITS = UnitTable(system="", units={})


# A document's tree and code depend on its text only: filters are looked up when it is filled in.
@lru_cache(maxsize=32)
def _tree(text: str) -> nodes.Template:
    return _environment({}, _NO_UNITS).parse(text)


@lru_cache(maxsize=32)
def _code(text: str) -> CodeType:
    return _environment({}, _NO_UNITS).compile(_tree(text))


@lru_cache(maxsize=32)
def _names(text: str) -> frozenset[str]:
    return frozenset(meta.find_undeclared_variables(_tree(text)))


class _Environment(ImmutableSandboxedEnvironment):
    """Reads the record by fields only.

    So that `row.items` is the field and never a Python method.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Seen):
            return obj.read(attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Seen):
            return obj.read(str(argument))
        return super().getitem(obj, argument)


class Seen:
    """An object of the record as a document sees it.

    A known field that is absent is nothing, an unknown one is refused.
    """

    __slots__ = ("_fields", "_frame", "value")

    def __init__(
        self, value: dict[str, Any] | None, fields: Mapping[str, SourceField], frame: Frame
    ) -> None:
        self.value = value
        self._fields = fields
        self._frame = frame

    def __bool__(self) -> bool:
        return self.value is not None

    def read(self, name: str) -> Any:
        """Return a field, and note that it was read."""
        field = self._fields.get(name)
        if field is None:
            return StrictUndefined(name=name)
        inner = None if self.value is None else self._frame.read(self.value, name)
        return _seen(inner, field, self._frame)


def seen(value: Any, kind: Type, frame: Frame) -> Any:
    """Return a value as a document sees it."""
    if kind.field is None:
        return (value or []) if kind.many else value
    if kind.many:
        return [Seen(item, kind.field.fields, frame) for item in value or []]
    return Seen(value, kind.field.fields, frame)


def _seen(value: Any, field: SourceField, frame: Frame) -> Any:
    if field.kind == "list" and field.item is not None:
        return [_seen(item, field.item, frame) for item in value or []]
    return Seen(value, field.fields, frame) if field.kind == "object" else value


def _environment(maps: Mapping[str, ConceptMap], units: UnitTable) -> _Environment:
    environment = _Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,  # nothing is worked out from one set's maps and kept in the code
    )
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    environment.tests = {name: environment.tests[name] for name in _TESTS}
    environment.globals = {}
    environment.filters["measure"] = lambda value: _measure(value, units)
    environment.filters["coded"] = lambda value, name="": _coded(value, maps.get(name))
    environment.filters["date"] = lambda value: (value or "")[:_DAY]
    environment.filters["time"] = _time
    return environment


def _time(moment: str | None, *beside: str | None) -> str:
    """Write the minute: alone, or beside another time so that its day is not mistaken."""
    if not moment or not beside:
        return (moment or "")[_DAY + 1 : MINUTE]
    return clock(moment, beside[0], MINUTE)


def clock(moment: str, beside: str | None, until: int) -> str:
    """Write a time as one says it beside another.

    The time of day alone where both are of one local date and one offset; else with its date, and
    with its offset where that differs.
    """
    time, offset = moment[_DAY + 1 : until], _offset(moment)
    if beside is None or offset != _offset(beside):
        return f"{moment[:_DAY]} {time} {offset}"
    return time if moment[:_DAY] == beside[:_DAY] else f"{moment[:_DAY]} {time}"


def _offset(moment: str) -> str:
    return "+00:00" if moment.endswith("Z") else moment[-len("+00:00") :]


def _printed(value: Any) -> Any:
    if value is None or isinstance(value, Seen):
        return ""
    return codec.plain(value) if isinstance(value, Decimal) else value


def _measure(measure: Any, units: UnitTable) -> str:
    """Write `36.25 mg`; nothing where there is no value."""
    value, name = (
        (measure.read("value"), measure.read("unit")) if isinstance(measure, Seen) else (None, None)
    )
    if value is None:
        return ""
    unit = units.units.get(name or "")
    return f"{_printed(value)} {unit.display or unit.code if unit else name or ''}".strip()


def _coded(coded: Any, concept_map: ConceptMap | None) -> str:
    """Write a coded field in words: its text, the display of its code, else the key."""
    if isinstance(coded, str):
        return words_of_key(coded, concept_map)
    if not isinstance(coded, Seen) or not coded:
        return ""
    given = [_read(coded, name) for name in ("text", "display", "key", "code")]
    key = given[2]
    if key and not given[0] and not given[1]:
        return words_of_key(key, concept_map)
    return next((text for text in given if text), "")


def _read(coded: Seen, name: str) -> str:
    found = coded.read(name)
    return found if isinstance(found, str) else ""


def words_of_key(key: str, concept_map: ConceptMap | None) -> str:
    row = concept_map.rows.get(key) if concept_map else None
    if row is None:
        return key.replace("-", " ")
    displays = [coding["display"] for coding in row.concept.codings if "display" in coding]
    return row.concept.text or next(iter(displays), key.replace("-", " "))


def _refuse_strange(
    tree: nodes.Template,
    environment: _Environment,
    maps: Mapping[str, ConceptMap],
    *,
    file: str,
    faults: Faults,
) -> None:
    for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        place = Place(file=file, line=node.lineno)
        faults.add("E209", place, "a document stands alone; no include or import")
    for call in tree.find_all(nodes.Filter):
        if call.name not in environment.filters:
            _refuse_word(call, "filter", environment.filters, file, faults)
        elif call.name == "coded" and call.args:
            _check_map(call, maps, file, faults)
    for test in tree.find_all(nodes.Test):
        if test.name not in environment.tests:
            _refuse_word(test, "test", environment.tests, file, faults)


def _refuse_strange_loops(tree: nodes.Template, file: str, faults: Faults) -> None:
    for read in tree.find_all(nodes.Getattr):
        of_loop = isinstance(read.node, nodes.Name) and read.node.name == "loop"
        if of_loop and read.attr not in _OF_LOOPS:
            message = f"a loop has no '{read.attr}'{suggest(read.attr, _OF_LOOPS)}"
            faults.add("E209", Place(file=file, line=read.lineno), message)


def _refuse_word(
    call: nodes.Filter | nodes.Test, what: str, known: Iterable[str], file: str, faults: Faults
) -> None:
    message = f"no such {what} '{call.name}'{suggest(call.name, known)}"
    faults.add("E209", Place(file=file, line=call.lineno), message)


def _check_map(
    call: nodes.Filter, maps: Mapping[str, ConceptMap], file: str, faults: Faults
) -> None:
    """Refuse a ConceptMap that is not there; the document would silently show the bare key."""
    name = str(call.args[0].value) if isinstance(call.args[0], nodes.Const) else ""
    if name not in maps:
        message = f"coded() takes a ConceptMap in quotes{suggest(name, maps)}"
        faults.add("E204", Place(file=file, line=call.lineno), message)


def _line_of(error: BaseException) -> str:
    """Return `:12`, the line of the template where it failed.

    The error's text may hold a value and is dropped.
    """
    lines = [line for name, line in _trace(error) if name == "<template>"]
    return f":{lines[-1]}" if lines else ""


def _trace(error: BaseException) -> Iterator[tuple[str, int]]:
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next
