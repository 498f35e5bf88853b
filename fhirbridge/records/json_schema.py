"""The record as JSON Schema 2020-12, for integrators' tools; worked out from the one definition."""

from collections.abc import Callable, Mapping
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.parts.session import SCHEMA_NAME
from fhirbridge.records.parts.stock import STOCK_NAME
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema
from fhirbridge.records.stock import stock_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?$"
FORMS: Mapping[str, Callable[[], SourceField]] = {
    SCHEMA_NAME: source_schema,
    STOCK_NAME: stock_schema,
}
PLAIN: dict[str, dict[str, Any]] = {
    "string": {"type": "string", "minLength": 1},
    "integer": {"type": "integer", "minimum": 0},
    "decimal": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "dateTime": {"type": "string", "pattern": MOMENT},
    "partialDate": {"type": "string", "pattern": r"^\d{4}(-\d{2}(-\d{2})?)?$"},
}


def json_schema(name: str = SCHEMA_NAME) -> dict[str, Any]:
    """Return the schema of the whole record, of sessions or of stock.

    It says what a form can say. Rules that need two fields at once (references, sums, held
    elements) stand only in the check itself.
    """
    return {"$schema": DIALECT, "title": name, **_of(FORMS[name]())}


def _of(field: SourceField) -> dict[str, Any]:
    if field.kind == "list":
        return {"type": "array", "items": _of(field.item)} if field.item else {"type": "array"}
    if field.kind != "object":
        return {"enum": list(field.values)} if field.values else dict(PLAIN[field.kind])
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _property(name, child, field) for name, child in field.fields.items()},
        "additionalProperties": False,
    }
    required = [name for name, child in field.fields.items() if child.required]
    if required:
        schema["required"] = required
    if {"system", "code", "text"} <= field.fields.keys():
        ways = ["key"] if "key" in field.fields else []
        schema["oneOf"] = [{"required": [way]} for way in (*ways, "text")]
        schema["oneOf"].append({"required": ["system", "code"]})
    return schema


def _property(name: str, child: SourceField, holder: SourceField) -> dict[str, Any]:
    if name == "key" and holder.table:
        return {"enum": list(vocabulary.keys(holder.table))}
    return _of(child)
