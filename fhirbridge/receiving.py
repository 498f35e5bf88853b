"""What other systems send: signed messages, and EHRs' notifications; who may, what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhirbridge.access import signature, sources
from fhirbridge.access.skew import Skew
from fhirbridge.access.sources import Source, Sources
from fhirbridge.audit.log import Action
from fhirbridge.connecting import Connecting
from fhirbridge.house import Parts
from fhirbridge.intake import stock
from fhirbridge.intake.accept import Receipt
from fhirbridge.intake.once import Answer, Message, Once, OtherBodyError
from fhirbridge.intake.receive import Caller, Messages
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.subscriptions.desk import Subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """An EHR that calls us: the name of its destination."""

    name: str


class Receiving(Connecting):
    """Everything about messages that a door may ask for."""

    def __init__(self, parts: Parts) -> None:
        """Build the rooms; nothing came yet."""
        super().__init__(parts)
        self._skew = Skew()

    # --- messages -----------------------------------------------------------------------------

    def accept_once(
        self,
        message: Message,
        shape: Callable[[Receipt], Answer],
        *,
        actor: str,
    ) -> Answer:
        """Take in the record of a message, and answer a repeat as the first one.

        Raises OtherBodyError, which is noted, and what `accept` raises.
        """
        return self._once(
            message,
            actor,
            lambda: self._intake.accept_once(message.body, message, shape, actor=actor),
        )

    def accept_stock_once(
        self,
        message: Message,
        shape: Callable[[StockReceipt], Answer],
        *,
        actor: str,
    ) -> Answer:
        """Take in the stock document of a message, in the same way."""
        return self._once(
            message,
            actor,
            lambda: stock.accept_once(
                self._intake_rooms(), message.body, message, shape, actor=actor
            ),
        )

    def receive(self, message: Message, *, by_lines: bool, actor: str) -> Answer:
        """Take in a message: a record, an event, or many. Raises what is wrong with a single one.

        Returns {"items", "accepted", "refused"}.
        """
        return self._messages.whole(message, Caller(actor), by_lines=by_lines)

    def take_item(self, raw: bytes, *, actor: str, message: Message | None = None) -> Answer:
        """Take in one record or stock document of a backlog; a refusal is an answer, too."""
        return self._messages.one(raw, Caller(actor, backfill=True), message)

    @property
    def _messages(self) -> Messages:
        return Messages(self._intake_rooms(), self._intake)

    def _once(self, message: Message, actor: str, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except OtherBodyError:
            Once(self._intake_rooms(), message).note_conflict(actor)
            raise

    # --- who may send them --------------------------------------------------------------------

    def add_source(self, name: str, secret: str | None, *, actor: str) -> str:
        """Let a system send signed messages; return its secret, ours unless one was given.

        Raises SourceError.
        """
        with self._store.begin() as tx:
            made = self._sources.add(tx, name, secret, now=self.clock.now())
            self._note(tx, actor, Action.SOURCE_ADDED, detail={"name": name})
            return made

    def rotate_source(self, name: str, secret: str | None, *, actor: str) -> str:
        """Give a source another secret; the one before it is good for a day more.

        Raises NoSuchSourceError or SourceError.
        """
        with self._store.begin() as tx:
            made = self._sources.rotate(tx, name, secret, now=self.clock.now())
            self._note(tx, actor, Action.SOURCE_ROTATED, detail={"name": name})
            return made

    def revoke_source(self, name: str, *, actor: str) -> None:
        """Refuse a source at once and for good. Raises NoSuchSourceError."""
        with self._store.begin() as tx:
            self._sources.revoke(tx, name, now=self.clock.now())
            self._note(tx, actor, Action.SOURCE_REVOKED, detail={"name": name})

    def sources(self) -> list[dict[str, Any]]:
        """Return all sources and until when their secrets are good; no secret."""
        with self._store.read() as tx:
            return self._sources.every(tx)

    def verify(self, head: signature.Head, body: bytes) -> Source:
        """Return who signed a message just now. Raises NotSignedError or NotFreshError.

        Many that are well signed and all off by as much are noted: a clock is wrong.
        """
        now = self.clock.now()
        with self._store.read() as tx:
            source = self._sources.verify(tx, head, body, now=now)
        late = signature.late_by(head, now)
        if abs(late) > signature.TOLERANCE:
            agreed = self._skew.note(source.id, head.id, late, now)
            if agreed is not None:
                self._note_skew(source, agreed)
            raise signature.not_fresh()
        return source

    def _note_skew(self, source: Source, seconds: int) -> None:
        now = self.clock.now()
        with self._store.read() as tx:
            is_noted = sources.skew_is_noted(tx, source, now=now)
        if not is_noted:
            with self._store.begin() as tx:
                sources.note_skew(tx, source, seconds, now=now)

    # --- what EHRs tell -----------------------------------------------------------------------

    @property
    def subscriptions(self) -> Subscriptions:
        """Return the desk at which EHRs are asked to tell when something changed."""
        return Subscriptions(
            store=self._store,
            clock=self.clock,
            rng=self._parts.rng,
            vault=self._parts.vault,
            audit=self._audit,
            ehr_for=self._parts.ehr_for,
        )

    def notifier(self, token: str, secret: str) -> Notifier | None:
        """Return which EHR calls by this token and secret, or None."""
        found = self.subscriptions.caller(token, secret)
        return Notifier(name=found) if found else None

    @property
    def _sources(self) -> Sources:
        return Sources(self._parts.vault, self._parts.rng)
