"""Messages of other systems: one record, one event, or many of them, each taken in once."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple

from sqlalchemy import Connection

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.intake import refused, stock
from fhirbridge.intake.accept import Intake, Receipt
from fhirbridge.intake.events import Hearing, NotKnownYetError, SamePatientError
from fhirbridge.intake.once import Answer, Message, Once, OtherBodyError
from fhirbridge.intake.owing import Owing
from fhirbridge.intake.rooms import Rooms
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.records import events
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.events import Event
from fhirbridge.records.findings import shown
from fhirbridge.records.parts.stock import STOCK_NAME

TAKEN = 202
FAULTS = 500  # and more: nothing is known to be wrong with what was sent
SESSION, STOCK = "session", "stock"
MOST_ITEMS = 1000


class Caller(NamedTuple):
    """Who sends, and whether it is a backlog, which goes after all that is live."""

    actor: str
    backfill: bool = False


class TooManyError(BridgeError):
    """A batch has more items than one answer can tell of."""

    code = "E243"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Messages:
    """Takes messages in."""

    def __init__(self, rooms: Rooms, intake: Intake) -> None:
        self._rooms = rooms
        self._intake = intake

    def whole(self, message: Message, caller: Caller, *, by_lines: bool) -> Answer:
        """Take in a message: one item, or (a JSON array, or a line each) many, each for itself.

        Returns {"items", "accepted", "refused"}, an item as `one` returns it. Raises what is wrong
        with a single one, and OtherBodyError.
        """
        once = Once(self._rooms, message)
        try:
            with self._rooms.store.read() as tx:
                known = once.answer(tx)
            return _shown(known or self._new(message, once, caller, by_lines=by_lines))
        except OtherBodyError:
            once.note_conflict(caller.actor)
            raise

    def one(self, raw: bytes, caller: Caller, message: Message | None = None) -> Answer:
        """Take in one record or stock document, and of a message also an event.

        Returns what became of it: `status`, `form`, `id`, `version`, `state`, `translation`,
        `code`, `detail`, `hint`, `findings`. A refusal is such an item, too. Raises what is no
        fault of the sender: StoreError, NoRoomError, NotLiveError.
        """
        try:
            return self._taken(raw, caller, message)
        except BridgeError as error:
            if error.http_status >= FAULTS:
                raise
            return _refusal(error)

    def _new(self, message: Message, once: Once, caller: Caller, *, by_lines: bool) -> Answer:
        try:
            rows = _rows(message.body, by_lines=by_lines)
        except (codec.NotJsonError, TooManyError) as error:
            self._put_aside(message.body, error, caller, message)
            raise
        if rows is None:
            return self._taken(message.body, caller, message)
        with self._rooms.store.begin() as tx:
            once.claim(tx)
            known = once.answer(tx)
        if known:
            return known
        items = [
            self.one(raw, caller, _part_of(message, number, raw)) for number, raw in enumerate(rows)
        ]
        answer = _whole(items)
        _refuse_what_is_early(items)
        if answer["refused"]:
            return answer
        with self._rooms.store.begin() as tx:
            return once.within(tx, lambda: answer)

    def _taken(self, raw: bytes, caller: Caller, message: Message | None) -> Answer:
        try:
            sent = codec.decode(raw)
        except codec.NotJsonError as error:
            self._put_aside(raw, error, caller, message)
            raise
        if message is not None and events.is_event(sent):
            return self._event(raw, sent, caller, message)
        if isinstance(sent, dict) and sent.get("schema") == STOCK_NAME:
            return self._stock(raw, caller, message)
        return self._record(raw, caller, message)

    def _record(
        self, raw: bytes, caller: Caller, message: Message | None, form: str = SESSION
    ) -> Answer:
        def shape(receipt: Receipt) -> Answer:
            return _item(form, receipt, translation=receipt.translation)

        actor, backfill = caller
        if message is None:
            return shape(self._intake.accept(raw, actor=actor, backfill=backfill))
        return self._intake.accept_once(raw, message, shape, actor=actor, backfill=backfill)

    def _stock(self, raw: bytes, caller: Caller, message: Message | None) -> Answer:
        def shape(receipt: StockReceipt) -> Answer:
            return _item(STOCK, receipt, translation="")

        if message is None:
            return shape(stock.accept(self._rooms, raw, actor=caller.actor))
        return stock.accept_once(self._rooms, raw, message, shape, actor=caller.actor)

    def _event(self, raw: bytes, sent: dict[str, Any], caller: Caller, message: Message) -> Answer:
        try:
            event = events.read(sent)
            if event.is_record:
                return self._record(codec.encode(event.data), caller, message, event.type)
            return self._hear(event, caller, message)
        except (InvalidRecordError, NotKnownYetError, SamePatientError) as error:
            self._put_aside(raw, error, caller, message)
            raise

    def _hear(self, event: Event, caller: Caller, message: Message) -> Answer:
        once = Once(self._rooms, message)

        def hear(tx: Connection, owing: Owing) -> Answer:
            def done() -> Answer:
                state = Hearing(tx, self._rooms, owing, caller.actor).hear(event)
                return {**NOTHING, "status": TAKEN, "form": event.type.value, "state": state}

            return once.within(tx, done)

        self._rooms.disk.check()
        return self._intake.hear(hear)

    def _put_aside(
        self, raw: bytes, error: BridgeError, caller: Caller, message: Message | None
    ) -> None:
        once = Once(self._rooms, message) if message else None
        refused.put_aside(self._rooms, raw, error, actor=caller.actor, once=once)


NOTHING: Answer = {
    "id": "",
    "version": 0,
    "translation": "",
    "code": "",
    "detail": "",
    "hint": "",
    "findings": [],
}


def _item(form: str, receipt: Receipt | StockReceipt, *, translation: str) -> Answer:
    return {
        **NOTHING,
        "status": TAKEN,
        "form": str(form),
        "id": receipt.id,
        "version": receipt.version,
        "state": receipt.state,
        "translation": translation,
        "findings": [shown(one) for one in receipt.findings],
    }


def _refusal(error: BridgeError) -> Answer:
    findings = error.findings if isinstance(error, InvalidRecordError) else ()
    return {
        **NOTHING,
        "status": int(error.http_status),
        "form": "",
        "state": "refused",
        "code": error.code,
        "detail": error.message,
        "hint": error.hint,
        "findings": [shown(one) for one in findings],
    }


def _whole(items: list[Answer]) -> Answer:
    accepted = sum(one["status"] == TAKEN for one in items)
    return {"items": items, "accepted": accepted, "refused": len(items) - accepted}


def _shown(answer: Answer) -> Answer:
    """Show what was kept of a message: of a single one that is its item."""
    return answer if "items" in answer else _whole([answer])


def _refuse_what_is_early(items: Sequence[Answer]) -> None:
    """Refuse a batch in which an event came before its record: whoever is told 202 never repeats.

    What was taken in of it stays, and is found again when it is repeated.
    """
    for number, item in enumerate(items, start=1):
        if item["code"] == NotKnownYetError.code:
            raise NotKnownYetError(f"item {number}: {item['detail']}", hint=item["hint"])


def _part_of(message: Message, number: int, raw: bytes) -> Message:
    """Name one item of a batch: what was done of it before a crash is found again."""
    return replace(message, scope=f"{message.scope} item", id=f"{number} {message.id}", body=raw)


def _rows(body: bytes, *, by_lines: bool) -> list[bytes] | None:
    """Return the items of a batch, or None where it is a single one. Raises NotJsonError."""
    if by_lines:
        rows = [line for line in body.splitlines() if line.strip()]
    elif body.lstrip()[:1] == b"[":
        rows = [codec.encode(one) for one in codec.decode(body)]
    else:
        return None
    if len(rows) > MOST_ITEMS:
        raise TooManyError(
            f"a batch has at most {MOST_ITEMS} items; nothing was stored",
            hint="send it in parts, each under an id of its own",
        )
    return rows
