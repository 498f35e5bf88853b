"""What callers of the API ask for: who they are, lists by the page, an action done once."""

from collections.abc import Callable, Collection
from typing import Any

from fhirbridge.access import tokens
from fhirbridge.access.tokens import Principal, Role, Room
from fhirbridge.audit.log import Action
from fhirbridge.bulking import Bulking
from fhirbridge.deliver import stopping
from fhirbridge.house import Parts
from fhirbridge.intake.once import Answer, Message, Once
from fhirbridge.outbox import stuck
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.outbox.selection import Selection
from fhirbridge.outbox.states import State
from fhirbridge.overview import lists
from fhirbridge.overview.lists import NotWaitingError, Page, Sought
from fhirbridge.store.errors import StoreBusyError
from fhirbridge.translate import identity


class Calling(Bulking):
    """Everything about callers of the API that a door may ask for."""

    def __init__(self, parts: Parts) -> None:
        """Build the rooms; nobody called yet."""
        super().__init__(parts)
        self._uses = tokens.Uses()

    # --- access -------------------------------------------------------------------------------

    def make_token(
        self,
        *,
        name: str,
        role: Role,
        actor: str,
        rooms: Collection[Room] = (),
        days: int | None = None,
        facade: str = "",
    ) -> str:
        """Make an API token; its secret is returned once. A reader's names its facade.

        Raises TokenNameError, TokenLifetimeError or TokenFacadeError.
        """
        with self._store.begin() as tx:
            if facade:
                self._check_is_facade(tx, facade)
            secret = tokens.make(
                tx,
                self._parts.rng,
                name=name,
                role=role,
                now=self.clock.now(),
                rooms=rooms,
                days=days,
                facade=facade,
            )
            detail = {"name": name, "role": role.value, "rooms": sorted(rooms), "facade": facade}
            self._note(tx, actor, Action.TOKEN_MADE, detail=detail)
            return secret

    def revoke_token(self, name: str, *, actor: str) -> int:
        """Revoke every live token of this name."""
        with self._store.begin() as tx:
            count = tokens.revoke(tx, name, now=self.clock.now())
            self._note(tx, actor, Action.TOKEN_REVOKED, detail={"name": name})
            return count

    def list_tokens(self) -> list[dict[str, str]]:
        """Return all tokens without their secrets."""
        with self._store.read() as tx:
            return tokens.every(tx)

    def authenticate(self, secret: str) -> Principal | None:
        """Return who holds this secret, or None. That it was used is stored once an hour."""
        now = self.clock.now()
        with self._store.read() as tx:
            known = tokens.check(tx, secret, now=now)
        if known is not None and self._uses.is_to_note(known, now):
            try:
                with self._store.begin() as tx:
                    tokens.note_use(tx, known.id, now=now)
            except StoreBusyError:
                pass  # whoever only reads is let in while nothing can be written
        return known

    def refused(self, *, actor: str, reason: str, route: str) -> None:
        """Note that somebody was turned away."""
        with self._store.begin() as tx:
            detail = {"reason": reason, "route": route}
            self._note(tx, actor, Action.ACCESS_REFUSED, outcome="refused", detail=detail)

    # --- lists --------------------------------------------------------------------------------

    def list_records(self, sought: Sought) -> Page:
        """Return record versions, the last received first. Raises CursorError, NoSuchThingError."""
        with self._store.read() as tx:
            return lists.records(tx, sought)

    def list_deliveries(self, sought: Sought) -> Page:
        """Return deliveries, the last made first. Raises CursorError, NoSuchThingError."""
        with self._store.read() as tx:
            return lists.deliveries(tx, sought)

    def list_destinations(self, sought: Sought) -> Page:
        """Return how things stand for each destination, by name. Raises CursorError."""
        with self._store.read() as tx:
            return lists.destinations(tx, sought, self.clock.now())

    def delivery(self, delivery_id: str) -> dict[str, Any]:
        """Return one delivery and what became of each resource. Raises NoSuchThingError."""
        with self._store.read() as tx:
            return lists.one_delivery(tx, delivery_id)

    def how_stands(self, destination: str) -> dict[str, Any]:
        """Return how things stand for one destination. Raises NoSuchThingError."""
        with self._store.read() as tx:
            return lists.one_destination(tx, destination, self.clock.now())

    def session_named(self, session_id: str) -> str:
        """Return our opaque name of the session that the clinic calls so."""
        return identity.opaque(self._parts.site, "session", session_id)

    # --- an operator's actions, once under their key ------------------------------------------

    def put_back_one(
        self, delivery_id: str, state: State, *, message: Message | None, actor: str
    ) -> Answer:
        """Put one held or parked delivery back in line; return it.

        Raises NoSuchThingError, NotWaitingError, or OtherBodyError, which is noted.
        """

        def work(tx: Any) -> Answer:
            lists.one_delivery(tx, delivery_id)
            found = stuck.find(tx, Selection(delivery_id=delivery_id), (state,))
            if not found:
                raise NotWaitingError(
                    f"the delivery is not {state}, or waits for something else than this",
                    hint="GET shows its state and reason",
                )
            stuck.put_back(tx, self._settlement, [row.id for row in found], actor=actor)
            return lists.one_delivery(tx, delivery_id)

        return self._act(message, work, actor)

    def pause_one(self, destination: str, *, message: Message | None, actor: str) -> Answer:
        """Begin no new request to a destination; return how things stand for it.

        Raises NoSuchThingError, or OtherBodyError, which is noted.
        """

        def work(tx: Any) -> Answer:
            lists.one_destination(tx, destination, self.clock.now())
            what = Stopped(destination, ANY)
            stopping.pause(tx, self._audit, what, at=self.clock.now(), actor=actor)
            return lists.one_destination(tx, destination, self.clock.now())

        return self._act(message, work, actor)

    def resume_one(self, destination: str, *, message: Message | None, actor: str) -> Answer:
        """Let a destination go on; return how things stand for it. What a probe stopped stays so.

        Raises NoSuchThingError, or OtherBodyError, which is noted.
        """

        def work(tx: Any) -> Answer:
            lists.one_destination(tx, destination, self.clock.now())
            what = Stopped(destination, ANY)
            if stopping.resume(tx, self._audit, what, actor=actor).changed:
                self._parts.waking.wake(tx, destination, ANY)
            return lists.one_destination(tx, destination, self.clock.now())

        return self._act(message, work, actor)

    def _act(self, message: Message | None, work: Callable[[Any], Answer], actor: str) -> Answer:
        """Do it in one commit; under a key once, and answer a repeat as the first time."""

        def do() -> Answer:
            with self._store.begin() as tx:
                if message is None:
                    return work(tx)
                return Once(self._intake_rooms(), message).within(tx, lambda: work(tx))

        return do() if message is None else self._once(message, actor, do)
