"""Who is told: each endpoint with its filters, and secrets of its own, sealed, shown once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from fhirbridge.access import rotating
from fhirbridge.access.rotating import Rotating
from fhirbridge.access.sources import fresh, read_secret
from fhirbridge.access.tokens import NAME
from fhirbridge.destinations import registry
from fhirbridge.errors import BridgeError
from fhirbridge.events import log as events
from fhirbridge.events.log import Kind
from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.webhook_tables import webhook_endpoint, webhook_endpoint_secret
from fhirbridge.webhooks import reach
from fhirbridge.webhooks.decide import BY_ITSELF

OWNER = "webhook-endpoint"  # of keys that seal
MOST = 100  # each has a hand of its own while it has something to take


class EndpointError(BridgeError):
    """An endpoint cannot be added or changed as asked."""

    code = "E452"
    http_status = HTTPStatus.BAD_REQUEST


class NoSuchEndpointError(BridgeError):
    """There is no endpoint of that name."""

    code = "E453"
    http_status = HTTPStatus.NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """What an operator says of an endpoint. No kinds or destinations: all of them."""

    name: str
    url: str
    kinds: Sequence[str] = ()
    destinations: Sequence[str] = ()
    networks: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Endpoint:
    """Who is told of what; `disabled` says why nothing is sent, or is empty."""

    id: str
    name: str
    url: str
    kinds: tuple[str, ...]
    destinations: tuple[str, ...]
    networks: tuple[str, ...]
    disabled: str
    reached: int
    failing_since: datetime | None

    def __repr__(self) -> str:
        """Show the name: an address may hold a token of the receiver's."""
        return f"Endpoint({self.name})"

    def wants(self, event: dict[str, Any]) -> bool:
        """Say whether an event passes the filters; where EHRs are named, one of no EHR does not."""
        of_kind = not self.kinds or event["kind"] in self.kinds
        return of_kind and (not self.destinations or event["destination"] in self.destinations)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Keeps endpoints and their secrets with this vault and chance."""

    vault: Vault
    rng: Rng

    def add(self, tx: Connection, new: New, *, now: datetime) -> str:
        """Add an endpoint, told of what happens from now on; return its secret.

        Raises EndpointError or AddressError.
        """
        row = {**_checked(tx, new), "id": new_id(self.rng), "added_at": moment.to_text(now)}
        while events.number(tx, self.rng):
            pass  # what happened before it was added
        fresh = {"disabled_at": "", "disabled_why": "", "removed_at": "", "failing_since": ""}
        lease = {"fence": 0, "leased_until": "", "quiet_until": ""}
        reached = {"reached": events.last(tx)}
        tx.execute(insert(webhook_endpoint).values(**row, **fresh, **lease, **reached))
        return self._put(tx, row["id"], now)

    def rotate(self, tx: Connection, name: str, *, now: datetime) -> str:
        """Give an endpoint another secret; for OVERLAP the one before it signs as well.

        One that was on its way out already is gone at once. Raises NoSuchEndpointError.
        """
        endpoint = get(tx, name)
        self._kept.end(tx, endpoint.id, now=now)
        return self._put(tx, endpoint.id, now)

    def remove(self, tx: Connection, name: str, *, now: datetime) -> Endpoint:
        """Tell this one nothing any more; erase its secrets and what it answered."""
        endpoint = get(tx, name)
        self._kept.erase(tx, endpoint.id, now=now)
        at = moment.to_text(now)
        self.vault.shred(tx, _owner(endpoint.id), at)
        change(tx, endpoint.id, removed_at=at)
        return endpoint

    def secrets(self, tx: Connection, endpoint_id: str, *, now: datetime) -> list[bytes]:
        """Return the secrets that sign now, the newest first."""
        at = moment.to_text(now)
        there = rotating.standing(tx, webhook_endpoint_secret.c.endpoint, endpoint_id)
        good = [row for row in there if not row.expires_at or row.expires_at > at]
        return [self._kept.opened(tx, row) for row in reversed(good)]

    def seal(self, tx: Connection, endpoint_id: str, answer: str, attempt: str) -> bytes:
        """Seal what an endpoint answered to one attempt."""
        key = self.vault.lasting_key(tx, _owner(endpoint_id))
        return self.vault.seal(key, answer.encode(), f"attempt:{attempt}")

    def unseal(self, tx: Connection, endpoint_id: str, sealed: bytes, attempt: str) -> str:
        """Open what `seal` made. Raises ShreddedError where the endpoint was removed."""
        key = self.vault.key(tx, _owner(endpoint_id))
        return self.vault.unseal(key, sealed, f"attempt:{attempt}").decode()

    def _put(self, tx: Connection, endpoint_id: str, now: datetime) -> str:
        secret = fresh(self.rng)
        self._kept.put(tx, endpoint_id, read_secret(secret), now=now)
        return secret

    @property
    def _kept(self) -> Rotating:
        of = webhook_endpoint_secret.c.endpoint
        return Rotating(self.vault, self.rng, of, OWNER)


def every(tx: Connection) -> list[Endpoint]:
    """Return all endpoints that are not removed, by name."""
    chosen = select(webhook_endpoint).where(webhook_endpoint.c.removed_at == "")
    return [read(row) for row in tx.execute(chosen.order_by(webhook_endpoint.c.name))]


def get(tx: Connection, name: str) -> Endpoint:
    """Return the endpoint of that name. Raises NoSuchEndpointError."""
    found = next((one for one in every(tx) if one.name == name), None)
    if found is None:
        raise NoSuchEndpointError(
            f"no endpoint is named {name}", hint="fhirbridge webhook-endpoint list"
        )
    return found


def read(row: Row[Any]) -> Endpoint:
    """Return a row as a value."""
    return Endpoint(
        id=row.id,
        name=row.name,
        url=row.url,
        kinds=tuple(codec.decode_own(row.kinds.encode())),
        destinations=tuple(codec.decode_own(row.destinations.encode())),
        networks=tuple(codec.decode_own(row.networks.encode())),
        disabled=row.disabled_why,
        reached=row.reached,
        failing_since=moment.from_text(row.failing_since) if row.failing_since else None,
    )


def change(tx: Connection, endpoint_id: str, **values: Any) -> None:
    """Write new values of one endpoint."""
    one = update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id)
    tx.execute(one.values(**values))


def disable(tx: Connection, endpoint_id: str, why: str, *, now: datetime) -> None:
    """Send nothing to it until it is enabled; what it would have been told waits."""
    change(tx, endpoint_id, disabled_at=moment.to_text(now), disabled_why=why)


def enable(tx: Connection, endpoint_id: str) -> None:
    """Send again, beginning with what waits."""
    fresh = {"failing_since": "", "quiet_until": ""}
    change(tx, endpoint_id, disabled_at="", disabled_why="", **fresh)


def disable_every(tx: Connection, why: str, *, now: datetime) -> int:
    """Disable all; return how many were not."""
    live = [one for one in every(tx) if not one.disabled]
    for one in live:
        disable(tx, one.id, why, now=now)
    return len(live)


def disabled_by_itself(tx: Connection) -> list[str]:
    """Return the names of those that no person disabled: one must look."""
    return [one.name for one in every(tx) if one.disabled in BY_ITSELF]


def secret_times(tx: Connection, endpoint_id: str) -> list[dict[str, str]]:
    """Say of each secret when it was made and until when it signs; "": until it is rotated."""
    return rotating.times(tx, webhook_endpoint_secret.c.endpoint, endpoint_id)


def _checked(tx: Connection, new: New) -> dict[str, str]:
    if not NAME.fullmatch(new.name):
        raise EndpointError(
            "an endpoint's name is at most 80 letters, digits, blanks and . _ @ ( ) -",
            hint="begin with a letter or a digit; name the system that is told",
        )
    known = every(tx)
    if any(one.name == new.name for one in known):
        raise EndpointError(
            f"there is an endpoint {new.name} already", hint="fhirbridge webhook-endpoint list"
        )
    if len(known) >= MOST:
        raise EndpointError(f"there are {MOST} endpoints", hint="remove one that is not needed")
    _refuse_unknown("kind", new.kinds, [kind.value for kind in Kind])
    _refuse_unknown("destination", new.destinations, [one.name for one in registry.every(tx)])
    networks = reach.checked_networks(new.networks)
    return {
        "name": new.name,
        "url": reach.checked_url(new.url, networks),
        "kinds": _listed(new.kinds),
        "destinations": _listed(new.destinations),
        "networks": _listed(networks),
    }


def _refuse_unknown(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for one in given:
        if one not in known:
            there = f"there are: {', '.join(known)}" if known else "there is none"
            raise EndpointError(f"there is no {what} {one}", hint=there)


def _listed(texts: Sequence[str]) -> str:
    return codec.canonical(sorted(set(texts))).decode()


def _owner(of: str) -> str:
    return f"{OWNER}:{of}"
