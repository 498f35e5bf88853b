"""Fields of the record as closures."""

from dataclasses import replace
from typing import Any

from fhirbridge.translate import why
from fhirbridge.translate.expressions.compiled import Compiled
from fhirbridge.translate.frame import Frame, Run
from fhirbridge.translate.source_types import Type, type_of
from fhirbridge.translate.tables import unit_table
from fhirbridge.translate.why import Take


def field_of(base: Compiled, name: str, *, traced: bool) -> Compiled:
    """Return one field of an object, or that field of each object of a list."""
    assert base.type.field is not None
    kind = field_type(base.type, name)
    take = why.noted_field(name, leaf=kind.field is None) if traced else _taken(name)
    if base.type.many:
        return Compiled(run=_of_each(base.run, take, spread=kind.many), type=kind.list())
    return Compiled(run=_of_one(base.run, take, nothing=kind.many), type=kind)


def field_type(base: Type, name: str) -> Type:
    """Return the type of a field of an object of the record, and where in the record it lies.

    The unit of a measure is one of its dimensions: the record's rules hold any other.
    """
    assert base.field is not None
    paths = tuple(f"{path}.{name}" if path else name for path in base.paths)
    kind = replace(type_of(base.field.fields[name]), paths=paths)
    if name != "unit" or not base.field.dimensions:
        return kind
    units = dict.fromkeys(unit for _, unit in unit_table.names_in(base.field.dimensions))
    return replace(kind, values=tuple(units))


def _taken(name: str) -> Take:
    return lambda _, value: value.get(name)


def _of_one(run: Run, take: Take, *, nothing: bool) -> Run:
    """Read the field of one object; where it is a list, nothing is the empty one."""

    def field(frame: Frame) -> Any:
        value = run(frame)
        return None if value is None else take(frame, value)

    return (lambda frame: field(frame) or []) if nothing else field


def _of_each(run: Run, take: Take, *, spread: bool) -> Run:
    def rows(frame: Frame) -> list[Any]:
        found: list[Any] = []
        for value in run(frame):
            inner = take(frame, value)
            if spread:
                found.extend(inner or [])
            elif inner is not None:
                found.append(inner)
        return found

    return rows
