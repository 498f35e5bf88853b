"""Read a search, as it came in, into what is looked for and how it is answered. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fhirbridge.facade import matching, spans
from fhirbridge.facade.errors import FacadeError, NotServedError, NotSupportedError
from fhirbridge.facade.matching import Criterion
from fhirbridge.facade.parameters import REVERSE, TYPES, Kind, Parameter, Shown, includes

Pairs = Sequence[tuple[str, str]]
COUNT, MOST = 50, 200
MOST_PAIRS, MOST_VALUES, LONGEST = 40, 100, 2000
NAME = re.compile(r"_?[A-Za-z][A-Za-z-]{0,39}", re.ASCII)
# They change nothing of what is found: how it is written is ours, and JSON.
WITHOUT_EFFECT = ("_format", "_pretty")
MODIFIERS: Mapping[Kind, frozenset[str]] = {
    Kind.STRING: frozenset({":exact", ":contains"}),
    Kind.TOKEN: frozenset(),
    Kind.DATE: frozenset(),
    Kind.REFERENCE: frozenset(),  # and the types it leads to
}


@dataclass(slots=True, kw_only=True)
class Query:
    """What a request asks for. Criteria are all to be met."""

    kind: str
    criteria: list[Criterion] = field(default_factory=list)
    own: frozenset[str] | None = None  # ids
    updated: list[tuple[datetime | None, datetime | None]] = field(default_factory=list)
    count: int = COUNT
    include: list[str] = field(default_factory=list)
    reverse: list[str] = field(default_factory=list)
    total: bool = False
    only_count: bool = False
    kinds: frozenset[str] | None = None  # of $everything
    begin: str = ""  # of $everything: dates as they were asked
    end: str = ""
    used: list[tuple[str, str]] = field(default_factory=list)  # for the link to itself
    ignored: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return the names of what was heeded, which say nothing of a patient."""
        return sorted({name for name, _ in self.used})


Setter = Callable[[Query, str, str], None]  # (query, name, value)


def search(kind: str, pairs: Pairs, *, strict: bool) -> Query:
    """Read a search of one type. Raises FacadeError."""
    shown = TYPES.get(kind)
    if shown is None:
        raise NotServedError("this type is not shown here", hint="/metadata names those that are")
    query = Query(kind=kind)

    def other(name: str, value: str) -> bool:
        return _criterion(query, shown, name, value)

    _read(query, pairs, {**_OF_ALL, **_OF_SEARCH}, other, strict=strict)
    if query.ignored and not is_narrow(query):
        # Left out, it would show what was not asked for: other patients'.
        raise _unknown(query.ignored[0])
    return query


def history(kind: str, pairs: Pairs, *, strict: bool) -> Query:
    """Read what narrows a history. Raises FacadeError."""
    return _plain(kind, pairs, {**_OF_ALL, "_since": _since}, strict=strict)


def everything(pairs: Pairs, *, strict: bool) -> Query:
    """Read what narrows a patient's whole chart. Raises FacadeError."""
    more: dict[str, Setter] = {
        "_since": _since, "_type": _type, "start": _start, "end": _end
    }  # fmt: skip
    return _plain("Patient", pairs, {**_OF_ALL, **more}, strict=strict)


def _plain(kind: str, pairs: Pairs, known: Mapping[str, Setter], *, strict: bool) -> Query:
    if kind not in TYPES:
        raise NotServedError("this type is not shown here", hint="/metadata names those that are")
    query = Query(kind=kind)
    _read(query, pairs, known, lambda _name, _value: False, strict=strict)
    return query


def is_narrow(query: Query) -> bool:
    """Say whether no more than one patient, or what was named, can be found."""
    return query.own is not None or any(
        one.parameter.names_patient or one.name in ("identifier", "target")
        for one in query.criteria
    )


def _read(
    query: Query,
    pairs: Pairs,
    known: Mapping[str, Setter],
    other: Callable[[str, str], bool],
    *,
    strict: bool,
) -> None:
    if len(pairs) > MOST_PAIRS:
        raise FacadeError(f"a search has at most {MOST_PAIRS} parameters")
    for name, value in pairs:
        _check(name, value)
        if name in WITHOUT_EFFECT:
            continue
        if name in known:
            known[name](query, name, value)
        elif not other(name, value):
            query.ignored.append(name)
            continue
        query.used.append((name, value))
    if strict and query.ignored:
        raise _unknown(query.ignored[0])


def _check(name: str, value: str) -> None:
    if len(value) > LONGEST:
        raise FacadeError(f"{shown_name(name)} is longer than {LONGEST} characters")
    if "\0" in value or "\1" in value:
        raise FacadeError(f"{shown_name(name)} holds a character that no value has")


