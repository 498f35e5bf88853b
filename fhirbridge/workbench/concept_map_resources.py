"""The ConceptMaps of a set as FHIR R4 resources, with a CodeSystem of the words each maps from."""

from collections.abc import Iterable, Iterator
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.translate.tables.concept_maps import Unmapped
from fhirbridge.workbench.sign_off import CodeRow, Document, MapRow, MapSheet

Json = dict[str, Any]

_TO_EXPLAIN = ("narrower", "inexact")  # R4 cmd-1: these need a comment
_LONGEST_ID = 64


def resources(document: Document, site: str) -> dict[str, Json]:
    """Return file name -> resource, in the order of the names. `site` is the host in the URLs."""
    made = [_code_system(*entry, site) for entry in _words(document.maps).items()]
    made += [_concept_map(sheet, site) for sheet in document.maps]
    named = {f"{one['resourceType']}-{one['id']}.json": one for one in made}
    return dict(sorted(named.items()))


def encoded(resource: Json) -> bytes:
    """Return the bytes of one file."""
    return codec.encode(resource) + b"\n"


def _words(maps: Iterable[MapSheet]) -> dict[str, MapSheet]:
    """Return for each table of words the map which says best what they mean."""
    found: dict[str, MapSheet] = {}
    for sheet in maps:
        if sheet.words not in found or sheet.sheet.name == sheet.words:
            found[sheet.words] = sheet
    return found


def _id(words: str) -> str:
    return words.replace(".", "-").replace("_", "-")[:_LONGEST_ID]


def _name(words: str) -> str:
    """Return a name that a machine may use, as R4 cmd-0 and csd-0 ask."""
    return "".join(part.capitalize() for part in _id(words).split("-"))


def _system(words: str, site: str) -> str:
    return f"https://{site}/CodeSystem/{_id(words)}"


def _status(sheet: MapSheet) -> str:
    return "active" if sheet.sheet.signed else "draft"


def _code_system(words: str, sheet: MapSheet, site: str) -> Json:
    return {
        "resourceType": "CodeSystem",
        "id": _id(words),
        "url": _system(words, site),
        "version": sheet.sheet.version,
        "name": f"{_name(words)}Words",
        "status": _status(sheet),
        "description": f"The words that the session record uses for {words}.",
        "caseSensitive": True,
        "content": "complete",
        "count": len(sheet.rows),
        "concept": [_concept(row) for row in sheet.rows],
    }


def _concept(row: MapRow) -> Json:
    return {"code": row.key, "display": row.text or row.key.replace("-", " ")}


def _concept_map(sheet: MapSheet, site: str) -> Json:
    licences = dict.fromkeys(
        f"{code.system}: {code.license}" for row in sheet.rows for code in row.codes if code.license
    )
    made = {
        "resourceType": "ConceptMap",
        "id": _id(sheet.sheet.name),
        "url": sheet.url.replace("{site}", site),
        "version": sheet.sheet.version,
        "name": f"{_name(sheet.sheet.name)}Map",
        "title": f"{sheet.sheet.name} ({sheet.sheet.reviewed})",
        "status": _status(sheet),
        "description": sheet.sheet.purpose,
        "copyright": "\n\n".join(licences),
        "group": list(_groups(sheet, _system(sheet.words, site))),
    }
    return {key: value for key, value in made.items() if value}


def _groups(sheet: MapSheet, source: str) -> Iterator[Json]:
    """Yield one group for each system of codes, and one without for words that have no code."""
    systems = dict.fromkeys(code.system for row in sheet.rows for code in row.codes)
    for system in systems:
        elements = [_element(row, system) for row in sheet.rows if _of(row, system)]
        yield {"source": source, "target": system, "element": elements} | _unmapped(sheet, system)
    bare = [_unmatched(row) for row in sheet.rows if not row.codes]
    if bare:
        yield {"source": source, "element": bare} | _unmapped(sheet, "")


def _unmapped(sheet: MapSheet, system: str) -> Json:
    """Say what becomes of another word.

    R4 has no mode for refusing it or leaving it out: of these it says nothing.
    """
    if sheet.unmapped == Unmapped.TEXT_ONLY:
        return {"unmapped": {"mode": "provided"}}
    fixed = [code for code in sheet.instead if code.system == system]
    if not fixed:
        return {}
    display = {"display": fixed[0].display} if fixed[0].display else {}
    return {"unmapped": {"mode": "fixed", "code": fixed[0].code, **display}}  # R4 cmd-2


def _of(row: MapRow, system: str) -> list[CodeRow]:
    return [code for code in row.codes if code.system == system]


def _element(row: MapRow, system: str) -> Json:
    return {**_concept(row), "target": [_target(row, code) for code in _of(row, system)]}


def _target(row: MapRow, code: CodeRow) -> Json:
    comment = row.note
    if not comment and row.equivalence in _TO_EXPLAIN:
        comment = f"{row.equivalence}: the code does not say exactly what the word says"
    made = {
        "code": code.code,
        "display": code.display,
        "equivalence": row.equivalence,
        "comment": comment,
    }
    return {key: value for key, value in made.items() if value}


def _unmatched(row: MapRow) -> Json:
    comment = " ".join(part for part in (f"Sent as text: {row.text}", row.note) if part)
    return {**_concept(row), "target": [{"equivalence": "unmatched", "comment": comment}]}
