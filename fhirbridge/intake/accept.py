"""From bytes to what is owed: checked, translated, stored with its deliveries in one commit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.consent import state as consent
from fhirbridge.destinations import registry
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec, validate
from fhirbridge.outbox import contents, stuck
from fhirbridge.outbox.contents import Contents, Identity, Owner
from fhirbridge.outbox.enqueue import NOTHING_HELD, MakeProvenance, Outbox, Owed, Shield
from fhirbridge.outbox.settle import Settlement
from fhirbridge.records import history, schema
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.schema import CheckedRecord, InvalidRecordError
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault
from fhirbridge.translate import engine, identity
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import Problem, Site, TranslatedResource, Translation

IN_ERROR = "entered-in-error"
NOT_R4 = "E420"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """How long and how many refused records are kept."""

    days: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What intake works with."""

    store: Store
    vault: Vault
    clock: Clock
    rng: Rng
    site: Site
    audit: EvidenceLog
    contents: Contents
    outbox: Outbox
    settlement: Settlement
    quarantine: Quarantine


class Intake:
    """Takes records in with one mapping set."""

    def __init__(self, rooms: Rooms, mappings: MappingSet) -> None:
        self._rooms = rooms
        self._mappings = mappings

    @property
    def set_digest(self) -> str:
        """Which mapping set translates."""
        return self._mappings.digest

    def preview(self, raw: bytes) -> tuple[CheckedRecord, Translation]:
        """Check and translate without storing anything."""
        checked = schema.load(raw)
        return checked, self._translate(checked.document)

    def accept(self, raw: bytes, *, actor: str) -> Receipt:
        """Take in one session record; when this returns, delivery is owed.

        Raises NotJsonError, InvalidRecordError, VersionTakenError or PatientChangedError after the
        refused bytes were put in quarantine, and StoreBusyError where nothing could be written.
        """
        try:
            checked = schema.load(raw)
            translation = self._translate(checked.document)
            with self._rooms.store.begin() as tx:
                return self._keep(tx, checked, translation, actor)
        except (
            codec.NotJsonError,
            InvalidRecordError,
            history.VersionTakenError,
            history.PatientChangedError,
        ) as error:
            self._put_aside(raw, error, actor)
            raise

    def _translate(self, document: dict[str, Any]) -> Translation:
        if document.get("status") == IN_ERROR:
            return Translation(
                resources=(), problems=(), set_digest=self._mappings.digest, unmapped=(), empty=()
            )
        made = engine.translate(document, mapping_set=self._mappings, site=self._rooms.site)
        return replace(made, problems=(*made.problems, *_unsound(made)))

    def _keep(
        self, tx: Connection, checked: CheckedRecord, made: Translation, actor: str
    ) -> Receipt:
        new = self._new_version(tx, checked, made)
        appended = history.append(tx, self._rooms.vault, new)
        owed: tuple[Owed, ...] = ()
        if appended.state == "current":
            owed = self._owe_new(tx, new, checked, made, appended.replaces)
        self._note_accepted(tx, new, appended, owed, actor)
        return Receipt(
            id=appended.id,
            version=new.version,
            state=appended.state,
            translation=new.translation,
            findings=checked.findings,
            problems=len(made.problems),
            owed=owed,
        )

    def _new_version(
        self, tx: Connection, checked: CheckedRecord, made: Translation
    ) -> history.NewVersion:
        document = checked.document
        session_key = identity.opaque(self._rooms.site, "session", checked.session_id)
        patient_id = document.get("patient", {}).get("id")
        if patient_id is None:
            patient_key, subject = history.patient_of(tx, session_key)
        else:
            patient_key = identity.opaque(self._rooms.site, "patient", patient_id)
            subject = next((r.id for r in made.resources if r.type == "Patient"), "")
        levels = [finding.level for finding in checked.findings]
        return history.NewVersion(
            id=new_id(self._rooms.rng),
            session_key=session_key,
            version=checked.version,
            patient_key=patient_key,
            subject=subject,
            in_error=document.get("status") == IN_ERROR,
            received_at=moment.to_text(self._rooms.clock.now()),
            recorded_at=moment.from_record(document["recorded_at"]),
            digest=self._rooms.vault.digest(checked.content_hash),
            labels=" ".join(sorted(document.get("labels", []))),
            translation="held" if made.problems else "done",
            set_digest=made.set_digest,
            warnings=levels.count(Level.WARNING),
            held=levels.count(Level.HELD),
            content={
                "document": document,
                "findings": [asdict(finding) for finding in checked.findings],
                "problems": [asdict(problem) for problem in made.problems],
            },
        )

    def _owe_new(
        self,
        tx: Connection,
        new: history.NewVersion,
        checked: CheckedRecord,
        made: Translation,
        replaces: str,
    ) -> tuple[Owed, ...]:
        consent.remember(
            tx,
            patient_key=new.patient_key,
            record_id=new.id,
            rows=checked.document.get("consents", []),
            as_of=checked.document["recorded_at"],
        )
        stuck.release_consent(tx, self._rooms.settlement, new.patient_key)
        before = (
            [Identity(r.type, r.resource_id) for r in contents.of_record(tx, replaces)]
            if replaces
            else []
        )
        if replaces:
            self._rooms.outbox.supersede_held(tx, replaces, reason=stuck.TRANSLATION)
        held = [(f.row, f.pointer) for f in checked.findings if f.level is Level.HELD]
        shield = self._shield(made, held)
        owner, document = self._owner(new), checked.document
        return self._owe(tx, owner, document, made, before=before, shield=shield)

    def _shield(self, made: Translation, held: Sequence[tuple[str, str]]) -> Shield:
        """Name what a held element touches: its row, and what reads its whole part."""
        parts = {pointer.split("/")[1] for _row, pointer in held}
        wide = (one for one in made.resources if not one.row and parts & _parts_read(one))
        return Shield(
            rows=self._rooms.contents.row_names(row for row, _pointer in held),
            identities=frozenset(Identity(one.type, one.id) for one in wide),
        )

    def _owner(self, row: Any) -> Owner:
        return Owner(record_id=row.id, patient_key=row.patient_key, set_digest=row.set_digest)

    def _owe(
        self,
        tx: Connection,
        owner: Owner,
        document: dict[str, Any],
        made: Translation,
        *,
        before: Sequence[Identity],
        shield: Shield,
    ) -> tuple[Owed, ...]:
        """Keep what was made and owe every destination what changed; of a held one nothing."""
        names = [one.name for one in registry.every(tx)]
        if made.problems:
            put = partial(self._rooms.outbox.put_held, tx, owner=owner, reason=stuck.TRANSLATION)
            return tuple(put(destination=name) for name in names)
        for one in made.resources:
            self._rooms.contents.keep(tx, owner, one)
        touched = list(dict.fromkeys([*(Identity(r.type, r.id) for r in made.resources), *before]))
        put = partial(
            self._rooms.outbox.put,
            tx,
            owner=owner,
            touched=touched,
            shield=shield,
            make_provenance=self._provenance_of(document),
        )
        return tuple(put(destination=name) for name in names)

    def _provenance_of(self, document: dict[str, Any]) -> MakeProvenance:
        def make(targets: Sequence[str], delivery: str, recorded: str) -> TranslatedResource:
            return engine.provenance(
                document,
                mapping_set=self._mappings,
                site=self._rooms.site,
                targets=targets,
                delivery=delivery,
                recorded=recorded,
            )

        return make

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

    def _put_aside(self, raw: bytes, error: BridgeError, actor: str) -> None:
        """Keep refused bytes sealed for a while, so that nothing a clinic sent is lost."""
        now = self._rooms.clock.now()
        row_id = new_id(self._rooms.rng)
        findings = len(error.findings) if isinstance(error, InvalidRecordError) else 1
        with self._rooms.store.begin() as tx:
            history.put_aside(
                tx,
                self._rooms.vault,
                row_id=row_id,
                at=moment.to_text(now),
                expires_at=moment.to_text(now + timedelta(days=self._rooms.quarantine.days)),
                code=error.code,
                findings=findings,
                raw=raw,
            )
            history.expire_quarantine(
                tx, self._rooms.vault, now=moment.to_text(now), keep=self._rooms.quarantine.most
            )
            detail = {"code": error.code, "findings": findings, "quarantine": row_id}
            self._rooms.audit.append(
                tx,
                Entry(actor=actor, action=Action.RECORD_REFUSED, outcome="refused", detail=detail),
            )

    def translate_held(self) -> int:
        """Try what another mapping set could not translate; return how many went through."""
        with self._rooms.store.begin() as tx:
            rows = history.held_for_translation(tx, self._mappings.digest)
            return sum(self._translate_again(tx, row) for row in rows)

    def _translate_again(self, tx: Connection, row: Any) -> bool:
        kept = history.content(tx, self._rooms.vault, row.id)
        made = self._translate(kept["document"])
        kept["problems"] = [asdict(problem) for problem in made.problems]
        history.replace_content(
            tx,
            self._rooms.vault,
            row.id,
            translation="held" if made.problems else "done",
            set_digest=made.set_digest,
            subject=next((r.id for r in made.resources if r.type == "Patient"), row.subject),
            content=kept,
        )
        self._rooms.outbox.supersede_held(tx, row.id, reason=stuck.TRANSLATION)
        found = kept["findings"]
        held = [(f["row"], f["pointer"]) for f in found if f["level"] == Level.HELD]
        owner = Owner(record_id=row.id, patient_key=row.patient_key, set_digest=made.set_digest)
        before = [Identity(r.type, r.resource_id) for r in contents.of_session(tx, row.session_key)]
        shield = self._shield(made, held)
        owed = self._owe(tx, owner, kept["document"], made, before=before, shield=shield)
        detail = {"set_digest": made.set_digest, "changes": sum(len(one.changes) for one in owed)}
        outcome = "held" if made.problems else "done"
        self._rooms.audit.append(
            tx,
            Entry(
                actor="sync",
                action=Action.RECORD_TRANSLATED,
                outcome=outcome,
                record_id=row.id,
                detail=detail,
            ),
        )
        return not made.problems

    def owe_backlog(self, tx: Connection, name: str) -> None:
        """Owe a new destination every current record, in the order in which they came."""
        for row in history.current_versions(tx):
            owner = self._owner(row)
            if row.translation == "held":
                self._rooms.outbox.put_held(
                    tx, destination=name, owner=owner, reason=stuck.TRANSLATION
                )
                continue
            kept = history.content(tx, self._rooms.vault, row.id)
            touched = [Identity(r.type, r.resource_id) for r in contents.of_record(tx, row.id)]
            make = self._provenance_of(kept["document"])
            self._rooms.outbox.put(
                tx,
                destination=name,
                owner=owner,
                touched=touched,
                shield=NOTHING_HELD,
                make_provenance=make,
            )


def _unsound(made: Translation) -> Iterator[Problem]:
    """Say what R4 does not allow in what was made: a mistake in a mapping that no check foresaw."""
    for one in made.resources:
        for message in validate.problems(one.body):
            yield Problem(
                code=NOT_R4,
                mapping=one.mapping,
                line="",
                source=one.row,
                message=f"{one.type}: {message}",
            )


def _parts_read(resource: TranslatedResource) -> set[str]:
    """Return the record's parts that a resource was made from: `plan` of `plan.phases[0].start`."""
    return {re.split(r"[.\[]", path)[0] for why in resource.why for path in why.sources}
