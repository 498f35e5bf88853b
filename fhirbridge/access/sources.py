"""Who may send signed messages: each source with secrets of its own, sealed, shown once."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from fhirbridge.access import rotating, signature
from fhirbridge.access.rotating import Rotating
from fhirbridge.access.signature import Head
from fhirbridge.access.tokens import NAME
from fhirbridge.errors import BridgeError
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.hook_tables import webhook_secret, webhook_source
from fhirbridge.store.sealed import Vault

PREFIX = "whsec_"
SECRET_BYTES = 32
SHORTEST, LONGEST = 24, 64  # bytes, as Standard Webhooks says
MOST = 20  # each one is tried for each message
SKEW_NOTED_EACH = timedelta(minutes=1)
SKEW_LASTS = timedelta(minutes=15)


class SourceError(BridgeError):
    """A source cannot be added or changed as asked."""

    code = "E933"
    http_status = HTTPStatus.BAD_REQUEST


class NoSuchSourceError(BridgeError):
    """There is no live source of that name."""

    code = "E934"
    http_status = HTTPStatus.NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who sent a signed message."""

    id: str
    name: str

    @property
    def actor(self) -> str:
        """How the evidence log names this sender."""
        return f"webhook:{self.name}"


@dataclass(frozen=True, slots=True)
class Sources:
    """Keeps sources and their secrets with this vault and chance."""

    vault: Vault
    rng: Rng

    def add(self, tx: Connection, name: str, given: str | None, *, now: datetime) -> str:
        """Add a source, or a revoked one again; return its secret, ours unless one was `given`.

        Raises SourceError.
        """
        if not NAME.fullmatch(name):
            raise SourceError(
                "a source's name is at most 80 letters, digits, blanks and . _ @ ( ) -",
                hint="begin with a letter or a digit; name the system that will send",
            )
        known = tx.execute(select(webhook_source).where(webhook_source.c.name == name)).first()
        if known is not None and not known.revoked_at:
            raise SourceError(
                f"there is a source {name} already", hint="fhirbridge webhook-source rotate"
            )
        if len(_live(tx)) >= MOST:
            raise SourceError(f"there are {MOST} sources", hint="revoke one that sends no more")
        at = moment.to_text(now)
        if known is not None:
            # The same sender as before: what it sent then is not taken in once more.
            back = update(webhook_source).where(webhook_source.c.id == known.id)
            tx.execute(back.values(revoked_at="", added_at=at))
            return self._put(tx, known.id, given, now)
        row = {"id": new_id(self.rng), "name": name, "added_at": at}
        more = {"revoked_at": "", "skew_seconds": 0, "skew_seen_at": ""}
        tx.execute(insert(webhook_source).values(**row, **more))
        return self._put(tx, row["id"], given, now)

    def rotate(self, tx: Connection, name: str, given: str | None, *, now: datetime) -> str:
        """Give a source another secret; the one before it is good for OVERLAP.

        One that was on its way out already is gone at once. Raises NoSuchSourceError, SourceError.
        """
        source = _find(tx, name)
        self._kept.end(tx, source.id, now=now)
        return self._put(tx, source.id, given, now)

    def revoke(self, tx: Connection, name: str, *, now: datetime) -> None:
        """Refuse a source from now on, and erase its secrets. Raises NoSuchSourceError."""
        self._revoke(tx, _find(tx, name), now)

    def revoke_every(self, tx: Connection, *, now: datetime) -> int:
        """Revoke all live sources; return how many."""
        live = _live(tx)
        for source in live:
            self._revoke(tx, source, now)
        return len(live)

    def verify(self, tx: Connection, head: Head, body: bytes, *, now: datetime) -> Source:
        """Return who signed a message, whenever it was sent. Raises NotSignedError."""
        at = moment.to_text(now)
        found = (
            select(webhook_secret, webhook_source.c.name)
            .join(webhook_source, webhook_source.c.id == webhook_secret.c.source)
            .where(
                webhook_source.c.revoked_at == "",
                webhook_secret.c.sealed.is_not(None),
                or_(webhook_secret.c.expires_at == "", webhook_secret.c.expires_at > at),
            )
        )
        rows = tx.execute(found.order_by(webhook_secret.c.id)).all()
        signed = signature.is_signed(head, body, [self._kept.opened(tx, row) for row in rows])
        by = [row for row, is_it in zip(rows, signed, strict=True) if is_it]
        if not by:
            raise signature.not_signed()
        return Source(id=by[0].source, name=by[0].name)

    def every(self, tx: Connection) -> list[dict[str, Any]]:
        """Return all sources without their secrets: when each was made, and until when it is good.

        `expires_at` is "" for the secret that counts until it is rotated.
        """
        rows = tx.execute(select(webhook_source).order_by(webhook_source.c.name))
        return [
            {
                "name": row.name,
                "added_at": row.added_at,
                "revoked_at": row.revoked_at,
                "secrets": rotating.times(tx, webhook_secret.c.source, row.id),
            }
            for row in rows
        ]

    def _put(self, tx: Connection, source: str, given: str | None, now: datetime) -> str:
        secret = given or fresh(self.rng)
        key_bytes = read_secret(secret)
        # Two sources with one secret could not be told apart.
        known = [
            self._kept.opened(tx, row)
            for row in tx.execute(
                select(webhook_secret).where(webhook_secret.c.sealed.is_not(None))
            )
        ]
        if any(hmac.compare_digest(one, key_bytes) for one in known):
            raise SourceError("this secret is in use already", hint="ask the sender for a new one")
        self._kept.put(tx, source, key_bytes, now=now)
        return secret

    def _revoke(self, tx: Connection, source: Source, now: datetime) -> None:
        self._kept.erase(tx, source.id, now=now)
        gone = update(webhook_source).where(webhook_source.c.id == source.id)
        tx.execute(gone.values(revoked_at=moment.to_text(now)))

    @property
    def _kept(self) -> Rotating:
        return Rotating(self.vault, self.rng, webhook_secret.c.source, "webhook")


