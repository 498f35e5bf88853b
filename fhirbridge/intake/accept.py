"""From bytes to what is owed: checked, translated, stored with its deliveries in one commit."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from fhirbridge import tracing
from fhirbridge.audit.log import Action, Entry
from fhirbridge.consent import state as consent
from fhirbridge.destinations import registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.fhir import codec
from fhirbridge.intake import again, refused, replay, warning
from fhirbridge.intake.incident import Incident, Lifted, Retracted
from fhirbridge.intake.live import LiveSet
from fhirbridge.intake.once import Answer, Message, Once
from fhirbridge.intake.owing import Owing, held_in
from fhirbridge.intake.replay import Replayed
from fhirbridge.intake.rooms import Rooms
from fhirbridge.intake.translating import IN_ERROR, Translations, Translator
from fhirbridge.outbox import stuck
from fhirbridge.outbox.enqueue import Owed
from fhirbridge.outbox.selection import Selection
from fhirbridge.outbox.states import RETRACTED
from fhirbridge.records import history, labels, schema
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.history import Chart
from fhirbridge.records.rules import suicidality
from fhirbridge.records.schema import CheckedRecord, InvalidRecordError
from fhirbridge.rng import new_id
from fhirbridge.store import moment
from fhirbridge.store.errors import StoreBusyError, StoreDoubtError
from fhirbridge.translate import identity
from fhirbridge.translate.values import Translation

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was taken in and what is planned with it.

    `id` is opaque; `findings` name fields, never values.
    """

    id: str
    version: int
    state: str  # current | older | repeated
    translation: str  # done | held
    findings: tuple[Finding, ...]
    problems: int
    owed: tuple[Owed, ...]


