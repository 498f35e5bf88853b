"""What was taken in before: translated again with mended mappings, owed to a new destination."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry
from fhirbridge.intake.owing import Owing, held_in
from fhirbridge.intake.rooms import Rooms
from fhirbridge.outbox import stuck
from fhirbridge.outbox.contents import Owner
from fhirbridge.records import history

ACTOR = "sync"


def translate_held(tx: Connection, rooms: Rooms, owing: Owing) -> int:
    """Try what another mapping set could not translate; return how many went through."""
    rows = history.held_for_translation(tx, owing.mappings.digest)
    return sum(_translate_again(tx, rooms, owing, row) for row in rows)


def _translate_again(tx: Connection, rooms: Rooms, owing: Owing, row: Any) -> bool:
    kept = history.content(tx, rooms.vault, row.id)
    made = owing.translate(kept["document"])
    kept["problems"] = [asdict(problem) for problem in made.problems]
    outcome = "held" if made.problems else "done"
    history.replace_content(
        tx,
        rooms.vault,
        row.id,
        translation=outcome,
        set_digest=made.set_digest,
        subject=next((r.id for r in made.resources if r.type == "Patient"), row.subject),
        content=kept,
    )
    stuck.supersede(tx, rooms.settlement, row.id, reason=stuck.TRANSLATION, actor=ACTOR)
    owed = owing.owe(tx, row, kept["document"], made, held_in(kept["findings"]))
    entry = Entry(
        actor=ACTOR,
        action=Action.RECORD_TRANSLATED,
        outcome=outcome,
        record_id=row.id,
        detail={
            "set_digest": made.set_digest,
            "changes": sum(len(one.changes) for one in owed),
            "deliveries": [one.delivery_id for one in owed],
        },
    )
    rooms.audit.append(tx, entry)
    return not made.problems


def owe_backlog(tx: Connection, rooms: Rooms, owing: Owing, name: str) -> None:
    """Owe a new destination every current record, in the order in which they came."""
    for row in history.current_versions(tx):
        if row.translation == "held":
            owner = Owner(record_id=row.id, patient_key=row.patient_key, set_digest=row.set_digest)
            rooms.outbox.put_held(tx, destination=name, owner=owner, reason=stuck.TRANSLATION)
            continue
        document = history.content(tx, rooms.vault, row.id)["document"]
        owing.owe_one(tx, row, document, name)
