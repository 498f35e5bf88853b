"""The record as JSON Schema 2020-12, for integrators' tools; worked out from the one definition."""

from collections.abc import Callable, Mapping
from typing import Any

from fhirbridge.records import events, stock, vocabulary
from fhirbridge.records.parts import session
from fhirbridge.records.parts import stock as parts_stock
from fhirbridge.records.parts.session import SCHEMA_NAME
from fhirbridge.records.parts.stock import STOCK_NAME
from fhirbridge.records.rules import references
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema, tree_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?$"
FORMS: Mapping[str, Callable[[], SourceField]] = {
    SCHEMA_NAME: source_schema,
    STOCK_NAME: stock.stock_schema,
}
RETRACTABLE = {SCHEMA_NAME: references.RETRACTABLE, STOCK_NAME: stock.RETRACTABLE}
NOT_ASKED = {
    SCHEMA_NAME: session.NOT_ASKED_OF_A_RETRACTION,
    STOCK_NAME: parts_stock.NOT_ASKED_OF_A_RETRACTION,
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
    schema = _of(FORMS[name]())
    for part in RETRACTABLE[name]:
        row = schema["properties"][part]["items"]
        _ask_unless_taken_back(row, tuple(one for one in row["required"] if one != "id"))
    _ask_unless_taken_back(schema, NOT_ASKED[name])
    return {"$schema": DIALECT, "title": name, **schema}


def event_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an event; `record` is that of a session record, or refers to it."""
    envelope = _of(tree_of(events.Envelope()))
    short = [_of(tree_of(form())) for form in events.SHORT.values()]
    envelope["properties"]["data"] = {"anyOf": [record, *short]}
    envelope["required"].append("data")
    return envelope


def _ask_unless_taken_back(schema: dict[str, Any], paths: tuple[str, ...]) -> None:
    """Ask for these fields ("patient.name" is one of a part) only where the status is another."""
    asked: dict[str, Any] = {}
    for path in paths:
        part, _, name = path.rpartition(".")
        holder = schema["properties"][part] if part else schema
        holder["required"] = [one for one in holder["required"] if one != (name or path)]
        below = asked.setdefault("properties", {}).setdefault(part, {}) if part else asked
        below.setdefault("required", []).append(name or path)
    taken_back = {"status": {"const": references.ENTERED_IN_ERROR}}
    schema |= {"if": {"properties": taken_back, "required": ["status"]}, "else": asked}


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