class Intake:
    """Takes records in with the mapping set that is live at that moment."""

    def __init__(self, rooms: Rooms, live: LiveSet) -> None:
        self._rooms = rooms
        self._live = live

    def warm_up(self) -> str:
        """Compile what is live, with each overlay that is in use; return the set's digest."""
        with self._rooms.store.read() as tx:
            variants = self._live.current(tx)
            overlays = registry.overlays(tx)
        for overlay in overlays:
            variants.of(overlay)
        return variants.base.digest

    def preview(self, raw: bytes, *, overlay: str = "") -> tuple[CheckedRecord, Translation]:
        """Check and translate without storing anything.

        Raises DestinationError where the live mappings have no such overlay.
        """
        checked = schema.load(raw)
        with self._rooms.store.read() as tx:
            owing = self._owing(tx)
        _refuse_unknown(owing, overlay)
        return checked, owing.translator.translate(checked.document, overlay)

    def accept(self, raw: bytes, *, actor: str, backfill: bool = False) -> Receipt:
        """Take in one session record; when this returns, delivery is owed.

        A backfill goes after all that is live.

        Raises NotJsonError, InvalidRecordError, VersionTakenError, PatientChangedError or
        PurgedError after the refused bytes were put in quarantine, and StoreBusyError or
        NoRoomError where nothing could be written.
        """
        with tracing.span("intake") as step:
            return self._take_in(
                raw,
                lambda _tx, keep: _told(step, keep()),
                once=None,
                actor=actor,
                backfill=backfill,
            )

    def accept_once(
        self,
        raw: bytes,
        message: Message,
        shape: Callable[[Receipt], Answer],
        *,
        actor: str,
        backfill: bool = False,
    ) -> Answer:
        """Take in the record of a message; a repeat is answered as the first one was.

        Raises OtherBodyError as well, and what `accept` raises.
        """
        once = Once(self._rooms, message)
        with self._rooms.store.read() as tx:
            known = once.answer(tx)
        with tracing.span("intake") as step:
            return known or self._take_in(
                raw,
                lambda tx, keep: once.within(tx, lambda: shape(_told(step, keep()))),
                once=once,
                actor=actor,
                backfill=backfill,
            )

    def _take_in(
        self,
        raw: bytes,
        within: Callable[[Connection, Callable[[], Receipt]], Kept],
        *,
        once: Once | None,
        actor: str,
        backfill: bool,
    ) -> Kept:
        self._rooms.disk.check()
        try:
            checked = schema.load(raw)
            with tracing.span("translate"):
                owing, made = self._translated(checked.document)

            def keep(tx: Connection) -> Kept:
                return within(
                    tx, lambda: self._keep(tx, owing, checked, made, actor, backfill=backfill)
                )

            return self._kept(keep)
        except (
            codec.NotJsonError,
            InvalidRecordError,
            history.VersionTakenError,
            history.PatientChangedError,
            history.PurgedError,
        ) as error:
            refused.put_aside(self._rooms, raw, error, actor=actor, once=once)
            raise

    def _kept(self, keep: Callable[[Connection], Kept]) -> Kept:
        """Commit; where nobody knows whether it was written, ask again: its version is the key."""
        store = self._rooms.store
        try:
            return store.commit(keep)
        except StoreDoubtError as doubt:
            try:
                return store.commit(keep)
            except StoreBusyError:  # which would say that nothing was written
                raise doubt from None

    def hear(self, hear: Callable[[Connection, Owing], Kept]) -> Kept:
        """Do what an event asks for in one commit."""
        with self._rooms.store.begin() as tx:
            return hear(tx, self._owing(tx))

    def translate_held(self) -> int:
        """Try what another mapping set could not translate; return how many went through."""
        with self._rooms.store.begin() as tx:
            return again.translate_held(tx, self._rooms, self._owing(tx))

    def replay(self, chosen: Selection, *, parked: bool, actor: str) -> Replayed:
        """Send what is parked again, or make records anew with the live mappings."""
        with self._rooms.store.read() as tx:
            owing = self._owing(tx)
        what = replay.parked if parked else replay.records
        return what(self._rooms, owing, chosen, actor=actor)

    def retract(self, chart: Chart, *, reason: str, actor: str) -> Retracted:
        """Take sessions back from a patient's chart wherever they went. Raises IncidentError."""
        with self._rooms.store.begin() as tx:
            return Incident(self._rooms, self._owing(tx), actor).retract(tx, chart, reason)

    def lift(self, chart: Chart, *, reason: str, actor: str) -> Lifted:
        """Let what was taken back go again. Raises IncidentError."""
        with self._rooms.store.begin() as tx:
            return Incident(self._rooms, self._owing(tx), actor).lift(tx, chart, reason)

    def owe_backlog(self, tx: Connection, name: str) -> None:
        """Owe a new destination every current record, in the order in which they came.

        Raises DestinationError where the live mappings do not have its overlay: asked in the commit
        that adds it, so that no reload comes between.
        """
        owing = self._owing(tx)
        _refuse_unknown(owing, registry.get(tx, name).overlay)
        again.owe_backlog(tx, self._rooms, owing, name)

    def owe_types(self, tx: Connection, name: str, types: Collection[str]) -> int:
        """Owe a destination what it has not of these types; return how many resources."""
        return again.owe_types(tx, self._rooms, self._owing(tx), name, types)

    def expire_quarantine(self) -> int:
        """Erase what lay in quarantine for its time; return how many went."""
        with self._rooms.store.begin() as tx:
            return refused.expire(tx, self._rooms)

    def _owing(self, tx: Connection) -> Owing:
        return Owing(self._rooms, Translator(self._live.current(tx), self._rooms.site))

    def _translated(self, document: dict[str, Any]) -> tuple[Owing, Translations]:
        """Translate without and with every overlay in use, before anything locks the database."""
        with self._rooms.store.read() as tx:
            owing, overlays = self._owing(tx), registry.overlays(tx)
        made = owing.translations(document)
        for overlay in ("", *overlays):
            made.of(overlay)
        return owing, made

    def _keep(
        self,
        tx: Connection,
        owing: Owing,
        checked: CheckedRecord,
        made: Translations,
        actor: str,
        *,
        backfill: bool,
    ) -> Receipt:
        new = self._new_version(tx, checked, made.base)
        appended = history.append(tx, self._rooms.vault, new)
        owed: tuple[Owed, ...] = ()
        if appended.retracted:
            owed = self._hold_back(tx, new, owing, checked.document, appended)
        elif appended.state != "repeated":
            self._hear_consents(tx, new, checked.document)
        if appended.state == "current" and not appended.retracted:
            owed = self._owe_new(
                tx,
                new,
                owing,
                checked=checked,
                made=made,
                replaces=appended.replaces,
                backfill=backfill,
            )
        warning.tell(tx, new, appended)
        self._note_accepted(tx, new, appended, owed, actor)
        return Receipt(
            id=appended.id,
            version=new.version,
            state=appended.state,
            translation=new.translation,
            findings=checked.findings,
            problems=len(made.base.problems),
            owed=owed,
        )

    def _new_version(
        self, tx: Connection, checked: CheckedRecord, made: Translation
    ) -> history.NewVersion:
        document = checked.document
        session_key = identity.opaque(self._rooms.site, "session", checked.session_id)
        patient_key, subject = self._whose(tx, session_key, document, made)
        levels = [finding.level for finding in checked.findings]
        return history.NewVersion(
            id=new_id(self._rooms.rng),
            session_key=session_key,
            version=checked.version,
            patient_key=patient_key,
            subject=subject,
            # A record that stays in the clinic as a whole takes back what was sent of it, too.
            in_error=document.get("status") == IN_ERROR or not (made.resources or made.problems),
            received_at=moment.to_text(self._rooms.clock.now()),
            recorded_at=moment.from_record(document["recorded_at"]),
            digest=self._rooms.vault.digest(checked.content_hash),
            labels=" ".join(sorted(set(labels.of(document)))),
            translation="held" if made.problems else "done",
            set_digest=made.set_digest,
            warnings=levels.count(Level.WARNING),
            held=levels.count(Level.HELD),
            screen_held=suicidality.may_be_held(document, _held_rows(checked)),
            content={
                "document": document,
                "findings": [asdict(finding) for finding in checked.findings],
                "problems": [asdict(problem) for problem in made.problems],
                "zone_applied": list(checked.zone_applied),
            },
        )

    def _whose(
        self, tx: Connection, session_key: str, document: dict[str, Any], made: Translation
    ) -> tuple[str, str]:
        """Return (patient_key, subject); what a retraction leaves out, its session knows."""
        known_key, known_subject = history.patient_of(tx, session_key)
        patient_id = document.get("patient", {}).get("id")
        key = known_key
        if patient_id is not None:
            key = identity.opaque(self._rooms.site, "patient", patient_id)
        subject = next((r.id for r in made.resources if r.type == "Patient"), "")
        return key, subject or (known_subject if key == known_key else "")

    def _hear_consents(
        self, tx: Connection, new: history.NewVersion, document: dict[str, Any]
    ) -> None:
        """Take in what any version says: a withdrawal may come late, and is dated itself."""
        if document.get("consents"):
            consent.remember(
                tx,
                patient_key=new.patient_key,
                record_id=new.id,
                rows=document["consents"],
                recorded_at=document["recorded_at"],
            )
            stuck.release_consent(tx, self._rooms.settlement, new.patient_key)

    def _owe_new(
        self,
        tx: Connection,
        new: history.NewVersion,
        owing: Owing,
        *,
        checked: CheckedRecord,
        made: Translations,
        replaces: str,
        backfill: bool,
    ) -> tuple[Owed, ...]:
        self._close_waiting(tx, replaces)
        held = held_in([asdict(finding) for finding in checked.findings])
        return owing.owe(tx, new, made, held, low=backfill)

    def _hold_back(
        self,
        tx: Connection,
        new: history.NewVersion,
        owing: Owing,
        document: dict[str, Any],
        appended: history.Appended,
    ) -> tuple[Owed, ...]:
        """Let what would come back to a chart it was taken back from wait for a person."""
        if appended.state != "current":
            return ()
        self._close_waiting(tx, appended.replaces)
        return () if new.in_error else tuple(owing.hold_back(tx, new, document))

    def _close_waiting(self, tx: Connection, replaced: str) -> None:
        """Close what waits of a version that something replaces."""
        for reason in (stuck.TRANSLATION, RETRACTED) if replaced else ():
            settlement = self._rooms.settlement
            stuck.supersede(tx, settlement, replaced, reason=reason, actor="intake")

    def _note_accepted(
        self,
        tx: Connection,
        new: history.NewVersion,
        appended: history.Appended,
        owed: Sequence[Owed],
        actor: str,
    ) -> None:
        repeated = appended.state == "repeated"
        entry = Entry(
            actor=actor,
            action=Action.RECORD_REPEATED if repeated else Action.RECORD_ACCEPTED,
            outcome=appended.state,
            record_id=appended.id,
            detail={
                "version": new.version,
                "translation": new.translation,
                "warnings": new.warnings,
                "held": new.held,
                "changes": sum(len(one.changes) for one in owed),
                "deliveries": [one.delivery_id for one in owed],
                "set_digest": new.set_digest,
            },
        )
        self._rooms.audit.append(tx, entry)


def _refuse_unknown(owing: Owing, overlay: str) -> None:
    known = owing.translator.variants.base.overlays if overlay else ()
    if overlay and overlay not in known:
        there = f"there are: {', '.join(known)}" if known else "there is none"
        raise DestinationError(f"the live mappings have no overlay {overlay}", hint=there)


def _held_rows(checked: CheckedRecord) -> frozenset[str]:
    return frozenset(one.row for one in checked.findings if one.level is Level.HELD)


def _told(step: tracing.Span, receipt: Receipt) -> Receipt:
    """Say of the step what became of the record."""
    step.set(record=receipt.id, state=receipt.state, outcome=receipt.translation)
    return receipt
