"""The record as a tree for mappings, read off the marshmallow schema: there is one definition.

`SourceField` itself lives in `source`, which imports nothing heavy.
"""

from functools import cache
from types import MappingProxyType
from typing import Any

from marshmallow import Schema, fields

from fhirbridge.records.fields import Choice, RecordField, RowRef
from fhirbridge.records.parts.session import SessionRecord
from fhirbridge.records.source import SourceField

__all__ = ["SourceField", "source_schema"]


@cache
def source_schema() -> SourceField:
    """Return the whole record, as an object."""
    return tree_of(SessionRecord())


def tree_of(form: Schema) -> SourceField:
    """Return the tree of another form of the same make."""
    return _object(form, required=True)


def _object(shape: Schema, *, required: bool) -> SourceField:
    return SourceField(
        kind="object",
        required=required,
        fields=MappingProxyType(
            {field.data_key or name: _field(field) for name, field in shape.fields.items()}
        ),
        table=getattr(shape, "table", ""),
        dimensions=getattr(shape, "dimensions", ()),
    )


def _field(field: fields.Field[Any]) -> SourceField:
    if isinstance(field, fields.Nested):
        return _object(field.schema, required=field.required)
    if isinstance(field, fields.List):
        return SourceField(kind="list", required=field.required, item=_field(field.inner))
    if not isinstance(field, RecordField):
        raise TypeError(type(field).__name__)
    return SourceField(
        kind=field.kind,
        required=field.required,
        values=field.values if isinstance(field, Choice) else (),
        table=getattr(field, "table", ""),
        refers=field.parts if isinstance(field, RowRef) else (),
    )
