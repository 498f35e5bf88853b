"""Each message is taken in once: its id, its body and the answer are kept for ever.

Nobody knows how late a sender repeats himself. Of id and body only keyed digests are kept. What was
refused has no final answer: the same message again is judged again, by a program that may know
more.
"""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, select

from fhirbridge.audit.log import Action, Entry
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.intake.rooms import Rooms
from fhirbridge.store import moment
from fhirbridge.store.hook_tables import message as table
from fhirbridge.store.upsert import insert

Answer = dict[str, Any]


class OtherBodyError(BridgeError):
    """The id was used before, for another body."""

    code = "E240"
    http_status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What came: its id is one within its scope, such as a sender, or a client and a route."""

    scope: str
    id: str
    body: bytes


class Once:
    """One message, and what was answered to it. Each method is part of the caller's transaction."""

    def __init__(self, rooms: Rooms, message: Message) -> None:
        self._rooms = rooms
        self._scope = message.scope
        parts = (message.scope, message.id)
        # With their lengths, so that no two pairs read alike.
        self._key = rooms.vault.digest("".join(f"{len(part)}:{part}" for part in parts))
        self._body = rooms.vault.digest(hashlib.sha256(message.body).hexdigest())

    def is_known(self, tx: Connection) -> bool:
        """Say whether it came before. Raises OtherBodyError."""
        return self._row(tx) is not None

    def answer(self, tx: Connection) -> Answer | None:
        """Return what was answered for good, or None. Raises OtherBodyError."""
        row = self._row(tx)
        if row is None or row.answer is None:
            return None
        found: Answer = codec.decode_own(zlib.decompress(row.answer))
        return found

    def claim(self, tx: Connection) -> None:
        """Keep that it came; another body under its id is refused from now on."""
        tx.execute(insert(table).values(self._values(None)).on_conflict_do_nothing())

    def finish(self, tx: Connection, answer: Answer) -> Answer:
        """Keep the answer for good, and return it."""
        row = insert(table).values(self._values(zlib.compress(codec.encode(answer))))
        final = row.on_conflict_do_update(
            index_elements=["key"], set_={"answer": row.excluded.answer}
        )
        tx.execute(final)
        return answer

    def within(self, tx: Connection, work: Callable[[], Answer]) -> Answer:
        """Return what was answered before, or do the work and keep its answer."""
        return self.answer(tx) or self.finish(tx, work())

    def note_conflict(self, actor: str) -> None:
        """Note in a commit of its own that the id came with another body."""
        entry = Entry(
            actor=actor,
            action=Action.MESSAGE_CONFLICT,
            outcome="refused",
            detail={"scope": self._scope, "code": OtherBodyError.code},
        )
        with self._rooms.store.begin() as tx:
            self._rooms.audit.append(tx, entry)

    def _row(self, tx: Connection) -> Any:
        row = tx.execute(select(table).where(table.c.key == self._key)).one_or_none()
        if row is not None and row.body != self._body:
            raise OtherBodyError(
                "this id was used before, for another body; nothing was stored",
                hint="repeat a message with the bytes that it had, and give a new one a new id",
            )
        return row

    def _values(self, answer: bytes | None) -> dict[str, Any]:
        at = moment.to_text(self._rooms.clock.now())
        return {"key": self._key, "body": self._body, "at": at, "answer": answer}
