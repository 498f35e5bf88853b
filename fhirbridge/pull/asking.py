"""Ask an EHR for all that it has of one patient and type: all of it, or nothing is concluded.

By POST, so that no address says who was looked for; further pages by the links that the EHR gives.
Bounded in pages, resources, bytes and seconds. Knows no database.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from fhirbridge.clock import Clock
from fhirbridge.egress.exchange import Response, UnsendableRequestError
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.fhir import codec
from fhirbridge.pull import sift
from fhirbridge.pull.sift import Sifted, Wanted

PAGE = 100
MOST_PAGES = 40
MOST_RESOURCES = 1000
MOST_BYTES = 8_000_000  # of all pages
MOST_SECONDS = 60.0
REFUSALS = range(400, 500)
# Asked too often, or to be asked again: the server said nothing about what it has.
LATER = frozenset({408, 423, 425, 429})
LONGEST_NOTE = 200


class Ended(StrEnum):
    """How asking for one type ended; the values are stored."""

    OK = "ok"
    REFUSED = "refused"  # by the server, or it told of errors
    UNANSWERED = "unanswered"
    NO_SENSE = "no-sense"
    FOREIGN = "foreign"  # something of another patient was in the answer
    TOO_MUCH = "too-much"


WORDS: Mapping[Ended, str] = {
    Ended.OK: "",
    Ended.REFUSED: "the EHR refused",
    Ended.UNANSWERED: "the EHR did not answer",
    Ended.NO_SENSE: "the EHR answered with something that is no result of a search",
    Ended.FOREIGN: "the EHR showed something of another patient, so nothing of its answer is used",
    Ended.TOO_MUCH: "the EHR has more than is read; look there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an EHR said of one type. `said`: codes and status alone; `resources`: only where OK."""

    ended: Ended
    said: str = ""
    resources: Mapping[str, dict[str, Any]] = field(default_factory=dict)  # by the EHR's id
    left_out: Mapping[str, int] = field(default_factory=dict)


def ask(ehr: Ehr, clock: Clock, wanted: Wanted) -> Answer:
    """Ask for every page."""
    found = Sifted()
    for page in _pages(ehr, clock, wanted):
        if isinstance(page, Answer):
            return page
        sift.sift(wanted, page.get("entry", []), found)
        if found.foreign:
            return Answer(ended=Ended.FOREIGN)
        if len(found.resources) > MOST_RESOURCES:
            return Answer(ended=Ended.TOO_MUCH, said=f"more than {MOST_RESOURCES}")
    return _whole(found)


def _pages(ehr: Ehr, clock: Clock, wanted: Wanted) -> Iterator[dict[str, Any] | Answer]:
    """Yield each page; an Answer, the last, where it ended before all was there."""
    until, seen = clock.monotonic() + MOST_SECONDS, 0
    outcome: Outcome | None = ehr.search(wanted.type, **wanted.criteria, _count=str(PAGE))
    for left in reversed(range(MOST_PAGES)):
        page = _searchset(outcome)
        yield page
        onward = "" if isinstance(page, Answer) else _next(page)
        if not onward:
            return
        seen += len(outcome.body) if isinstance(outcome, Response) else 0
        if not left or seen > MOST_BYTES or clock.monotonic() > until:
            break
        outcome = _page(ehr, onward)
    most = f"more than {MOST_PAGES} pages, {MOST_BYTES} bytes or {MOST_SECONDS:g} seconds"
    yield Answer(ended=Ended.TOO_MUCH, said=most)


def _whole(found: Sifted) -> Answer:
    if found.issues:  # it says itself that this is not all, or not right
        return Answer(ended=Ended.REFUSED, said=" ".join(dict.fromkeys(found.issues)))
    return Answer(ended=Ended.OK, resources=found.resources, left_out=found.left_out)


def _refused(outcome: Response) -> Answer:
    told = f"{outcome.status} {outcome.note}".strip()[:LONGEST_NOTE]
    refused = outcome.status in REFUSALS and outcome.status not in LATER
    return Answer(ended=Ended.REFUSED if refused else Ended.UNANSWERED, said=told)


def _page(ehr: Ehr, url: str) -> Outcome | None:
    try:
        return ehr.next_page(url)
    except UnsendableRequestError:
        return None


def _searchset(outcome: Outcome | None) -> dict[str, Any] | Answer:
    if outcome is None:
        return Answer(ended=Ended.NO_SENSE, said="the next page lies at another address")
    if not isinstance(outcome, Response):
        return Answer(ended=Ended.UNANSWERED, said=outcome.reason)
    if outcome.status != HTTPStatus.OK:
        return _refused(outcome)
    try:
        value = codec.decode(outcome.body)
    except codec.NotJsonError:
        value = None
    is_bundle = isinstance(value, dict) and value.get("resourceType") == "Bundle"
    if not is_bundle or value.get("type") != "searchset":
        return Answer(ended=Ended.NO_SENSE)
    page: dict[str, Any] = value
    return page if isinstance(page.get("entry", []), list) else Answer(ended=Ended.NO_SENSE)


def _next(answer: Mapping[str, Any]) -> str:
    links = answer.get("link")
    found = [one for one in links if isinstance(one, dict)] if isinstance(links, list) else []
    return next((str(one.get("url", "")) for one in found if one.get("relation") == "next"), "")
