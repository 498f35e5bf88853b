"""Ask one EHR about one patient, and keep what it says with the events of it, in one commit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry
from fhirbridge.destinations import pulls, registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.matching import merges
from fhirbridge.pull import asking, charts
from fhirbridge.pull.asking import Answer, Ended
from fhirbridge.pull.charts import Chart, Why
from fhirbridge.pull.sift import PATIENT, Wanted
from fhirbridge.pull.views import Kept, Views, Whose
from fhirbridge.reconcile import charts as links
from fhirbridge.reconcile.act import Rooms
from fhirbridge.reconcile.asking import NoAnswerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What came of asking an EHR about one patient. Opaque names, counts and codes: no PHI."""

    destination: str
    patient: str
    why: str = ""  # nothing was asked or kept: charts.py has the words
    types: tuple[Kept, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Say whether all that was to be asked was answered, and every entry of it is used."""
        fine = all(one.ended == Ended.OK and not one.left_out for one in self.types)
        return fine and not self.why

    @property
    def is_unanswered(self) -> bool:
        """Say whether the EHR is not to be asked further now."""
        ended = [one.ended for one in self.types]
        return self.why == Why.UNANSWERED or Ended.UNANSWERED in ended

    @property
    def events(self) -> int:
        """Count the events that tell of it."""
        return sum(1 for one in self.types if one.sequence)


class Puller:
    """Asks, judges, keeps. `rooms.ehr_for` is a way that heeds the limits of each destination."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._views = Views(vault=rooms.vault, rng=rooms.rng, clock=rooms.clock)

    def pull(self, name: str, lane: str, *, actor: str) -> Pulled:
        """Ask a destination about one patient; the asking is noted. Raises DestinationError.

        First who that is now: a link is judged anew, and the Patient must be in use.
        """
        with self._rooms.store.read() as tx:
            where = registry.get(tx, name)
            chart = charts.may_be_asked(tx, where, lane)
        if chart.why is None and chart.linked:
            chart = self._confirmed(where, lane)
        if chart.why is not None:
            return Pulled(destination=name, patient=lane, why=chart.why)
        whose = Whose(destination=name, lane=lane, ehr_id=chart.ehr_id)
        answers, why = self._asked(where, whose, chart)
        with self._rooms.store.begin() as tx:
            where = registry.get(tx, name)
            if charts.may_be_asked(tx, where, lane) != chart:
                why = why or Why.DECIDED
            done = Pulled(destination=name, patient=lane, why=why or "")
            if why is None:
                done = replace(done, types=self._kept(tx, where, whose, answers))
            self._note(tx, done, answers, actor)
            return done

    def expire(self) -> int:
        """Erase what was not read whole for its time; return how many views went."""
        with self._rooms.store.begin() as tx:
            return self._views.expire(tx)

    def keep_only_chosen(self, tx: Connection, where: Destination) -> int:
        """Erase what a destination is not asked for any more."""
        types = pulls.types(where.pull)
        return self._views.keep_only(tx, where.name, types)

    def _confirmed(self, where: Destination, lane: str) -> Chart:
        try:
            links.look_at(self._rooms, where, lane)
        except NoAnswerError:
            return Chart(why=Why.UNANSWERED)
        with self._rooms.store.read() as tx:
            return charts.may_be_asked(tx, where, lane)

    def _asked(
        self, where: Destination, whose: Whose, chart: Chart
    ) -> tuple[Mapping[str, Answer], Why | None]:
        """Ask for the Patient, and then for what was chosen, as long as that may be asked.

        Nothing more goes to an EHR once it is silent.
        """
        ehr, clock = self._rooms.ehr_for(where), self._rooms.clock
        answers: dict[str, Answer] = {}
        for kind in dict.fromkeys((PATIENT, *pulls.types(where.pull))):
            if any(one.ended is Ended.UNANSWERED for one in answers.values()):
                answers[kind] = _LATER
                continue
            with self._rooms.store.read() as tx:
                if charts.may_be_asked(tx, registry.get(tx, where.name), whose.lane) != chart:
                    return answers, Why.DECIDED
            wanted = Wanted(type=kind, ehr_id=whose.ehr_id, base_url=where.base_url)
            answers[kind] = asking.ask(ehr, clock, wanted)
            if kind == PATIENT and (why := _is_not(answers[kind], whose.ehr_id)) is not None:
                return answers, why
        return answers, None

    def _kept(
        self,
        tx: Connection,
        where: Destination,
        whose: Whose,
        answers: Mapping[str, Answer],
    ) -> tuple[Kept, ...]:
        self._views.keep_chart(tx, whose)
        chosen = pulls.types(where.pull)
        return tuple(
            self._views.keep(tx, whose, kind, answers[kind]) for kind in chosen if kind in answers
        )

    def _note(
        self, tx: Connection, done: Pulled, answers: Mapping[str, Answer], actor: str
    ) -> None:
        detail: dict[str, Any] = {
            "patient": done.patient,
            "asked": {kind: one.ended.value for kind, one in answers.items()},
            "events": [one.sequence for one in done.types if one.sequence],
        }
        entry = Entry(
            actor=actor,
            action=Action.EHR_PULLED,
            outcome=done.why or ("ok" if done.is_whole else "in part"),
            destination=done.destination,
            detail=detail,
        )
        self._rooms.audit.append(tx, entry)


_LATER = Answer(ended=Ended.UNANSWERED, said="not asked after it was silent")


def _is_not(answer: Answer, ehr_id: str) -> Why | None:
    """Say why this Patient is not to be asked about, by what the EHR shows of it."""
    if answer.ended is Ended.REFUSED:
        return Why.REFUSED
    if answer.ended in (Ended.UNANSWERED, Ended.NO_SENSE):
        return Why.UNANSWERED
    body = answer.resources.get(ehr_id)
    if body is None or body.get("active") is False or merges.replaced_by(body):
        return Why.GONE
    return None
