"""What records rarely say, put into synthetic ones: labels, relations, own codes, absent values.

Nothing that is put in is wrong: a record that passed the check before still passes it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from fhirbridge.records.dice import Dice
from fhirbridge.records.parts.shapes import ABSENT_REASONS, METHODS
from fhirbridge.records.source import SourceField

LABELS = ("psychiatry", "restricted", "very-restricted")
OWN_SYSTEM = "urn:oid:2.16.840.1.113883.19.7"
OWN_SCALE = {"version": "2", "subscale": "all", "unit": "points", "min": 0, "max": 200}
# What rules work out, or where the words decide what the row is.
LEFT_ALONE = frozenset({"limits", "screen", "criteria", "dose_cap"})


def adorn(record: dict[str, Any], source: SourceField, dice: Dice) -> None:
    """Put rare fields into a record."""
    _Ornament(record, dice).go(record, source, "")


class _Ornament:
    def __init__(self, record: dict[str, Any], dice: Dice) -> None:
        self._dice = dice
        counts = Counter(_ids(record))
        self._ids = [one for one, count in counts.items() if count == 1]

    def go(self, value: Any, field: SourceField, name: str) -> None:
        if field.item is not None:
            for row in value:
                self.go(row, field.item, name)
        elif {"value", "absent_reason", "unit"} <= field.fields.keys():
            self._measure(value)
        elif {"system", "code"} <= field.fields.keys():
            self._coded(value, field, name)
        elif field.kind == "object":
            self._row(value, field)
            for below in list(value):
                if below not in LEFT_ALONE or self._dice.happens(1, 4):
                    self.go(value[below], field.fields[below], below)

    def _measure(self, value: dict[str, Any]) -> None:
        if self._dice.happens(1, 5):
            for name in ("value", "unit"):
                value.pop(name, None)
            value["absent_reason"] = self._dice.pick(ABSENT_REASONS)
        if self._dice.happens(1, 2):
            value |= {"method": self._dice.pick(METHODS), "device": "Device 7", "label": "first"}

    def _coded(self, value: dict[str, Any], field: SourceField, name: str) -> None:
        way = self._dice.pick(("as it is", "text", "own code"))
        if way == "as it is":
            return
        value.clear()
        if way == "text":
            value["text"] = f"{name.replace('_', ' ').capitalize()} in the clinic's own words"
        else:
            value |= {"system": OWN_SYSTEM, "code": f"own-{name.replace('_', '-')}"}
            value["display"] = f"{name.replace('_', ' ').capitalize()} of the clinic's own list"
        if "subscale" in field.fields:
            value |= OWN_SCALE

    def _row(self, value: dict[str, Any], field: SourceField) -> None:
        if "related" not in field.fields or value.get("labels") or not self._dice.happens(1, 3):
            return
        value["labels"] = [self._dice.pick(LABELS)]
        others = [one for one in self._ids if one != value.get("id")]
        if others:
            value["related"] = [self._dice.pick(others)]


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("id"), str):
            yield value["id"]
        for below in value.values():
            yield from _ids(below)
    elif isinstance(value, list):
        for below in value:
            yield from _ids(below)
