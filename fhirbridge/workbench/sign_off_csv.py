"""The sign-off document as one table for a spreadsheet, in which no cell can be a formula."""

import csv
import io
from collections.abc import Iterator

from fhirbridge.workbench.sign_off import CodeRow, Document, MappingSheet, MapSheet, Sheet
from fhirbridge.workbench.spreadsheet import safe

COLUMNS = (
    "kind",
    "name",
    "version",
    "owner",
    "reviewed",
    "source fields",
    "rule",
    "conditions",
    "FHIR path",
    "codes",
    "code systems",
    "source of the code",
    "confidence",
    "required value set",
    "line",
)
_JOIN = " | "


def text(document: Document) -> str:
    """Return the whole document as CSV (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in _rows(document):
        # Every rule here starts with =.
        writer.writerow([safe(cell) for cell in row])
    return out.getvalue()


def _rows(document: Document) -> Iterator[tuple[str, ...]]:
    for mapping in document.mappings:
        yield from _of_mapping(mapping)
    for concept_map in document.maps:
        yield from _of_map(concept_map)
    for overlay in document.overlays:
        for what, how in overlay.facts:
            yield _row("overlay", overlay, rule=how, under=what, line=overlay.file)
    for unit in document.units:
        yield ("unit", unit.name, *[""] * 4, unit.note, "", unit.dimensions, unit.code, *[""] * 5)
    for code in document.codes:
        yield ("code", code.alias, *[""] * 4, code.note, "", "", *_codes((code,)), "", "codes.yaml")


def _row(
    kind: str,
    sheet: Sheet,
    *,
    sources: str = "",
    rule: str = "",
    under: str = "",
    path: str = "",
    codes: tuple[CodeRow, ...] = (),
    value_set: str = "",
    line: str = "",
) -> tuple[str, ...]:
    head = (kind, sheet.name, sheet.version, sheet.owner, sheet.reviewed)
    return (*head, sources, rule, under, path, *_codes(codes), value_set, line)


def _of_mapping(mapping: MappingSheet) -> Iterator[tuple[str, ...]]:
    sheet = mapping.sheet
    for what, how in sheet.facts:
        yield _row("head", sheet, rule=how, under=what, path=mapping.target, line=sheet.file)
    for rule in mapping.rules:
        yield _row(
            "element",
            sheet,
            sources=_JOIN.join(rule.sources),
            rule=rule.text,
            under=_JOIN.join(rule.under),
            path=rule.path,
            codes=rule.codes,
            value_set=rule.value_set,
            line=rule.line,
        )


def _of_map(concept_map: MapSheet) -> Iterator[tuple[str, ...]]:
    for row in concept_map.rows:
        yield _row(
            "concept map",
            concept_map.sheet,
            sources=row.key,
            rule=row.text,
            under=row.equivalence,
            codes=row.codes,
            line=concept_map.sheet.file,
        )


def _codes(codes: tuple[CodeRow, ...]) -> tuple[str, str, str, str]:
    return (
        _JOIN.join(row.words for row in codes),
        _JOIN.join(row.system for row in codes),
        _JOIN.join(row.source for row in codes),
        _JOIN.join(row.confidence for row in codes),
    )
