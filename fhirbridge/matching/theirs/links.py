"""Find what an EHR has itself, decide and write it down: every decision is a row, the last counts.

What is asked is worked out of our own resources and the records that they were made of.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from fhirbridge import log
from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import codec, pointing
from fhirbridge.fhir.pointing import Named
from fhirbridge.fhir.references import literal_references
from fhirbridge.matching.guard import FRESH_FOR
from fhirbridge.matching.kept import ACTOR
from fhirbridge.matching.theirs import kept
from fhirbridge.matching.theirs.decide import How, Shown, Verdict, Wanted, Why, choose
from fhirbridge.matching.theirs.kept import State
from fhirbridge.matching.theirs.wanted import Making, Opening
from fhirbridge.outbox.contents import Contents, Identity
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import record
from fhirbridge.store.theirs_tables import theirs_link


class TheirLinks:
    """Asks, decides and writes, in the caller's transaction."""

    def __init__(
        self, *, vault: Vault, rng: Rng, clock: Clock, audit: EvidenceLog, contents: Contents
    ) -> None:
        self._vault = vault
        self._rng = rng
        self._clock = clock
        self._audit = audit
        self._opening = Opening(vault, contents)
        self.crosswalk = self._opening.crosswalk

    # --- what is to be asked ------------------------------------------------------------------

    def numbers(
        self, destination: Destination, lane: str, bodies: Collection[Mapping[str, Any]]
    ) -> dict[Named, str]:
        """Return the EHR's numbers by which these point to its own, with their keyed names."""
        found = (one for body in bodies for one in pointing.numbers(body, destination.theirs))
        return {one: self._vault.digest(f"{lane}/{one[0]}/{one[1]}") for one in found}

    def wanted(
        self,
        tx: Connection,
        destination: Destination,
        row: Row[Any],
        bodies: Collection[Mapping[str, Any]],
        *,
        now: datetime,
    ) -> list[Wanted]:
        """Return what is to be decided before these go with the delivery `row`."""
        if not destination.theirs:
            return []
        found = []
        for one in self._named(tx, destination, row, bodies):
            known = kept.current(tx, destination.name, one.type, one.subject)
            if _is_due(known, one, now):
                found.append(_beginning_with(known, one))
        return found

    def again(self, tx: Connection, destination: Destination, link: Row[Any]) -> Wanted:
        """Return what is to be asked about something that was decided before."""
        of_whom = select(record).where(record.c.id == link.record_id)
        source = tx.execute(of_whom).one()
        making = Making(self._opening, tx, destination, source)
        number = self.opened(tx, link)["number"]
        if number:
            made = making.of_number((link.type, number), link.subject, link.lane)
        else:
            made = making.of_ours(Identity(link.type, link.subject), link.lane)
        return _beginning_with(link, made)

    def _named(
        self,
        tx: Connection,
        destination: Destination,
        row: Row[Any],
        bodies: Collection[Mapping[str, Any]],
    ) -> Iterator[Wanted]:
        source = tx.execute(select(record).where(record.c.id == row.record_id)).one()
        making = Making(self._opening, tx, destination, source)
        ours = {
            Identity(*one)
            for body in bodies
            for one in literal_references(_without_targets(body))
            if one[0] in destination.theirs
        }
        for identity in sorted(ours):
            yield making.of_ours(identity, row.lane)
        for named, subject in sorted(self.numbers(destination, row.lane, bodies).items()):
            yield making.of_number(named, subject, row.lane)

    # --- deciding -----------------------------------------------------------------------------

    def settle_unasked(
        self, tx: Connection, destination: str, wanted: Sequence[Wanted]
    ) -> list[Wanted]:
        """Decide where there is nothing to ask; return the rest."""
        for one in wanted:
            if one.unasked is not None:
                self.settle(tx, destination, one, Shown())
        return [one for one in wanted if one.unasked is None]

    def settle(self, tx: Connection, destination: str, wanted: Wanted, shown: Shown) -> bool:
        """Decide by what the EHR showed; say whether that is another decision than before."""
        known = kept.current(tx, destination, wanted.type, wanted.subject)
        if known is not None and Why.BY_HAND in known.why.split():
            return False  # a person decided meanwhile
        verdict = choose(wanted, shown)
        if known is not None and _is_said(known, wanted, verdict):
            self._confirm(tx, known, wanted, verdict)
            return False
        made = self._append(tx, destination, wanted, verdict, known=known)
        self._tell(tx, made)
        return True

    def take_back(self, tx: Connection, link: Row[Any], *, reason: str, actor: str) -> Row[Any]:
        """Let nothing point to it any more, until a person has it asked about again."""
        wanted = Wanted(
            type=link.type,
            subject=link.subject,
            lane=link.lane,
            record_id=link.record_id,
            words=link.words,
        )
        number = self.opened(tx, link)["number"]
        verdict = Verdict(how=How.PERSON.value, why=(Why.BY_HAND,))
        made = self._append(
            tx,
            link.destination,
            replace(wanted, number=number),
            verdict,
            known=link,
            reason=reason,
            actor=actor,
        )
        self._tell(tx, made, reason)
        return made

    def ask_anew(self, tx: Connection, link: Row[Any], *, actor: str) -> None:
        """Have it asked about before the next that points to it goes."""
        kept.ask_anew(tx, link.id)
        entry = Entry(
            actor=actor,
            action=Action.THEIRS_DECIDED,
            outcome="to-be-asked",
            record_id=link.record_id,
            destination=link.destination,
            detail={"link": link.id, "type": link.type},
        )
        self._audit.append(tx, entry)

    def opened(self, tx: Connection, link: Row[Any]) -> dict[str, str]:
        """Open a decision: the EHR's number, where it is named so, and a person's reason. PHI.

        Of a purged record nothing.
        """
        if not link.sealed:
            return {"number": "", "reason": ""}
        key = self._vault.key(tx, link.record_id)
        plain = self._vault.unseal(key, link.sealed, f"theirs:{link.id}")
        result: dict[str, str] = codec.decode(plain)
        return result

    def _confirm(self, tx: Connection, known: Row[Any], wanted: Wanted, verdict: Verdict) -> None:
        values = {"compared": wanted.compared, "checked_at": self._now(), "how": verdict.how}
        values["why"] = " ".join(verdict.why)
        tx.execute(update(theirs_link).where(theirs_link.c.id == known.id).values(**values))

    def _append(
        self,
        tx: Connection,
        destination: str,
        wanted: Wanted,
        verdict: Verdict,
        *,
        known: Row[Any] | None,
        reason: str = "",
        actor: str = ACTOR,
    ) -> Row[Any]:
        now, row_id = self._now(), new_id(self._rng)
        if known is not None:
            ended = update(theirs_link).where(theirs_link.c.id == known.id)
            followed = known.followed_at or now  # what comes now is followed instead
            tx.execute(ended.values(ended_at=now, followed_at=followed))
        moved = known is not None and (known.ehr_id != verdict.ehr_id or known.followed_at == "")
        key = self._vault.key(tx, wanted.record_id)
        seen = codec.encode({"number": wanted.number, "reason": reason})
        values = {
            "id": row_id,
            "destination": destination,
            "type": wanted.type,
            "subject": wanted.subject,
            "lane": wanted.lane,
            "state": State.LINKED if verdict.ehr_id else State.LEFT_OUT,
            "ehr_id": verdict.ehr_id,
            "words": wanted.words,
            "how": verdict.how,
            "why": " ".join(verdict.why),
            "compared": wanted.compared,
            "record_id": wanted.record_id,
            "actor": actor,
            "at": now,
            "checked_at": now,
            "ended_at": "",
            "followed_at": "" if moved else now,
            "sealed": self._vault.seal(key, seen, f"theirs:{row_id}"),
        }
        tx.execute(insert(theirs_link), values)
        made = kept.of_id(tx, row_id)
        assert made is not None
        return made

    def _tell(self, tx: Connection, link: Row[Any], reason: str = "") -> None:
        why = link.why.split()
        if Why.OTHER_PATIENT in why:
            log.get().error(
                "theirs.wrong-patient", destination=link.destination, kind=link.type, lane=link.lane
            )
        entry = Entry(
            actor=link.actor,
            action=Action.THEIRS_DECIDED,
            outcome=link.state,
            record_id=link.record_id,
            destination=link.destination,
            detail={"link": link.id, "type": link.type, "how": link.how, "why": why},
            payload_owner=link.record_id if reason else "",
            payload=reason.encode() if reason else None,
        )
        self._audit.append(tx, entry)

    def _now(self) -> str:
        return moment.to_text(self._clock.now())


