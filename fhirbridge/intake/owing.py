"""From one stored record version to what each destination is owed of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from sqlalchemy import Connection

from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.intake.live import NotLiveError
from fhirbridge.intake.rooms import Rooms
from fhirbridge.intake.translating import IN_ERROR, Translations, Translator
from fhirbridge.outbox import contents, stuck
from fhirbridge.outbox.contents import CONTENT, INCOMPLETE, WITHDRAWN, Identity, Owner
from fhirbridge.outbox.enqueue import NOTHING_HELD, Haste, MakeProvenance, Owed, Shield
from fhirbridge.outbox.states import RETRACTED
from fhirbridge.records import history
from fhirbridge.records.findings import Level
from fhirbridge.records.rules import suicidality
from fhirbridge.translate.values import Problem, TranslatedResource, Translation


class RecordRow(Protocol):
    """What is asked of a stored version, or of one that is about to be stored."""

    @property
    def id(self) -> Any: ...
    @property
    def session_key(self) -> Any: ...
    @property
    def patient_key(self) -> Any: ...
    @property
    def set_digest(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Where an element was held back: its row, and the part of the record it stands in."""

    row: str
    part: str


def held_in(findings: Sequence[Mapping[str, Any]]) -> tuple[Held, ...]:
    """Pick the held elements from findings, as values or as they were stored."""
    return tuple(
        Held(row=one["row"], part=one["pointer"].split("/")[1])
        for one in findings
        if one["level"] == Level.HELD
    )