def fresh(rng: Rng) -> str:
    """Make a secret, as it is handed over."""
    return PREFIX + base64.b64encode(rng.token(SECRET_BYTES)).decode()


def read_secret(text: str) -> bytes:
    """Return the bytes of a secret as it is written, whsec_ and base64. Raises SourceError."""
    try:
        found = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not SHORTEST <= len(found) <= LONGEST or len(set(found)) == 1:
        raise SourceError(
            f"a secret is {PREFIX} and then {SHORTEST} to {LONGEST} bytes in base64",
            hint="copy it whole from the sender's page, or leave it out: one is made here",
        )
    return found


def note_skew(tx: Connection, source: Source, seconds: int, *, now: datetime) -> None:
    """Note that the messages of a source are all off by as much."""
    row = update(webhook_source).where(webhook_source.c.id == source.id)
    tx.execute(row.values(skew_seconds=seconds, skew_seen_at=moment.to_text(now)))


def skew_is_noted(tx: Connection, source: Source, *, now: datetime) -> bool:
    """Say whether that was noted just now: a flood of messages is no flood of commits."""
    seen = select(webhook_source.c.skew_seen_at).where(webhook_source.c.id == source.id)
    return (tx.scalar(seen) or "") > moment.to_text(now - SKEW_NOTED_EACH)


def skewed(tx: Connection, now: datetime) -> list[str]:
    """Return the names of the sources whose clock, or ours, is wrong."""
    since = moment.to_text(now - SKEW_LASTS)
    chosen = select(webhook_source.c.name).where(
        webhook_source.c.revoked_at == "", webhook_source.c.skew_seen_at > since
    )
    return list(tx.scalars(chosen.order_by(webhook_source.c.name)))


def _find(tx: Connection, name: str) -> Source:
    found = next((one for one in _live(tx) if one.name == name), None)
    if found is None:
        raise NoSuchSourceError(
            f"no live source is named {name}", hint="fhirbridge webhook-source list"
        )
    return found


def _live(tx: Connection) -> list[Source]:
    chosen = select(webhook_source).where(webhook_source.c.revoked_at == "")
    return [Source(id=row.id, name=row.name) for row in tx.execute(chosen)]
