"""What operators do about webhooks that go out; each change is a row of evidence."""

from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry
from fhirbridge.errors import BridgeError
from fhirbridge.events import log as events
from fhirbridge.store import moment
from fhirbridge.webhooks import decide, endpoints, owed, payload, sender
from fhirbridge.webhooks.endpoints import Endpoint, New
from fhirbridge.webhooks.posting import Posting
from fhirbridge.webhooks.sender import Rooms

MOST_SHOWN = 50


class NoSuchMessageError(BridgeError):
    """There is no such event or try, or it is kept no more."""

    code = "E454"
    http_status = HTTPStatus.NOT_FOUND


class WebhookDesk:
    """Adds, tries and mends endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def posting(self) -> Posting:
        """Return what sends in the background; start it after a fork."""
        return Posting(self._rooms)

    def add(self, new: New, *, actor: str) -> str:
        """Tell another system what happens from now on; return the secret that signs.

        Raises EndpointError or AddressError.
        """
        with self._rooms.store.begin() as tx:
            secret = self._rooms.endpoints.add(tx, new, now=self._rooms.clock.now())
            added = endpoints.get(tx, new.name)
            detail = {
                # Not all of the address: it may hold a token of the receiver's.
                "host": urlsplit(added.url).netloc,
                "kinds": list(added.kinds),
                "destinations": list(added.destinations),
                "networks": list(added.networks),
            }
            self._note(tx, actor, Action.ENDPOINT_ADDED, new.name, **detail)
            return secret

    def rotate(self, name: str, *, actor: str) -> str:
        """Return another secret; the one before it signs as well for a day.

        Raises NoSuchEndpointError.
        """
        with self._rooms.store.begin() as tx:
            secret = self._rooms.endpoints.rotate(tx, name, now=self._rooms.clock.now())
            self._note(tx, actor, Action.ENDPOINT_ROTATED, name)
            return secret

    def remove(self, name: str, *, actor: str) -> None:
        """Tell it nothing any more. Raises NoSuchEndpointError."""
        with self._rooms.store.begin() as tx:
            self._rooms.endpoints.remove(tx, name, now=self._rooms.clock.now())
            self._note(tx, actor, Action.ENDPOINT_REMOVED, name)

    def disable(self, name: str, *, actor: str) -> None:
        """Send nothing until it is enabled. Raises NoSuchEndpointError."""
        with self._rooms.store.begin() as tx:
            one = endpoints.get(tx, name)
            endpoints.disable(tx, one.id, decide.BY_OPERATOR, now=self._rooms.clock.now())
            self._note(tx, actor, Action.ENDPOINT_DISABLED, name, why=decide.BY_OPERATOR)

    def enable(self, name: str, *, actor: str) -> None:
        """Send again, what waited first. Raises NoSuchEndpointError."""
        with self._rooms.store.begin() as tx:
            endpoints.enable(tx, endpoints.get(tx, name).id)
            self._note(tx, actor, Action.ENDPOINT_ENABLED, name)

    def every(self) -> list[dict[str, Any]]:
        """Return all endpoints, how they stand and what they are owed; no secret."""
        with self._rooms.store.read() as tx:
            return [
                {
                    **standing(tx, one),
                    "url": one.url,
                    "kinds": list(one.kinds),
                    "destinations": list(one.destinations),
                    "networks": list(one.networks),
                    "secrets": endpoints.secret_times(tx, one.id),
                }
                for one in endpoints.every(tx)
            ]

    def test(self, name: str, *, actor: str) -> dict[str, Any]:
        """Send a message now, also to one that is disabled, and return the try as `attempt` does.

        Raises NoSuchEndpointError.
        """
        made = sender.send_test(self._rooms, name)
        with self._rooms.store.begin() as tx:
            self._note(tx, actor, Action.ENDPOINT_TESTED, name)
        return self.attempt(name, made)

    def attempts(
        self, name: str, *, message: str = "", most: int = MOST_SHOWN
    ) -> list[dict[str, Any]]:
        """Return the newest tries, or those of one message. Raises NoSuchEndpointError."""
        with self._rooms.store.read() as tx:
            one = endpoints.get(tx, name)
            return owed.attempts(tx, one.id, message=message, most=most)

    def attempt(self, name: str, attempt_id: str) -> dict[str, Any]:
        """Return one try, with what was signed and the beginning of the answer.

        Raises NoSuchMessageError. What a receiver answers is not ours: it may hold anything.
        """
        with self._rooms.store.read() as tx:
            one = endpoints.get(tx, name)
            row = owed.attempt(tx, one.id, attempt_id)
            if row is None:
                raise NoSuchMessageError(
                    f"{name} has no try of this id", hint="fhirbridge webhook-endpoint attempts"
                )
            shown: dict[str, Any] = {
                key: value
                for key, value in row._asdict().items()
                if key not in ("sealed", "endpoint", "body")
            }
            signed = payload.base_string(row.message, row.signed_at, row.body)
            answer = self._rooms.endpoints.unseal(tx, one.id, row.sealed, row.id)
            return {**shown, "signed": signed, "answer": answer}

    def replay_event(self, name: str, event: str, *, actor: str) -> int:
        """Send one event again, to this endpoint only. Raises NoSuchMessageError."""

        def find(tx: Connection) -> list[dict[str, Any]]:
            found = events.of_id(tx, event)
            if found is None:
                raise NoSuchMessageError(
                    "there is no event of this id", hint="GET /api/v1/events lists them"
                )
            return [found]

        return self._replay(name, find, actor, event=event)

    def replay_range(self, name: str, since: datetime, until: datetime, *, actor: str) -> int:
        """Send again what happened in this time, to this endpoint only; return how many."""
        begin, end = moment.to_text(since), moment.to_text(until)

        def find(tx: Connection) -> list[dict[str, Any]]:
            return events.between(tx, begin, end)

        return self._replay(name, find, actor, since=begin, until=end)

    def _replay(
        self,
        name: str,
        find: Callable[[Connection], list[dict[str, Any]]],
        actor: str,
        **said: str,
    ) -> int:
        sender.number(self._rooms)
        with self._rooms.store.read() as tx:
            one = endpoints.get(tx, name)
            chosen = [event for event in find(tx) if one.wants(event)]
        with self._rooms.store.begin() as tx:
            self._note(tx, actor, Action.ENDPOINT_REPLAYED, name, count=len(chosen), **said)
        for start in range(0, len(chosen), owed.ROWS_AT_ONCE):
            part = chosen[start : start + owed.ROWS_AT_ONCE]
            with self._rooms.store.begin() as tx:
                owed.put(tx, one.id, part, now=self._rooms.clock.now(), again=True)
        return len(chosen)

    def _note(self, tx: Connection, actor: str, action: Action, name: str, **more: Any) -> None:
        detail: Mapping[str, Any] = {"name": name, **more}
        self._rooms.audit.append(tx, Entry(actor=actor, action=action, detail=dict(detail)))


def standing(tx: Connection, one: Endpoint) -> dict[str, Any]:
    """Say how one endpoint stands; names and counts only."""
    since = one.failing_since
    return {
        "name": one.name,
        "disabled": one.disabled,
        "failing_since": "" if since is None else moment.to_text(since),
        "messages": owed.counts(tx, one.id),
    }
