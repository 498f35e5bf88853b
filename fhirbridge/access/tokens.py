"""Make, check and revoke API tokens. A token is shown once; the database keeps its hash."""

import base64
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from sqlalchemy import Connection, insert, select, update

from fhirbridge.errors import BridgeError
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.access_tables import api_token

PREFIX = "fhirbridge_"
SECRET_BYTES = 32
LONGEST_DAYS = 3650
USE_IS_NOTED_EVERY = timedelta(hours=1)
SHOWN = (
    "name",
    "role",
    "rooms",
    "facade",
    "created_at",
    "expires_at",
    "revoked_at",
    "last_used_at",
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@()-]{0,79}")


class Role(StrEnum):
    """What a caller may do."""

    INTEGRATOR = "integrator"  # send records, see what became of them
    OPERATOR = "operator"  # run and watch deliveries
    AUDITOR = "auditor"  # read everything, change nothing
    ADMIN = "admin"  # all of it
    READER = "reader"  # read one facade, and nothing else


class Room(StrEnum):
    """A part of the API to which a token may be narrowed."""

    RECORDS = "records"
    STOCK = "stock"
    EVENTS = "events"
    PATIENTS = "patients"
    DELIVERIES = "deliveries"
    DESTINATIONS = "destinations"
    STATUS = "status"


# How long a token lasts where nobody says: who only reads is let in for a while.
DAYS = {
    Role.INTEGRATOR: 365,
    Role.OPERATOR: 365,
    Role.AUDITOR: 30,
    Role.ADMIN: 365,
    Role.READER: 365,
}


class TokenNameError(BridgeError):
    """A token cannot have this name: it stands in logs, tables and the evidence."""

    code = "E902"
    http_status = HTTPStatus.BAD_REQUEST


class TokenLifetimeError(BridgeError):
    """A token cannot last so long."""

    code = "E904"
    http_status = HTTPStatus.BAD_REQUEST


class TokenFacadeError(BridgeError):
    """A reader's token names its facade, and no other token names one."""

    code = "E904"
    http_status = HTTPStatus.BAD_REQUEST


class NoSuchTokenError(BridgeError):
    """There is no token of that name."""

    code = "E901"
    http_status = HTTPStatus.NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling: the token's id and name, its role, and to what it is narrowed.

    `rooms`: names of parts of the API; empty: all that the role may. `facade`: which one a reader
    reads. `last_used_at`: as stored.
    """

    id: str
    name: str
    role: Role
    rooms: frozenset[str] = frozenset()
    last_used_at: str = ""
    facade: str = ""

    @property
    def actor(self) -> str:
        """How the evidence log names this caller."""
        return f"token:{self.name}"

    def may_enter(self, room: str) -> bool:
        """Say whether this part of the API is among those for which the token was made."""
        return not self.rooms or room in self.rooms


def make(
    tx: Connection,
    rng: Rng,
    *,
    name: str,
    role: Role,
    now: datetime,
    rooms: Collection[Room] = (),
    days: int | None = None,
    facade: str = "",
) -> str:
    """Store a new token and return its secret, which nobody can read again.

    `rooms`: to which it is narrowed; none: all that the role may. `days`: how long it lasts, from
    now to the second. Raises TokenNameError, TokenLifetimeError or TokenFacadeError.
    """
    lasts = DAYS[role] if days is None else days
    if not 1 <= lasts <= LONGEST_DAYS:
        raise TokenLifetimeError(
            f"a token lasts 1 to {LONGEST_DAYS} days", hint="make it for as long as it is needed"
        )
    if (role is Role.READER) != bool(facade):
        raise TokenFacadeError(
            "a token of the role reader reads one facade, and only such a token does",
            hint="fhirbridge token make NAME --role reader --facade FACADE",
        )
    if not NAME.fullmatch(name):
        raise TokenNameError(
            "a token's name is at most 80 letters, digits, blanks and . _ @ ( ) -",
            hint="begin with a letter or a digit; name the system that will use it",
        )
    secret = PREFIX + base64.urlsafe_b64encode(rng.token(SECRET_BYTES)).decode().rstrip("=")
    values = {
        "id": new_id(rng),
        "name": name,
        "role": role.value,
        "facade": facade,
        "hash": _hash(secret),
        "revoked_at": "",
        "rooms": " ".join(sorted(rooms)),
        "last_used_at": "",
    }
    until = now + timedelta(days=lasts)
    times = {"created_at": moment.to_text(now), "expires_at": moment.to_text(until)}
    tx.execute(insert(api_token).values(**values, **times))
    return secret


def check(tx: Connection, secret: str, *, now: datetime) -> Principal | None:
    """Return who holds this secret, or None where it, or its role, is unknown, expired or revoked.

    The look-up is by hash of a 256-bit secret: how long it takes says nothing about the secret.
    """
    row = tx.execute(select(api_token).where(api_token.c.hash == _hash(secret))).one_or_none()
    if row is None or row.revoked_at or row.expires_at <= moment.to_text(now):
        return None
    if row.role not in list(Role):  # a newer version's
        return None
    return Principal(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        rooms=frozenset(row.rooms.split()),
        last_used_at=row.last_used_at,
        facade=row.facade,
    )


class Uses:
    """When this process last tried to store that a token was used; at most once an hour."""

    def __init__(self) -> None:
        """Nothing was tried yet."""
        self._tried: dict[str, datetime] = {}

    def is_to_note(self, known: Principal, now: datetime) -> bool:
        """Say whether the use that is stored is an hour old, and so is the last try to store it."""
        before = now - USE_IS_NOTED_EVERY
        tried = self._tried.get(known.id)
        if known.last_used_at > moment.to_text(before) or (tried is not None and tried > before):
            return False
        self._tried[known.id] = now
        return True


def note_use(tx: Connection, token_id: str, *, now: datetime) -> None:
    """Store that it was used now."""
    used = update(api_token).where(api_token.c.id == token_id)
    tx.execute(used.values(last_used_at=moment.to_text(now)))


def revoke(tx: Connection, name: str, *, now: datetime) -> int:
    """Revoke every live token of this name; return how many. Raises NoSuchTokenError."""
    gone = update(api_token).where(api_token.c.name == name, api_token.c.revoked_at == "")
    count = tx.execute(gone.values(revoked_at=moment.to_text(now))).rowcount
    if not count:
        raise NoSuchTokenError(f"no live token is named {name}", hint="fhirbridge token list")
    return count


def revoke_every(tx: Connection, *, now: datetime) -> int:
    """Revoke all live tokens; return how many."""
    gone = update(api_token).where(api_token.c.revoked_at == "")
    return tx.execute(gone.values(revoked_at=moment.to_text(now))).rowcount


def every(tx: Connection) -> list[dict[str, str]]:
    """Return all tokens, the oldest first, without their secrets: the columns of SHOWN."""
    chosen = select(*(api_token.c[name] for name in SHOWN)).order_by(api_token.c.created_at)
    return [dict(row) for row in tx.execute(chosen).mappings()]


def _hash(secret: str) -> str:
    # A header may hold anything; what cannot be a secret has a hash too, and no row.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
