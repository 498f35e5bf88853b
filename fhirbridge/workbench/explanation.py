"""Where each element of a resource comes from, in lines and as JSON. Paths only, never a value."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fhirbridge.translate.values import TranslatedResource, Translation, Why

EMPTY = "EMPTY"
UNMAPPED = "UNMAPPED"
ABSENT = "(absent)"  # the record has none of the fields; else they are there, and give nothing
_STEP = re.compile(r"(\w+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One resource: what was made, and what its mapping asked for and did not find."""

    resource: str  # "Observation/abc"
    mapping: str
    row: str = ""
    made: tuple[Why, ...]
    empty: tuple[Why, ...] = ()


def explain(made: Translation, *, resource: str = "") -> tuple[Explained, ...]:
    """Explain what a record became: all of it, or one type, or one resource (`Type/id`)."""
    return tuple(
        Explained(
            resource=f"{one.type}/{one.id}",
            mapping=one.mapping,
            row=one.row,
            made=one.why,
            empty=tuple(_missed(made.record, made.empty, one)),
        )
        for one in made.resources
        if not resource or resource in (one.type, f"{one.type}/{one.id}")
    )


def whys_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Why, ...]:
    """Read whys as they are kept beside a stored resource."""
    return tuple(
        Why(
            target=row["target"],
            line=row["line"],
            sources=tuple(row["sources"]),
            rule=row.get("rule", ""),
        )
        for row in rows
    )


def _missed(
    document: Mapping[str, Any], empty: Sequence[Why], one: TranslatedResource
) -> Iterator[Why]:
    """Choose what came out empty while this resource was made: its lines, and its row."""
    files = {_file(why.line) for why in one.why}
    part, _, own = one.row.rpartition("/")
    here = _index(document, part, own) if part else ""
    for why in empty:
        if why.target.split(".")[0] != one.type or _file(why.line) not in files:
            continue
        rows = [path for path in why.sources if part and path.startswith(f"{part}[")]
        if not rows or any(path.startswith(here) for path in rows):
            absent = why.sources and not any(_stands(document, path) for path in why.sources)
            yield replace(why, rule=ABSENT) if absent else why


def _stands(document: Mapping[str, Any], path: str) -> bool:
    """Tell whether the record has anything at `vitals[3].spo2.value`."""
    value: Any = document
    for name, number in _STEP.findall(path):
        try:
            value = value[int(number)] if number else value[name]
        except (KeyError, IndexError, TypeError):
            return False
    return value not in (None, [], {})


def _file(line: str) -> str:
    return line.rpartition(":")[0]


def _index(document: Mapping[str, Any], part: str, own: str) -> str:
    """Return `vitals[3]` for the row `vitals/v-04`."""
    rows: Any = document
    for name in part.split("."):
        rows = rows[name]
    return next(f"{part}[{number}]" for number, row in enumerate(rows) if row.get("id") == own)


def lines(explained: Sequence[Explained], unmapped: Sequence[str] = ()) -> Iterator[str]:
    """Write it for a reader: element, line, `<-` fields, rule, in columns; nothing is cut off."""
    for one in explained:
        row = f"  from {one.row}" if one.row else ""
        yield f"{one.resource}  by {one.mapping}{row}"
        yield from _columns(one)
        yield ""
    if unmapped:
        yield f"{UNMAPPED}  {', '.join(unmapped)}"


def _columns(one: Explained) -> Iterator[str]:
    rows = [(why.target, why.line, _sources(why), why.rule) for why in one.made]
    rows += [(f"{EMPTY}  {why.target}", why.line, _sources(why), why.rule) for why in one.empty]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for target, line, sources, rule in rows:
        end = "  ".join(part for part in (sources, rule) if part)
        yield f"  {target:<{widths[0]}}  {line:<{widths[1]}}  {end}".rstrip()


def _sources(why: Why) -> str:
    return f"<- {', '.join(why.sources)}" if why.sources else ""


def events(explained: Sequence[Explained], unmapped: Sequence[str] = ()) -> Iterator[Any]:
    """Write it for a program: one object for each element; `state` made, empty or unmapped."""
    for one in explained:
        owner = {"resource": one.resource, "mapping": one.mapping, "row": one.row}
        for state, whys in (("made", one.made), ("empty", one.empty)):
            yield from ({"state": state, **owner, **asdict(why)} for why in whys)
    yield from ({"state": "unmapped", "sources": [path]} for path in unmapped)