class Owing:
    """Keeps what was made of a record, and owes it."""

    def __init__(self, rooms: Rooms, translator: Translator) -> None:
        self._rooms = rooms
        self.translator = translator

    def translations(self, document: dict[str, Any]) -> Translations:
        """Return a record as it will be translated, once for each overlay."""
        return Translations(document, self.translator)

    def owe(
        self,
        tx: Connection,
        row: RecordRow,
        made: Translations,
        held: Sequence[Held],
        *,
        only: Sequence[str] | None = None,
        low: bool = False,
        actor: str = "intake",
    ) -> tuple[Owed, ...]:
        """Keep what was made and owe every destination what changed; of a held one nothing.

        `only` names the destinations that are meant, where it is not all of them; `low` says that
        it is a backfill.
        """
        haste = self.haste(made.document, low=low)
        meant = [one for one in registry.every(tx) if only is None or one.name in only]
        if made.base.problems:
            return tuple(self._hold(tx, row, meant, made.base.problems, haste))
        owed: list[Owed] = []
        overlays = {one.overlay for one in meant} | ({""} if only is None else set())
        for overlay in sorted(overlays):
            receivers = [one for one in meant if one.overlay == overlay]
            owed += self._owe_overlay(
                tx,
                row,
                made,
                held,
                overlay=overlay,
                receivers=receivers,
                haste=haste,
                actor=actor,
            )
        return tuple(sorted(owed, key=lambda one: one.destination))

    def _owe_overlay(
        self,
        tx: Connection,
        row: RecordRow,
        made: Translations,
        held: Sequence[Held],
        *,
        overlay: str,
        receivers: Sequence[Destination],
        haste: Haste,
        actor: str,
    ) -> list[Owed]:
        """Keep and owe what one overlay makes; where it makes nothing right, only they wait."""
        ready = made.of(overlay)
        owner = self._owner(row, overlay)
        before = contents.of_session(tx, row.session_key, overlay)
        whole = self._whole(tx, row, made.document)
        problems = ready.problems
        if before and whole is not made.document:
            # A retraction makes nothing of its own; that it cannot be sent is found out here.
            problems = self.translator.unproven(whole, overlay)
        if problems:
            return self._hold(tx, row, receivers, problems, haste)
        shield = self._shield(ready, before, held)
        contents.outdate(tx, row.id, overlay)
        self._keep(tx, owner, ready, shield)
        here = [Identity(one.type, one.id) for one in (*ready.resources, *ready.withdrawn)]
        earlier = [Identity(one.type, one.resource_id) for one in before]
        touched = list(dict.fromkeys([*here, *earlier]))
        make_provenance = self.translator.provenance_of(whole, overlay)
        return [
            self._rooms.outbox.put(
                tx,
                destination=one.name,
                owner=owner,
                touched=touched,
                shield=shield,
                make_provenance=make_provenance,
                renew=stuck.replace_set_aside(
                    tx,
                    self._rooms.settlement,
                    destination=one.name,
                    session_key=row.session_key,
                    patient_key=row.patient_key,
                    actor=actor,
                ),
                haste=haste,
            )
            for one in receivers
        ]

    def hold_back(self, tx: Connection, row: RecordRow, document: dict[str, Any]) -> list[Owed]:
        """Let a new version wait for a person: its session was taken back from this chart."""
        haste = self.haste(document, low=False)
        return [
            self._rooms.outbox.put_held(
                tx,
                destination=one.name,
                owner=self._owner(row, one.overlay),
                reason=RETRACTED,
                haste=haste,
            )
            for one in registry.every(tx)
        ]

    def provenance_of(
        self, tx: Connection, row: RecordRow, document: dict[str, Any], overlay: str
    ) -> MakeProvenance | None:
        """Return what makes the Provenance of a delivery of this record; None where nothing can."""
        whole = self._whole(tx, row, document)
        try:
            if self.translator.unproven(whole, overlay):
                return None
        except NotLiveError:
            return None
        return self.translator.provenance_of(whole, overlay)

    def owe_one(
        self, tx: Connection, row: RecordRow, document: dict[str, Any], new: Destination
    ) -> None:
        """Owe a new destination what a record version, kept before, contributes; as a backfill."""
        haste = self.haste(document, low=True)
        kept = contents.of_record(tx, row.id, new.overlay)
        if kept:
            digest, problems = row.set_digest, self.translator.unproven(document, new.overlay)
        else:
            digest, problems = self.translator.digest, self._make(tx, row, document, new.overlay)
        if problems:
            self._hold(tx, row, [new], problems, haste)
            return
        made = kept or contents.of_record(tx, row.id, new.overlay)
        self._rooms.outbox.put(
            tx,
            destination=new.name,
            owner=replace(self._owner(row, new.overlay), set_digest=digest),
            touched=[Identity(r.type, r.resource_id) for r in made],
            shield=NOTHING_HELD,
            make_provenance=self.translator.provenance_of(document, new.overlay),
            haste=haste,
        )

    def owe_lacking(
        self,
        tx: Connection,
        row: RecordRow,
        document: dict[str, Any],
        where: Destination,
        lacking: Sequence[Identity],
    ) -> None:
        """Owe a destination what it has not taken of a record until now; as a backfill."""
        self._rooms.outbox.put(
            tx,
            destination=where.name,
            owner=self._owner(row, where.overlay),
            touched=lacking,
            shield=NOTHING_HELD,
            make_provenance=self.provenance_of(tx, row, document, where.overlay),
            renew=True,
            haste=self.haste(document, low=True),
        )

    def haste(self, document: dict[str, Any], *, low: bool) -> Haste:
        """Say how soon a record should go."""
        urgent = self._rooms.contents.row_names(suicidality.rows(document))
        return Haste(low=low, urgent=urgent)

    def _make(
        self, tx: Connection, row: RecordRow, document: dict[str, Any], overlay: str
    ) -> tuple[Problem, ...]:
        """Keep what was never made: an overlay's first destination came after the record."""
        ready = self.translator.translate(document, overlay)
        if not ready.problems:
            held = held_in(history.content(tx, self._rooms.vault, row.id)["findings"])
            self._keep(tx, self._owner(row, overlay), ready, self._shield(ready, (), held))
        return ready.problems

    def _hold(
        self,
        tx: Connection,
        row: RecordRow,
        receivers: Sequence[Destination],
        problems: Sequence[Problem],
        haste: Haste,
    ) -> list[Owed]:
        """Let destinations wait for other mappings; remember for each what is wrong with these."""
        said = [asdict(problem) for problem in problems]
        history.note_withheld(tx, self._rooms.vault, row.id, {one.name: said for one in receivers})
        return [
            self._rooms.outbox.put_held(
                tx,
                destination=one.name,
                owner=self._owner(row, one.overlay),
                reason=stuck.TRANSLATION,
                haste=haste,
            )
            for one in receivers
        ]

    def _owner(self, row: RecordRow, overlay: str) -> Owner:
        return Owner(
            record_id=row.id,
            patient_key=row.patient_key,
            set_digest=self.translator.digest,
            overlay=overlay,
        )

    def _whole(self, tx: Connection, row: RecordRow, document: dict[str, Any]) -> dict[str, Any]:
        """Fill in what a retraction leaves out, above all who vouches for it."""
        earlier = history.last_whole(tx, row.session_key)
        if document.get("status") != IN_ERROR or not earlier:
            return document
        return {**history.content(tx, self._rooms.vault, earlier)["document"], **document}

    def _keep(self, tx: Connection, owner: Owner, made: Translation, shield: Shield) -> None:
        for one in made.resources:
            names = self._rooms.contents.row_names([one.row])
            shielded = Identity(one.type, one.id) in shield.identities or names & shield.rows
            purpose = INCOMPLETE if shielded else CONTENT
            self._rooms.contents.keep(tx, owner, one, purpose=purpose)
        for one in made.withdrawn:
            if not self._rooms.contents.row_names([one.row]) & shield.rows:
                self._rooms.contents.keep(tx, owner, one, purpose=WITHDRAWN)

    def _shield(self, made: Translation, before: Sequence[Any], held: Sequence[Held]) -> Shield:
        """Name what a held element touches: its row, and what reads its whole part.

        What was made of the whole record before and is not any more may have gone with it.
        """
        if not held:
            return NOTHING_HELD
        parts = {one.part for one in held}
        wide = {
            Identity(one.type, one.id)
            for one in made.resources
            if not one.row and parts & _parts_read(one)
        }
        here = {Identity(one.type, one.id) for one in (*made.resources, *made.withdrawn)}
        wide |= {Identity(r.type, r.resource_id) for r in before if not r.row} - here
        rows = self._rooms.contents.row_names(one.row for one in held)
        return Shield(rows=rows, identities=frozenset(wide))


def _parts_read(resource: TranslatedResource) -> set[str]:
    """Return the parts that a resource was made from: `plan` of `plan.phases[0].start`."""
    return {re.split(r"[.\[]", path)[0] for why in resource.why for path in why.sources}
