"""Find what a reader asks for, one page at a time: what stands at the beginning stays at the end.

What has to be opened to be judged is never more than one patient's chart, what all share, or what
an index names; everything else is chosen by the database.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from fhirbridge.facade import matching, spans, words
from fhirbridge.facade.errors import FacadeError, NotThereError, TooWideError
from fhirbridge.facade.held import Chosen, Held, Version
from fhirbridge.facade.matching import Criterion
from fhirbridge.facade.parameters import TYPES
from fhirbridge.facade.query import Query
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal, literal_references
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.store import moment

MOST_BYTES = 4_000_000  # of the matches of one page, as far as one alone is not larger
MOST_INCLUDED = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A version and its content."""

    version: Version
    body: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Page:
    """What is shown at once; `after` is where the next one begins, None: nothing is left."""

    upto: int
    matches: list[Found] = field(default_factory=list)
    included: list[Found] = field(default_factory=list)
    after: int | None = None
    total: int | None = None


def search(held: Held, query: Query, *, upto: int, after: int) -> Page:
    """Find what meets a query. Raises FacadeError, TooWideError."""
    page = Page(upto=upto)
    chosen = _chosen(held, query)
    if chosen is None:
        page.total = 0 if query.total or query.only_count else None
        return page
    if query.total or query.only_count:
        page.total = _total(held, query, chosen, upto)
    if not query.only_count:
        _fill(
            page, _meeting(held.walk(chosen, upto=upto, after=after), query.criteria), query.count
        )
        _include(held, query, page)
    return page


def history(held: Held, query: Query, own: str, *, upto: int, after: int) -> Page:
    """Find the versions of one resource, or (no `own`) of a type, the newest first."""
    chosen = Chosen(
        kinds=(query.kind,),
        own=(own,) if own else None,
        at=_at(query),
        history=True,
        newest_first=True,
    )
    page = Page(upto=upto)
    _fill(page, _opened(held.walk(chosen, upto=upto, after=after)), query.count)
    if own and not page.matches and not after and not query.updated:
        raise not_there()
    return page


def everything(held: Held, query: Query, patient: str, *, upto: int, after: int) -> Page:
    """Find what stands in one patient's chart, with what it names of what all share."""
    lane = held.lane_of(patient)
    if lane is None:
        raise not_there()
    kinds = sorted(TYPES.keys() if query.kinds is None else query.kinds)
    found = _opened(
        held.walk(Chosen(lanes=(lane,), kinds=kinds, at=_at(query)), upto=upto, after=after)
    )
    page = Page(upto=upto)
    _fill(page, (one for one in found if _is_within(one, query)), query.count)
    named = {target for one in page.matches for target in literal_references(one.body)}
    page.included = [
        one
        for kind in sorted({kind for kind, _ in named} & {*kinds})
        for one in _named(held, kind, {own for k, own in named if k == kind}, upto)
        if one.version.lane == SHARED_LANE
    ]
    return page


def version(held: Held, kind: str, own: str, number: int | None) -> Found:
    """Find one resource as it is now, or one version of it. Raises NotThereError."""
    chosen = Chosen(kinds=(kind,), own=(own,), number=number, history=number is not None)
    upto, _ = held.last()
    found = next(_opened(held.walk(chosen, upto=upto)), None)
    if found is None:
        raise not_there()
    return found


def not_there() -> NotThereError:
    """Say that there is nothing for this reader, whatever the cause."""
    return NotThereError("there is nothing of this type and id for you")


def _chosen(held: Held, query: Query) -> Chosen | None:
    """Choose by the database what can hold a match; None where nothing can."""
    chosen = Chosen(kinds=(query.kind,), own=query.own, at=_at(query))
    for one in query.criteria:
        if one.parameter.names_patient:
            lane = _lane(held, one)
            if lane is None or chosen.lanes not in (None, (lane,)):
                return None
            chosen = replace(chosen, lanes=(lane,))
        elif chosen.word is None and (texts := _words(one)):
            hashes = sorted(held.hashed(one.name, text) for text in texts)
            chosen = replace(chosen, word=(one.name, hashes))
    named = chosen.own is not None or chosen.lanes is not None or chosen.word is not None
    if query.criteria and not named and not _is_shared(query.kind):
        raise TooWideError(
            f"a search of {query.kind} by that alone would open every patient's",
            hint=_hint(query.kind),
        )
    return chosen


def _lane(held: Held, one: Criterion) -> str | None:
    if len(one.values) > 1:
        raise FacadeError(f"{one.name} names one patient", hint="search for each of them")
    kind, own = matching.split_reference(matching.unescaped(one.values[0]))
    return held.lane_of(own) if kind in ("", "Patient") else None


