"""The sign-off document as one web page: no script, no other file, made to be read and printed."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from fhirbridge.workbench.sign_off import (
    CodeRow,
    Document,
    MappingSheet,
    MapSheet,
    Rule,
    Sheet,
)

_STYLE = """
:root { --ink: #1a1a1a; --soft: #4a4a4a; --line: #b8b8b8; --head: #eef1f4; --link: #0b4f8a; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 0 auto;
  max-width: 80rem; padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.8rem; margin: .5rem 0; }
h2 { font-size: 1.4rem; margin: 3rem 0 .5rem; border-bottom: 3px solid var(--ink); }
h3 { font-size: 1.15rem; margin: 2rem 0 .25rem; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid #d97706; outline-offset: 2px; }
p { max-width: 65rem; }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
.loud { border: 3px solid #8a1c1c; color: #8a1c1c; background: #fdf3f3; font-weight: 700;
  padding: .5rem .75rem; max-width: none; }
.unsigned, .signed { color: #fff; font-weight: 700; padding: 0 .4rem; border-radius: 3px; }
.unsigned { background: #8a1c1c; }
.signed { background: #14532d; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .5rem 0 1.5rem; }
.wide:focus-visible { outline: 3px solid #d97706; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; line-height: 1.4; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
thead th { background: var(--head); }
tbody th { font-weight: 600; }
code { font: .8125rem/1.4 ui-monospace, monospace; }
ul.plain { list-style: none; margin: 0; padding: 0; }
.soft { color: var(--soft); }
.sign { border-top: 1px solid var(--ink); margin: 2.5rem 0 0; padding-top: .25rem; width: 24rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 9pt; }
  table { font-size: 7.5pt; } code { font-size: 7pt; }
  h2 { break-before: page; } h3, caption { break-after: avoid; } tr { break-inside: avoid; }
  thead { display: table-header-group; } .wide { overflow: visible; } nav.index { display: none; }
}
"""
_RULE_COLUMNS = (
    "FHIR element",
    "From the record",
    "Rule, as written",
    "Only where",
    "Code",
    "Line",
)
_RULE_WIDTHS = (18, 16, 24, 17, 18, 7)


def page(document: Document) -> str:
    """Return the whole document as HTML."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>What becomes what: the mappings</title><style>{_STYLE}</style></head>",
            '<body><a class="skip" href="#content">Skip to the mappings</a>',
            *_opening(document),
            *_index(document),
            '<main id="content">',
            *_mappings(document),
            *_maps(document),
            *_overlays(document),
            *_units(document),
            *_codes(document),
            "</main></body></html>",
            "",
        ]
    )


def _opening(document: Document) -> Iterator[str]:
    yield "<header><h1>What becomes what: the mappings</h1>"
    yield (
        "<p>Every element that is written to an EHR, where in the session record it comes from, by "
        "which rule, and with which code. Made from the mapping files themselves; to change it, "
        "change them.</p>"
    )
    if document.unsigned:
        yield (
            f'<p class="loud">{document.unsigned} files are not signed off. No clinician has '
            "confirmed what they say.</p>"
        )
    yield _facts([("FHIR", document.fhir), ("Digest of the set", document.digest)])
    yield "</header>"


def _index(document: Document) -> Iterator[str]:
    yield '<nav class="index" aria-label="Index"><h2 id="index">Index</h2>'
    yield '<dl class="facts">'
    for target, group in groupby(document.mappings, key=lambda mapping: mapping.target):
        yield _links(target, ((f"mapping-{m.sheet.name}", m.sheet.name) for m in group))
    maps = ((f"map-{m.sheet.name}", m.sheet.name) for m in document.maps)
    yield _links("ConceptMaps", maps)
    tables = (("overlays", "overlays"), ("units", "units"), ("codes", "codes and their sources"))
    yield _links("Tables", tables)
    yield "</dl></nav>"


def _links(what: str, entries: Iterable[tuple[str, str]]) -> str:
    rows = " · ".join(f'<a href="#{escape(to)}">{escape(words)}</a>' for to, words in entries)
    return f"<dt>{escape(what)}</dt><dd>{rows}</dd>"


def _mappings(document: Document) -> Iterator[str]:
    yield '<h2 id="mappings">Mappings</h2>'
    for mapping in document.mappings:
        yield from _mapping(mapping)


def _mapping(mapping: MappingSheet) -> Iterator[str]:
    sheet = mapping.sheet
    yield f'<section aria-labelledby="mapping-{sheet.name}">'
    yield f'<h3 id="mapping-{sheet.name}">{escape(sheet.name)} makes {escape(mapping.target)}</h3>'
    yield from _head(sheet)
    caption = f"{sheet.name}: every element of {mapping.target}"
    rows = (_rule(rule, sheet.file) for rule in mapping.rules)
    yield _table(caption, _RULE_COLUMNS, rows, widths=_RULE_WIDTHS)
    yield '<p class="sign">Name, role, date, signature</p></section>'


def _head(sheet: Sheet) -> Iterator[str]:
    if sheet.purpose:
        yield f"<p>{escape(sheet.purpose)}</p>"
    state = (
        f'<span class="{"signed" if sheet.signed else "unsigned"}">{escape(sheet.reviewed)}</span>'
    )
    facts = [("File", sheet.file), ("Version", sheet.version), ("Owner", sheet.owner)]
    rows = "".join(_fact(*fact) for fact in [*facts, *sheet.facts])
    yield f'<dl class="facts"><dt>Reviewed</dt><dd>{state}</dd>{rows}</dl>'


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return f'<dl class="facts">{"".join(_fact(*fact) for fact in facts)}</dl>'


def _fact(what: str, how: str) -> str:
    return f"<dt>{escape(what)}</dt><dd><code>{escape(how)}</code></dd>"


def _rule(rule: Rule, file: str) -> list[str]:
    written = _code(rule.text)
    if rule.value_set:
        name = rule.value_set.rpartition("/")[2]
        written += f'<div class="soft">required value set: {escape(name)}</div>'
    maps = "".join(
        f'<div><a href="#map-{escape(m)}">ConceptMap {escape(m)}</a></div>' for m in rule.maps
    )
    return [
        _code(rule.path.partition(".")[2] or rule.path),
        _listed(map(_code, rule.sources)),
        written,
        _listed(map(_code, rule.under)),
        _listed(map(_coding, rule.codes)) + maps,
        _code(rule.line.removeprefix(f"{file}:").removeprefix("fragments/")),
    ]


def _coding(row: CodeRow) -> str:
    where = " · ".join(part for part in (row.short_source, row.confidence) if part)
    if row.confidence and f"({row.confidence})" in row.short_source:
        where = row.short_source
    return (
        f"{_code(f'{row.alias} {row.code}')} {escape(row.display)}"
        f'<div class="soft">{escape(where)}</div>'
    )


def _maps(document: Document) -> Iterator[str]:
    yield '<h2 id="conceptmaps">ConceptMaps</h2>'
    yield "<p>Each word that the record may say, and the code that is sent for it.</p>"
    for concept_map in document.maps:
        yield from _map(concept_map)


def _map(concept_map: MapSheet) -> Iterator[str]:
    sheet = concept_map.sheet
    unmapped = {
        "error": "the record is held until a row is added",
        "text-only": "the word itself is sent as text",
        "omit": "nothing is sent for it, and it is counted",
        "use": f"this code is sent: {', '.join(row.words for row in concept_map.instead)}",
    }[concept_map.unmapped]
    yield f'<h3 id="map-{sheet.name}">{escape(sheet.name)}</h3>'
    yield from _head(sheet)
    yield f"<p>A word that is in no row: {escape(unmapped)}.</p>"
    rows = (
        [
            _code(row.key),
            _listed(map(_coding, row.codes)),
            escape(row.text),
            escape(row.equivalence),
            escape(row.note),
        ]
        for row in concept_map.rows
    )
    columns = ("Word of the record", "Code", "Text sent", "Equivalence", "Note")
    yield _table(f"ConceptMap {sheet.name}", columns, rows)


def _overlays(document: Document) -> Iterator[str]:
    yield '<h2 id="overlays">Overlays</h2>'
    yield "<p>What is made otherwise for a destination that names the overlay.</p>"
    for sheet in document.overlays:
        yield f'<h3 id="overlay-{sheet.name}">{escape(sheet.name)}</h3>'
        yield from _head(sheet)


def _units(document: Document) -> Iterator[str]:
    yield '<h2 id="units">Units</h2>'
    rows = (
        [_code(u.name), _code(u.code), escape(u.display), escape(u.dimensions), escape(u.note)]
        for u in document.units
    )
    columns = ("Unit of the record", "UCUM code", "Shown as", "Dimension", "Note")
    yield _table("All units", columns, rows)


def _codes(document: Document) -> Iterator[str]:
    yield '<h2 id="codes">Codes and their sources</h2>'
    for alias, group in groupby(document.codes, key=lambda row: row.alias):
        listed = list(group)
        yield f'<h3 id="system-{escape(alias)}">{escape(alias)}</h3>'
        yield _facts([("System", listed[0].system), ("Licence", listed[0].license or "not stated")])
        rows = (
            [
                _code(row.code),
                escape(row.display),
                escape(row.confidence),
                escape(row.source),
                escape(row.note),
            ]
            for row in listed
        )
        columns = ("Code", "Display", "Confidence", "Source", "Note")
        yield _table(f"Codes of {alias}", columns, rows, widths=(14, 26, 12, 36, 12))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""


def _listed(cells: Iterable[str]) -> str:
    found = list(cells)
    if len(found) <= 1:
        return "".join(found)
    rows = "".join(f"<li>{cell}</li>" for cell in found)
    return f'<ul class="plain">{rows}</ul>'


def _table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    widths: Sequence[int] = (),
) -> str:
    """Return a table; cells are HTML already, the first of each row is its heading."""
    cols = "".join(f'<col style="width:{width}%">' for width in widths)
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><colgroup>{cols}</colgroup>"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )
