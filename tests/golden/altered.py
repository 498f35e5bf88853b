"""The records of the shipped cases, altered for one test each."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.fhir.validate import problems
from fhirbridge.translate.values import Translation
from fhirbridge.workbench import cases
from tests.golden import translating
from tests.golden.translating import Json

Change = Callable[[Json], None]


def translated(name: str, *changes: Change) -> Translation:
    """Translate the record of a case after these changes; all that is made must be sound R4."""
    folder = translating.MAPPINGS / cases.CASES / name
    sent: Json = codec.decode((folder / cases.RECORD).read_bytes())
    for change in changes:
        change(sent)
    found = translating.translate(sent)
    assert [one for made in found.resources for one in problems(made.body)] == []
    return found


def a_table(names: str, *rows: Any) -> pytest.MarkDecorator:
    """Number the rows of a table: changes of a record have no name of their own."""
    return pytest.mark.parametrize(names, rows, ids=range(len(rows)))


def first_dose(**fields: Any) -> Change:
    def change(sent: Json) -> None:
        sent["administrations"][0].update(fields)

    return change


def put(part: str, value: Any) -> Change:
    def change(sent: Json) -> None:
        sent[part] = value

    return change


def amount(value: str, unit: str) -> Json:
    return {"value": Decimal(value), "unit": unit}


def notes(body: Json) -> list[str]:
    return [one["text"] for one in body.get("note", [])]
