"""Fields of the record as closures, each of which notes what it read."""

from fhirbridge.translate.expressions.compiled import Compiled
from fhirbridge.translate.frame import Frame, Run
from fhirbridge.translate.source_types import type_of


def field_of(base: Compiled, name: str) -> Compiled:
    """Return one field of an object, or that field of each object of a list."""
    assert base.type.field is not None
    kind = type_of(base.type.field.fields[name])
    leaf = kind.field is None
    run = base.run
    if base.type.many:
        return Compiled(
            run=_field_of_each(run, name, leaf=leaf, spread=kind.many), type=kind.list()
        )
    if kind.many:
        return Compiled(run=_list_field(run, name, leaf=leaf), type=kind)

    def field(frame: Frame) -> object:
        value = run(frame)
        if value is None:
            return None
        inner = value.get(name)
        if leaf or inner is None:
            frame.reads.append((value, name))
        return inner

    return Compiled(run=field, type=kind)


def _list_field(run: Run, name: str, *, leaf: bool) -> Run:
    def rows(frame: Frame) -> object:
        value = run(frame)
        if value is None:
            return []
        inner = value.get(name)
        if leaf or not inner:
            frame.reads.append((value, name))
        return inner or []

    return rows


def _field_of_each(run: Run, name: str, *, leaf: bool, spread: bool) -> Run:
    def rows(frame: Frame) -> object:
        found: list[object] = []
        for value in run(frame):
            inner = value.get(name)
            if leaf or inner is None:
                frame.reads.append((value, name))
            if spread:
                found.extend(inner or [])
            elif inner is not None:
                found.append(inner)
        return found

    return rows
