"""From one stored record version to what each destination is owed of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection

from fhirbridge.destinations import registry
from fhirbridge.fhir import validate
from fhirbridge.intake.rooms import Rooms
from fhirbridge.outbox import contents, stuck
from fhirbridge.outbox.contents import CONTENT, INCOMPLETE, Identity, Owner
from fhirbridge.outbox.enqueue import NOTHING_HELD, MakeProvenance, Owed, Shield
from fhirbridge.records import history
from fhirbridge.records.findings import Level
from fhirbridge.translate import engine
from fhirbridge.translate.engine import NotTranslatedError
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import Problem, TranslatedResource, Translation

IN_ERROR = "entered-in-error"
NOT_R4 = "E420"


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
    """Translates with one mapping set, keeps what was made, and owes it."""

    def __init__(self, rooms: Rooms, mappings: MappingSet) -> None:
        self._rooms = rooms
        self.mappings = mappings

    def translate(self, document: dict[str, Any]) -> Translation:
        """Translate a record; what R4 does not allow counts as not translated."""
        if document.get("status") == IN_ERROR:
            return Translation(
                resources=(), problems=(), set_digest=self.mappings.digest, unmapped=(), empty=()
            )
        made = engine.translate(document, mapping_set=self.mappings, site=self._rooms.site)
        return replace(made, problems=(*made.problems, *_unsound(made), *self._unproven(document)))

    def _unproven(self, document: dict[str, Any]) -> tuple[Problem, ...]:
        """Say why no Provenance could be made: a delivery that finds out would lose the record."""
        try:
            self.provenance_of(document)(["Patient/a"], "a", document["recorded_at"])
        except NotTranslatedError as error:
            return error.problems
        return ()

    def owe(
        self,
        tx: Connection,
        row: RecordRow,
        document: dict[str, Any],
        made: Translation,
        held: Sequence[Held],
    ) -> tuple[Owed, ...]:
        """Keep what was made and owe every destination what changed; of a held one nothing."""
        owner = Owner(
            record_id=row.id, patient_key=row.patient_key, set_digest=self.mappings.digest
        )
        names = [one.name for one in registry.every(tx)]
        if made.problems:
            put = partial(self._rooms.outbox.put_held, tx, owner=owner, reason=stuck.TRANSLATION)
            return tuple(put(destination=name) for name in names)
        before = contents.of_session(tx, row.session_key)
        shield = self._shield(made, before, held)
        self._keep(tx, owner, made, shield)
        identities = [Identity(one.type, one.id) for one in made.resources]
        earlier = [Identity(one.type, one.resource_id) for one in before]
        put = partial(
            self._rooms.outbox.put,
            tx,
            owner=owner,
            touched=list(dict.fromkeys([*identities, *earlier])),
            shield=shield,
            make_provenance=self.provenance_of(self._whole(tx, row, document)),
        )
        renew = partial(
            stuck.replace_refused, tx, self._rooms.settlement, session_key=row.session_key
        )
        return tuple(put(destination=name, renew=renew(destination=name)) for name in names)

    def owe_one(self, tx: Connection, row: RecordRow, document: dict[str, Any], name: str) -> None:
        """Owe a new destination what a record version, kept before, contributes."""
        owner = Owner(record_id=row.id, patient_key=row.patient_key, set_digest=row.set_digest)
        touched = [Identity(r.type, r.resource_id) for r in contents.of_record(tx, row.id)]
        self._rooms.outbox.put(
            tx,
            destination=name,
            owner=owner,
            touched=touched,
            shield=NOTHING_HELD,
            make_provenance=self.provenance_of(document),
        )

    def provenance_of(self, document: dict[str, Any]) -> MakeProvenance:
        """Return what makes the Provenance of a delivery of this record."""

        def make(targets: Sequence[str], delivery: str, recorded: str) -> TranslatedResource:
            return engine.provenance(
                document,
                mapping_set=self.mappings,
                site=self._rooms.site,
                targets=targets,
                delivery=delivery,
                recorded=recorded,
            )

        return make

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
        here = {Identity(one.type, one.id) for one in made.resources}
        wide |= {Identity(r.type, r.resource_id) for r in before if not r.row} - here
        rows = self._rooms.contents.row_names(one.row for one in held)
        return Shield(rows=rows, identities=frozenset(wide))


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
    """Return the parts that a resource was made from: `plan` of `plan.phases[0].start`."""
    return {re.split(r"[.\[]", path)[0] for why in resource.why for path in why.sources}
