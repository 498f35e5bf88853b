"""Decide who is who and write it down: every decision is a row, and the last one counts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.destinations import modes
from fhirbridge.destinations.registry import Destination
from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Subkind
from fhirbridge.fhir import codec
from fhirbridge.matching import decide, kept, person
from fhirbridge.matching.asking import Question
from fhirbridge.matching.decide import How, Link, Ours, Verdict, Why
from fhirbridge.matching.kept import ACTOR, State
from fhirbridge.matching.sight import Sight
from fhirbridge.outbox.contents import Contents
from fhirbridge.records import history
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.patient_tables import patient_link
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import record


class Side(NamedTuple):
    """Our Patient: the row that counts, what it says, and when the visit at hand began."""

    row: Row[Any]
    body: dict[str, Any]
    ours: Ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whom a decision is about: a lane of a destination; the record's key seals what was seen."""

    destination: str
    lane: str
    record_id: str
    side: Side | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of a link: the row's values that are not the same for all of them."""

    state: State
    ehr_id: str = ""
    how: str = ""
    why: tuple[Why, ...] = ()
    follows: str = ""
    candidates: tuple[str, ...] = ()
    only_for: str = ""  # the record for which it was checked, where it may not hold for others
    reason: str = ""  # a person's; sealed


class Links:
    """Asks, decides and writes, in the caller's transaction."""

    def __init__(
        self, *, vault: Vault, rng: Rng, clock: Clock, audit: EvidenceLog, contents: Contents
    ) -> None:
        self._vault = vault
        self._rng = rng
        self._clock = clock
        self._audit = audit
        self._contents = contents

    # --- asking -------------------------------------------------------------------------------

    def question(self, tx: Connection, destination: Destination, row: Row[Any]) -> Question:
        """Return what the EHR is to be asked about the patient of a delivery."""
        stands = self._standing(tx, destination.name, row.lane)
        if stands is not None:
            return Question(known=(kept.reference(stands.ehr_id), *kept.before(tx, stands)))
        side = self.side(tx, destination, row.record_id)
        if side is None:
            return Question()
        matches = modes.offers_match(destination.traits)
        return Question(
            tokens=tuple(sorted(side.ours.tokens)),
            patient=_as_theirs(side, destination) if matches else None,
        )

    def _standing(self, tx: Connection, destination: str, lane: str) -> Row[Any] | None:
        """Return the link that counts or, where it is held, the one that was held."""
        link = kept.current(tx, destination, lane)
        if link is not None and link.state == State.HELD:
            return kept.of_id(tx, link.follows) if link.follows else None
        return link if link is not None and link.state == State.LINKED else None

    def side(self, tx: Connection, destination: Destination, record_id: str) -> Side | None:
        """Return our Patient as a destination compares it; None where none was made."""
        source = tx.execute(select(record).where(record.c.id == record_id)).one()
        row = kept.our_patient(tx, destination, source.patient_key, source.subject)
        if row is None:
            return None
        body = self._contents.body(tx, row.id)
        whole = person.read(body)
        systems = destination.patients.systems
        ours = Ours(
            person=whole,
            tokens=frozenset((systems[s], value) for s, value in whole.identifiers if s in systems),
            visit=None if source.in_error or source.retracted else self._visit(tx, record_id),
        )
        return Side(row, body, ours)

    def _visit(self, tx: Connection, record_id: str) -> str:
        document = history.content(tx, self._vault, record_id)["document"]
        visit = document.get("visit")
        return str(visit.get("start", "")) if isinstance(visit, dict) else ""

    # --- deciding -----------------------------------------------------------------------------

    def settle(
        self, tx: Connection, destination: Destination, row: Row[Any], sight: Sight
    ) -> Row[Any]:
        """Decide by what the EHR showed; return the link that counts now: linked, or held."""
        side = self.side(tx, destination, row.record_id)
        who = Who(destination=row.destination, lane=row.lane, record_id=row.record_id, side=side)
        stands = self._standing(tx, row.destination, row.lane)
        verdict = self._verdict(tx, who, stands, sight)
        reference = verdict.reference
        same = stands is not None and reference == kept.reference(stands.ehr_id)
        decision = Decision(
            state=State.LINKED if verdict.certain else State.HELD,
            ehr_id=reference.partition("/")[2],
            how=str(verdict.how or ""),
            why=verdict.why,
            follows=stands.id if stands is not None else "",
            candidates=verdict.candidates,
            only_for=row.record_id if _is_of_a_visit(verdict, sight) else "",
        )
        if same and stands is not None:  # as it was, also where it was held meanwhile
            decision = replace(decision, how=stands.how, follows=stands.follows)
        known = kept.current(tx, row.destination, row.lane)
        if known is not None and _is_said(known, decision):
            return self._confirmed(tx, known, side, only_for=decision.only_for)
        made = self.append(tx, who, decision, sight.bodies)
        if made.state == State.LINKED and made.how == How.MERGE and not same:
            self._tell_of_merge(tx, made)
        return made

    def _verdict(self, tx: Connection, who: Who, stands: Row[Any] | None, sight: Sight) -> Verdict:
        if who.side is None:
            return Verdict(why=(Why.NOT_OURS,))
        if stands is not None:
            verdict = decide.look(who.side.ours, self.opened(tx, stands), sight.bodies)
        else:
            verdict = decide.choose(
                who.side.ours,
                sight.hits,
                sight.bodies,
                how=sight.how,
                rejected=kept.rejections(tx, who.destination, who.lane),
                more=sight.more,
            )
        is_new = stands is None or verdict.reference != kept.reference(stands.ehr_id)
        if is_new and kept.taken(tx, who.destination, who.lane, verdict.reference):
            return Verdict(why=(Why.TAKEN,), candidates=(verdict.reference,))
        return verdict

    def _confirmed(
        self, tx: Connection, known: Row[Any], side: Side | None, *, only_for: str
    ) -> Row[Any]:
        """Note that what was decided was found to be so still."""
        values = {"checked_at": self._now(), "only_for": only_for}
        if side is not None and known.state == State.LINKED:
            values["compared"] = side.row.digest
        tx.execute(update(patient_link).where(patient_link.c.id == known.id).values(**values))
        return kept.of_id(tx, known.id)

    def append(
        self,
        tx: Connection,
        who: Who,
        decision: Decision,
        bodies: Mapping[str, dict[str, Any]],
        *,
        actor: str = ACTOR,
    ) -> Row[Any]:
        """Write a decision, which ends the one before; a rejection ends none."""
        now, row_id = self._now(), new_id(self._rng)
        side, rejects = who.side, decision.state is State.REJECTED
        if not rejects:
            kept.end(tx, who.destination, who.lane, at=now)
        seen = {
            "ours": person.shown(side.body) if side is not None else {},
            "theirs": [person.shown(bodies[one]) for one in decision.candidates if one in bodies],
            "reason": decision.reason,
        }
        key = self._vault.key(tx, who.record_id)
        values = {
            "id": row_id,
            "destination": who.destination,
            "lane": who.lane,
            "subject": side.row.resource_id if side is not None else "",
            "state": decision.state.value,
            "ehr_id": decision.ehr_id,
            "how": decision.how,
            "why": " ".join(decision.why),
            "follows": decision.follows,
            "compared": side.row.digest if side is not None else "",
            "record_id": who.record_id,
            "actor": actor,
            "at": now,
            "checked_at": "" if Why.TO_BE_ASKED in decision.why else now,
            "only_for": decision.only_for,
            "ended_at": now if rejects else "",
            "sealed": self._vault.seal(key, codec.encode(seen), f"link:{row_id}"),
        }
        tx.execute(insert(patient_link), values)
        made = kept.of_id(tx, row_id)
        self._tell(tx, made, decision.reason)
        return made

    def _tell(self, tx: Connection, link: Row[Any], reason: str) -> None:
        automatic = Action.PATIENT_HELD if link.state == State.HELD else Action.PATIENT_LINKED
        entry = Entry(
            actor=link.actor,
            action=automatic if link.actor == ACTOR else Action.PATIENT_DECIDED,
            outcome=link.state,
            record_id=link.record_id,
            destination=link.destination,
            detail={"link": link.id, "how": link.how, "why": link.why.split()},
            payload_owner=link.record_id if reason else "",
            payload=reason.encode() if reason else None,
        )
        self._audit.append(tx, entry)

    def _tell_of_merge(self, tx: Connection, link: Row[Any]) -> None:
        merged = Event(
            subkind=Subkind.PATIENT_MERGED,
            destination=link.destination,
            patient=link.lane,
            detail={"type": "Patient", "link": link.id},
        )
        events.append(tx, self._rng, merged, at=self._clock.now())

    # --- what was decided ---------------------------------------------------------------------

    def opened(self, tx: Connection, link: Row[Any]) -> Link:
        """Return a link with both sides as they were when it was made."""
        seen = self.seen(tx, link)
        theirs = [one for one in seen["theirs"] if one.get("id") == link.ehr_id]
        return Link(
            reference=kept.reference(link.ehr_id),
            then=person.read(theirs[0]),
            ours_then=person.read(seen["ours"]),
            before=kept.before(tx, link),
        )

    def seen(self, tx: Connection, link: Row[Any]) -> dict[str, Any]:
        """Open both sides as compared, and a person's reason: PHI; of a purged record nothing."""
        if not link.sealed:
            return {"ours": {}, "theirs": [], "reason": ""}
        key = self._vault.key(tx, link.record_id)
        plain = self._vault.unseal(key, link.sealed, f"link:{link.id}")
        result: dict[str, Any] = codec.decode(plain)
        return result

    def _now(self) -> str:
        return moment.to_text(self._clock.now())


def _as_theirs(side: Side, destination: Destination) -> dict[str, Any]:
    """Return our Patient with those identifiers alone that the EHR knows, as it names them."""
    systems = destination.patients.systems
    numbers = [
        {"system": systems[one["system"]], "value": one["value"]}
        for one in side.body.get("identifier", [])
        if one.get("system") in systems and "value" in one
    ]
    return {**side.body, "identifier": numbers}


def _is_said(known: Row[Any], decision: Decision) -> bool:
    if known.state != decision.state:
        return False
    if decision.state is State.LINKED:
        return bool(known.ehr_id == decision.ehr_id)
    return bool(known.why == " ".join(decision.why))


def _is_of_a_visit(verdict: Verdict, sight: Sight) -> bool:
    """Say whether another visit of this patient, or one that is taken back, may fare otherwise."""
    if not verdict.certain:
        return not decide.OF_A_VISIT.isdisjoint(verdict.why)
    theirs = person.read(sight.bodies[verdict.reference])
    return bool(theirs.deceased) or not theirs.active
