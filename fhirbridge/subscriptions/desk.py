"""What a person, a door or the watch may ask of notifications."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import ledger
from fhirbridge.destinations import addresses, registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.ehr.rest import Ehr, is_loopback
from fhirbridge.fhir.validate import is_type
from fhirbridge.rng import Rng
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault
from fhirbridge.subscriptions import book, keep, notification
from fhirbridge.subscriptions.book import Book
from fhirbridge.subscriptions.wanted import State

WATCH = "watch"  # as an actor
WRONG_EACH = timedelta(minutes=10)  # an EHR that refuses is not asked every minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """Asks EHRs to call us, sees that they can, and notes when they do."""

    store: Store
    clock: Clock
    rng: Rng
    vault: Vault
    audit: EvidenceLog
    ehr_for: Callable[[Destination], Ehr]

    def ask_for(
        self, name: str, address: str, types: Sequence[str] = (), *, actor: str
    ) -> dict[str, Any]:
        """Let a destination call us at `address`, by new secrets; return how that stands.

        `types` (): all that it has of ours, now and later. Raises DestinationError. `said` tells
        that the EHR refuses, or does not answer: it is asked again.
        """
        where = _checked(address)
        wrong = [one for one in types if not is_type(one)]
        if wrong:
            raise DestinationError("one of the types is no resource type of R4")
        with self.store.begin() as tx:
            if registry.get(tx, name).mode is Mode.UNPROVEN:
                raise DestinationError(
                    f"{name} is not proven: nothing is written there",
                    hint=f"fhirbridge destination probe {name}",
                )
            self._book.ask_for(tx, name, where, types, now=self.clock.now())
            detail = {"types": sorted(types)}
            self._note(tx, actor, Action.SUBSCRIPTION_ASKED, name, detail=detail)
        self.check(name, actor=actor)
        return self.shown(name)

    def check(self, name: str, *, actor: str = WATCH) -> None:
        """See to it that our Subscriptions are at a destination that is to call us."""
        now = self.clock.now()
        with self.store.read() as tx:
            kept = self._book.find(tx, name)
            if kept is None:
                return
            known, types = registry.get(tx, name), kept.types or ledger.kinds(tx, name)
        checked = kept.checked_at if kept.state is State.ERROR else None
        if checked is not None and timedelta() <= now - checked < WRONG_EACH:
            return
        found = keep.keep(self.ehr_for(known), kept, types, now)
        with self.store.begin() as tx:
            book.note_check(tx, kept, found, now=now)
            if found.written or found.removed:
                detail = {"written": sorted(found.written), "removed": found.removed}
                self._note(tx, actor, Action.SUBSCRIPTION_KEPT, name, detail=detail)

    def end(self, name: str, *, actor: str) -> int:
        """Refuse a destination's calls from now on, and remove our Subscriptions there.

        Returns how many there were. Raises DestinationError, or NotSubscribedError where some may
        be left there: then call it again.
        """
        with self.store.begin() as tx:
            known = registry.get(tx, name)
            kept = self._book.find(tx, name)
            self._book.forget(tx, name, now=self.clock.now())
            self._note(tx, actor, Action.SUBSCRIPTION_ENDED, name, outcome="begun")
        wanted = self._book.mark(name) if kept is None else kept.wanted
        ids = [] if kept is None else list(kept.ids.values())
        removed = keep.end(self.ehr_for(known), wanted, ids)
        with self.store.begin() as tx:
            detail = {"removed": removed}
            self._note(tx, actor, Action.SUBSCRIPTION_ENDED, name, detail=detail)
        return removed

    def change_secrets(self, tx: Connection) -> int:
        """Let no EHR call us by what it was told; each is told anew at its next look."""
        return self._book.change_secrets(tx, now=self.clock.now())

    def caller(self, token: str, secret: str) -> str:
        """Return which destination calls by this token and secret, or ""."""
        with self.store.read() as tx:
            return book.known(tx, token, secret)

    def notified(self, name: str, raw: bytes) -> None:
        """Take a notification as a hint that something may have changed; keep nothing of it."""
        told, now = notification.read(raw), self.clock.now()
        with self.store.read() as tx:
            is_news = book.is_news(tx, name, told, now=now)
        if is_news:
            self.store.commit(lambda tx: book.note(tx, name, told, now=now))

    def due(self) -> list[str]:
        """Return the destinations at which to look now because of what they told."""
        with self.store.read() as tx:
            return book.due(tx, self.clock.now())

    def take(self, name: str) -> bool:
        """Take the look that is due at one; False where another process took it."""
        with self.store.begin() as tx:
            return book.take(tx, name, now=self.clock.now())

    def answer(self, name: str) -> None:
        """Note that a look at one begins, whoever asked for it."""
        with self.store.read() as tx:
            is_asked = book.is_asked(tx, name)
        if is_asked:
            with self.store.begin() as tx:
                book.answer(tx, name)

    def shown(self, name: str) -> dict[str, Any]:
        """Return how the notifications of a destination stand. Raises DestinationError."""
        with self.store.read() as tx:
            registry.get(tx, name)
            return book.shown(tx, name)

    @property
    def _book(self) -> Book:
        return Book(vault=self.vault, rng=self.rng)

    def _note(self, tx: Connection, actor: str, action: Action, name: str, **more: Any) -> None:
        self.audit.append(tx, Entry(actor=actor, action=action, destination=name, **more))


def _checked(address: str) -> str:
    """Return our own address as an EHR is told it. Raises DestinationError."""
    try:
        found = addresses.checked_url(address)
    except DestinationError:
        raise DestinationError(
            "--address must be https://HOST[:PORT][/PATH], without query, fragment or password",
            hint="give the address at which the EHR reaches this service",
        ) from None
    if not found.startswith("https://") and not is_loopback(found):
        raise DestinationError(
            "--address must be https: the secret goes with each notification",
            hint="give the address of the proxy that ends TLS before this service",
        )
    return found
