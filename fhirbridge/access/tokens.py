"""Make, check and revoke API tokens. A token is shown once; the database keeps its hash."""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from sqlalchemy import Connection, insert, select, update

from fhirbridge.errors import BridgeError
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.tables import api_token

PREFIX = "fhirbridge_"
SECRET_BYTES = 32
LIFETIME = timedelta(days=365)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@()-]{0,79}")


class Role(StrEnum):
    """What a caller may do."""

    INTEGRATOR = "integrator"  # send records, see what became of them
    OPERATOR = "operator"  # run and watch deliveries
    AUDITOR = "auditor"  # read everything, change nothing
    ADMIN = "admin"  # all of it
    READER = "reader"  # read one facade, and nothing else


class TokenNameError(BridgeError):
    """A token cannot have this name: it stands in logs, tables and the evidence."""

    code = "E902"
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
    """Who is calling: the token's id and name, its role, and the facade that a reader reads."""

    id: str
    name: str
    role: Role
    facade: str = ""

    @property
    def actor(self) -> str:
        """How the evidence log names this caller."""
        return f"token:{self.name}"


def make(
    tx: Connection, rng: Rng, *, name: str, role: Role, now: datetime, facade: str = ""
) -> str:
    """Store a new token and return its secret, which nobody can read again.

    Raises TokenNameError or TokenFacadeError.
    """
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
    }
    times = {"created_at": moment.to_text(now), "expires_at": moment.to_text(now + LIFETIME)}
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
    return Principal(id=row.id, name=row.name, role=Role(row.role), facade=row.facade)


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
    """Return all tokens without their secrets.

    As name, role, created_at, expires_at, revoked_at, facade.
    """
    shown = (api_token.c.name, api_token.c.role, api_token.c.created_at)
    more = (api_token.c.expires_at, api_token.c.revoked_at, api_token.c.facade)
    chosen = select(*shown, *more).order_by(api_token.c.created_at)
    return [dict(row) for row in tx.execute(chosen).mappings()]


def _hash(secret: str) -> str:
    # A header may hold anything; what cannot be a secret has a hash too, and no row.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