def shown_name(name: str) -> str:
    """Return a parameter's name where it can be one: what else was sent is not repeated."""
    return name if NAME.fullmatch(name) else "a parameter"


def _unknown(name: str) -> FacadeError:
    return NotSupportedError(
        f"{shown_name(name)} is no parameter that is known here",
        hint="/metadata names those that are, for each type",
    )


def _criterion(query: Query, shown: Shown, name: str, value: str) -> bool:
    called, colon, modifier = name.partition(":")
    head, dot, _ = called.partition(".")
    if dot and head in shown.parameters:
        raise NotSupportedError(
            f"{shown_name(head)} cannot be followed by a dot", hint="search for that one first"
        )
    parameter = shown.parameters.get(called)
    if parameter is None:
        if colon and called in (*_OF_ALL, *_OF_SEARCH, "_include", "_revinclude"):
            raise NotSupportedError(f"{shown_name(called)} takes no modifier here")
        return False
    if colon and not _is_known(parameter, modifier):
        raise NotSupportedError(f"{shown_name(called)} does not take that modifier")
    values = tuple(one for one in matching.split_values(value) if one)
    if not values or len(values) > MOST_VALUES:
        raise FacadeError(f"{called} takes one to {MOST_VALUES} values")
    if parameter.kind is Kind.DATE and not all(spans.asked(one) for one in values):
        raise FacadeError(
            f"{called} takes dates such as 2026-03-02, with eq, ne, gt, lt, ge, le, sa or eb before"
        )
    named = Criterion(name=called, modifier=colon + modifier, parameter=parameter, values=values)
    query.criteria.append(named)
    return True


def _is_known(parameter: Parameter, modifier: str) -> bool:
    return f":{modifier}" in MODIFIERS[parameter.kind] or modifier in parameter.targets


def _ids(query: Query, name: str, value: str) -> None:
    found = frozenset(one for one in matching.split_values(value) if one)
    if not found or len(found) > MOST_VALUES:
        raise FacadeError(f"{name} takes one to {MOST_VALUES} ids")
    query.own = found if query.own is None else query.own & found


def _updated(query: Query, name: str, value: str) -> None:
    wanted = spans.asked(value)
    stretch = None if wanted is None else spans.bounds(wanted)
    if stretch is None:
        raise FacadeError(f"{name} takes one time, with eq, gt, lt, ge, le, sa or eb before it")
    query.updated.append(stretch)


def _since(query: Query, name: str, value: str) -> None:
    if value[:2] in spans.PREFIXES:
        raise FacadeError(f"{name} takes a time such as 2026-03-02T09:00:00Z, nothing before it")
    _updated(query, name, f"ge{value}")


def _count(query: Query, name: str, value: str) -> None:
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise FacadeError(f"{name} takes a whole number")
    query.count = min(int(value), MOST)
    if query.count == 0:  # R4: the same as _summary=count
        query.only_count = True


def _summary(query: Query, name: str, value: str) -> None:
    if value not in ("count", "false"):
        raise NotSupportedError(f"{name} takes count or false here")
    query.only_count = query.only_count or value == "count"


def _total(query: Query, name: str, value: str) -> None:
    if value not in ("none", "estimate", "accurate"):
        raise FacadeError(f"{name} takes none, estimate or accurate")
    query.total = value != "none"


def _include(query: Query, name: str, value: str) -> None:
    source, _, rest = value.partition(":")
    path = f"{source}:{rest.partition(':')[0]}"
    if path not in includes() or source != query.kind:
        raise NotSupportedError(
            f"this {name} is not followed", hint="/metadata names those that are"
        )
    query.include.append(value)


def _reverse(query: Query, name: str, value: str) -> None:
    if value not in REVERSE:
        raise NotSupportedError(
            f"this {name} is not followed", hint="/metadata names those that are"
        )
    query.reverse.append(value)


def _type(query: Query, name: str, value: str) -> None:
    named = frozenset(value.split(","))
    if not named <= TYPES.keys():
        raise NotSupportedError(f"{name} names a type that is not shown here")
    query.kinds = named if query.kinds is None else query.kinds | named


def _start(query: Query, name: str, value: str) -> None:
    query.begin = _date(name, value)


def _end(query: Query, name: str, value: str) -> None:
    query.end = _date(name, value)


def _date(name: str, value: str) -> str:
    if spans.read(value) is None:
        raise FacadeError(f"{name} takes a date such as 2026-03-02")
    return value


_OF_ALL: Mapping[str, Setter] = {"_count": _count}
_OF_SEARCH: Mapping[str, Setter] = {
    "_id": _ids,
    "_lastUpdated": _updated,
    "_summary": _summary,
    "_total": _total,
    "_include": _include,
    "_revinclude": _reverse,
}