def _words(one: Criterion) -> list[str]:
    """Return the words by which a criterion is looked up; none where it cannot be."""
    if one.name == words.IDENTIFIER:
        tokens = [matching.split_token(value) for value in one.values]
        found = [after if bar else before for before, bar, after in tokens]
    elif one.name == words.TARGET:
        split = [matching.split_reference(matching.unescaped(value)) for value in one.values]
        found = [f"{kind}/{own}" if kind and own else "" for kind, own in split]
    elif one.name == words.BIRTHDATE:
        wanted = [spans.asked(value) for value in one.values]
        days = [one.span for one in wanted if one is not None and one.prefix == "eq"]
        found = [f"{day.low:%Y-%m-%d}" for day in days if (day.high - day.low).days == 1]
    else:
        return []
    return found if all(found) and len(found) == len(one.values) else []


def _is_shared(kind: str) -> bool:
    """Say whether there are only as many of a type as a clinic has rooms and staff."""
    return kind not in ("Patient", "Provenance") and not TYPES[kind].is_of_a_patient


def _hint(kind: str) -> str:
    if kind == "Patient":
        return "add _id, identifier, or a whole birthdate"
    if kind == "Provenance":
        return "name the target as Type/id, or add _id"
    return "add patient, _id or identifier"


def _at(query: Query) -> tuple[tuple[str, str], ...]:
    return tuple((_stored(since), _stored(before)) for since, before in query.updated)


def _stored(at: datetime | None) -> str:
    return "" if at is None else moment.to_text(at)


def _opened(versions: Iterable[Version]) -> Iterator[Found]:
    for one in versions:
        yield Found(one, codec.decode_own(one.body))


def _meeting(versions: Iterable[Version], criteria: Sequence[Criterion]) -> Iterator[Found]:
    for found in _opened(versions):
        if all(matching.meets(found.body, one) for one in criteria):
            yield found


def _total(held: Held, query: Query, chosen: Chosen, upto: int) -> int:
    if not query.criteria:
        return held.count(chosen, upto=upto)
    return sum(1 for _ in _meeting(held.walk(chosen, upto=upto), query.criteria))


def _fill(page: Page, found: Iterator[Found], count: int) -> None:
    """Take one page, and see whether anything comes after it."""
    size = 0
    for one in islice(found, count + 1):
        size += len(one.version.body)
        if len(page.matches) == count or (page.matches and size > MOST_BYTES):
            page.after = page.matches[-1].version.number
            return
        page.matches.append(one)


def _include(held: Held, query: Query, page: Page) -> None:
    """Add what is asked for along with the matches; a page that grows too large is cut."""
    while True:
        page.included = _beside(held, query, page)
        if len(page.included) <= MOST_INCLUDED or len(page.matches) <= 1:
            return
        del page.matches[len(page.matches) // 2 :]
        page.after = page.matches[-1].version.number


def _beside(held: Held, query: Query, page: Page) -> list[Found]:
    there = {one.version.identity for one in page.matches}
    found: dict[Any, Found] = {}
    for asked in query.include:
        for kind, own in sorted(_led_to(page.matches, asked).items()):
            found |= {one.version.identity: one for one in _named(held, kind, own, page.upto)}
    if query.reverse and there:
        hashes = [held.hashed(words.TARGET, f"{one.type}/{one.id}") for one in there]
        chosen = Chosen(kinds=("Provenance",), word=(words.TARGET, sorted(hashes)))
        walked = _opened(held.walk(chosen, upto=page.upto))
        found |= {one.version.identity: one for one in walked}
    return [one for identity, one in found.items() if identity not in there]


def _led_to(matches: Sequence[Found], asked: str) -> dict[str, set[str]]:
    """Return the ids, by type, to which one `Type:parameter[:Target]` leads."""
    source, _, rest = asked.partition(":")
    name, _, only = rest.partition(":")
    found: dict[str, set[str]] = {}
    for path in TYPES[source].parameters[name].paths:
        for one in matches:
            for element in matching.at(one.body, path):
                named = literal(element) if isinstance(element, dict) else None
                if named is not None and only in ("", named[0]):
                    found.setdefault(named[0], set()).add(named[1])
    return found


def _named(held: Held, kind: str, own: set[str], upto: int) -> list[Found]:
    return list(_opened(held.walk(Chosen(kinds=(kind,), own=sorted(own)), upto=upto)))


def _is_within(one: Found, query: Query) -> bool:
    """Say whether what it tells of happened in the time that was asked for, or at no time."""
    if not query.begin and not query.end:
        return True
    kind = TYPES[one.version.identity.type]
    found = [each for path in kind.when for each in matching.at(one.body, path)]
    times = [span for each in found if (span := spans.of_element(each)) is not None]
    limits = {"ge": query.begin, "le": query.end}
    wanted = [spans.asked(f"{prefix}{text}") for prefix, text in limits.items() if text]
    return not times or any(all(spans.meets(span, limit) for limit in wanted) for span in times)
