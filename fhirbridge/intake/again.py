"""What was taken in before: translated again with mended mappings, owed to a new destination."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry
from fhirbridge.destinations import registry
from fhirbridge.intake.owing import Owing, held_in
from fhirbridge.intake.rooms import Rooms
from fhirbridge.intake.translating import Translations
from fhirbridge.outbox import contents, stuck
from fhirbridge.outbox.contents import Identity, Owner
from fhirbridge.outbox.enqueue import Owed
from fhirbridge.outbox.states import State
from fhirbridge.records import history

ACTOR = "sync"


def translate_held(tx: Connection, rooms: Rooms, owing: Owing) -> int:
    """Try what another mapping set could not translate; return how many went through."""
    digest = owing.translator.digest
    also = stuck.waiting_for_other_mappings(tx, digest)
    rows = history.held_for_translation(tx, digest, also=tuple(also))
    return sum(_translate_again(tx, rooms, owing, row, also.get(row.id, ())) for row in rows)


def _translate_again(
    tx: Connection, rooms: Rooms, owing: Owing, row: Any, waiting: Sequence[str]
) -> bool:
    """Translate one version again; of one that failed in an overlay only, for who waits for it."""
    kept = history.content(tx, rooms.vault, row.id)
    made = owing.translations(kept["document"])
    whole = row.translation == "held"
    if whole:
        _note_outcome(tx, rooms, row, kept, made)
    only = None if whole else waiting
    stuck.supersede(tx, rooms.settlement, row.id, reason=stuck.TRANSLATION, actor=ACTOR, only=only)
    owed = owing.owe(tx, row, made, held_in(kept["findings"]), only=only)
    return _note_translated(tx, rooms, row, made, owed, actor=ACTOR)


def translate_anew(tx: Connection, rooms: Rooms, owing: Owing, row: Any, *, actor: str) -> bool:
    """Translate a version that was translated before; where that fails, it stays as it was."""
    kept = history.content(tx, rooms.vault, row.id)
    made = owing.translations(kept["document"])
    if made.base.problems:
        _note_translated(tx, rooms, row, made, (), actor=actor)
        return False
    _note_outcome(tx, rooms, row, kept, made)
    owed = owing.owe(tx, row, made, held_in(kept["findings"]), actor=actor)
    return _note_translated(tx, rooms, row, made, owed, actor=actor)


def translate_lifted(tx: Connection, rooms: Rooms, owing: Owing, row: Any, *, actor: str) -> bool:
    """Owe a version once more that was taken back from its patient's chart and may go again."""
    kept = history.content(tx, rooms.vault, row.id)
    made = owing.translations(kept["document"])
    _note_outcome(tx, rooms, row, kept, made)
    owed = owing.owe(tx, row, made, held_in(kept["findings"]), actor=actor)
    return _note_translated(tx, rooms, row, made, owed, actor=actor)


def _note_translated(
    tx: Connection,
    rooms: Rooms,
    row: Any,
    made: Translations,
    owed: Sequence[Owed],
    *,
    actor: str,
) -> bool:
    good = not any(one.state is State.HELD for one in owed) and not made.base.problems
    entry = Entry(
        actor=actor,
        action=Action.RECORD_TRANSLATED,
        outcome="done" if good else "held",
        record_id=row.id,
        detail={
            "set_digest": made.translator.digest,
            "changes": sum(len(one.changes) for one in owed),
            "deliveries": [one.delivery_id for one in owed],
        },
    )
    rooms.audit.append(tx, entry)
    return good


def _note_outcome(
    tx: Connection, rooms: Rooms, row: Any, kept: dict[str, Any], made: Translations
) -> None:
    base = made.base
    kept["problems"] = [asdict(problem) for problem in base.problems]
    history.replace_content(
        tx,
        rooms.vault,
        row.id,
        translation="held" if base.problems else "done",
        set_digest=base.set_digest,
        subject=next((r.id for r in base.resources if r.type == "Patient"), row.subject),
        content=kept,
    )


def owe_types(tx: Connection, rooms: Rooms, owing: Owing, name: str, types: Collection[str]) -> int:
    """Owe a destination what it has not of these types, of every current record; count it."""
    where = registry.get(tx, name)
    owed: set[Identity] = set()
    for row in history.current_versions(tx):
        if row.retracted or row.translation == "held":
            continue
        made = [
            Identity(one.type, one.resource_id)
            for one in contents.of_record(tx, row.id, where.overlay)
            if one.type in types
        ]
        lacking = [one for one in made if one not in owed and not contents.is_held(tx, name, one)]
        if lacking:
            document = history.content(tx, rooms.vault, row.id)["document"]
            owing.owe_lacking(tx, row, document, where, lacking)
            owed.update(lacking)
    return len(owed)


def owe_backlog(tx: Connection, rooms: Rooms, owing: Owing, name: str) -> None:
    """Owe a new destination every current record, in the order in which they came."""
    new = registry.get(tx, name)
    for row in history.current_versions(tx):
        if row.retracted:
            continue
        document = history.content(tx, rooms.vault, row.id)["document"]
        if row.translation == "held":
            owner = Owner(record_id=row.id, patient_key=row.patient_key, set_digest=row.set_digest)
            rooms.outbox.put_held(
                tx,
                destination=name,
                owner=owner,
                reason=stuck.TRANSLATION,
                haste=owing.haste(document, low=True),
            )
            continue
        owing.owe_one(tx, row, document, new)