def _without_targets(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what of a resource goes there: a Provenance does not name what is the EHR's own."""
    if body.get("resourceType") != "Provenance":
        return body
    return {name: value for name, value in body.items() if name != "target"}


def _is_due(known: Row[Any] | None, wanted: Wanted, now: datetime) -> bool:
    if known is None:
        return True
    if Why.BY_HAND in known.why.split():
        return False
    if known.compared != wanted.compared:
        return True
    old = abs(now - moment.from_text(known.checked_at)) > FRESH_FOR
    return wanted.unasked is None and old


def _beginning_with(known: Row[Any] | None, wanted: Wanted) -> Wanted:
    """Return it with the id that is linked now, where that was found by the same number."""
    if known is None or known.state != State.LINKED or wanted.named:
        return wanted
    same = known.compared == wanted.compared and known.how == How.IDENTIFIER
    return replace(wanted, known=known.ehr_id) if same else wanted


def _is_said(known: Row[Any], wanted: Wanted, verdict: Verdict) -> bool:
    """Say whether it stands already; where it is left out, for the same reason."""
    if verdict.ehr_id or known.ehr_id:
        return bool(known.ehr_id == verdict.ehr_id)
    why = " ".join(verdict.why)
    return bool(known.why in ("", why) and known.words == wanted.words)
