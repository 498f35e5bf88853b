"""Look whether the EHR's own patients, to whom ours are linked, are still who they were."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from fhirbridge.deliver import identify
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Response
from fhirbridge.fhir import codec
from fhirbridge.matching import asking, kept, sight
from fhirbridge.matching.asking import Question
from fhirbridge.matching.kept import State
from fhirbridge.matching.sight import Sight
from fhirbridge.reconcile.act import Rooms
from fhirbridge.reconcile.asking import NoAnswerError

BATCH = 40  # patients in one read; what they were merged with comes on top


def look(rooms: Rooms, destination: Destination, touched: frozenset[str] | None) -> int:
    """Judge every link again, or those of which the EHR `touched` a patient.

    Returns how many wait for a person now. Raises NoAnswerError; what was judged before stays.
    """
    with rooms.store.read() as tx:
        links = kept.standing(tx, destination.name)
        asked = [(one, rooms.links.question(tx, destination, one)) for one in links]
    meant = [
        (link, question)
        for link, question in asked
        if question.known and (touched is None or not touched.isdisjoint(_ids(question)))
    ]
    for start in range(0, len(meant), BATCH):
        part = meant[start : start + BATCH]
        seen = _seen(rooms, destination, [question for _, question in part])
        for link, question in part:
            _judge(rooms, destination, link, question, seen)
    with rooms.store.read() as tx:
        return kept.waiting(tx, destination.name)


def look_at(rooms: Rooms, destination: Destination, lane: str) -> None:
    """Judge the link of one patient again, where there is one. Raises NoAnswerError."""
    with rooms.store.read() as tx:
        link = kept.current(tx, destination.name, lane)
        question = None if link is None else rooms.links.question(tx, destination, link)
    if link is None or question is None or not question.known:
        return
    _judge(rooms, destination, link, question, _seen(rooms, destination, [question]))


def _ids(question: Question) -> set[str]:
    return {one.partition("/")[2] for one in question.known}


def _seen(rooms: Rooms, destination: Destination, questions: Sequence[Question]) -> Sight:
    known = tuple(dict.fromkeys(one for question in questions for one in question.known))
    outcome = asking.ask(rooms.ehr_for(destination), Question(known=known))
    if not isinstance(outcome, Response) or outcome.status != 200:  # noqa: PLR2004  OK
        raise NoAnswerError("the EHR did not say who its patients are")
    return sight.read(codec.decode(outcome.body))


def _judge(
    rooms: Rooms, destination: Destination, link: Row[Any], question: Question, seen: Sight
) -> None:
    with rooms.store.begin() as tx:
        if rooms.links.question(tx, destination, link) != question:
            return  # decided anew meanwhile
        now = rooms.links.settle(tx, destination, link, seen)
        if now.state == State.LINKED and now.id != link.id:
            identify.note_linked(tx, now)
            identify.release_linked(tx, rooms.settlement, now)
