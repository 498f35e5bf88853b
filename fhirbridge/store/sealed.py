"""Payloads at rest: a key for each record, wrapped by a master key that lies outside the database.

Shredding a record's key erases its payloads for good and leaves every other row as it was.
"""

import hashlib
import hmac
from http import HTTPStatus

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, bindparam, insert, select, update

from fhirbridge.errors import BridgeError
from fhirbridge.rng import Rng
from fhirbridge.store.tables import meta, payload_key

KEY_BYTES = 32
NONCE_BYTES = 12
# Built once: it is asked for each payload.
_WRAPPED = select(payload_key.c.wrapped).where(payload_key.c.owner == bindparam("of_owner"))


class KeyMismatchError(BridgeError):
    """A key file is not the one this database was made with."""

    code = "E603"


class ShreddedError(BridgeError):
    """The payload's key was destroyed; nobody can read it again."""

    code = "E604"
    http_status = HTTPStatus.GONE


class TamperedError(BridgeError):
    """A sealed payload does not belong to its row, or was changed."""

    code = "E605"


class Vault:
    """Seals and opens payloads. `owner` is the id of the record or quarantine row with the key."""

    def __init__(self, master_key: bytes, rng: Rng) -> None:
        if len(master_key) != KEY_BYTES:
            raise KeyMismatchError(
                "the master key must be 32 bytes", hint="restore the key file from its backup"
            )
        self._master = master_key
        self._rng = rng

    def new_key(self, tx: Connection, owner: str) -> bytes:
        """Make and store the key of one owner."""
        key = self._rng.token(KEY_BYTES)
        wrapped = self._encrypt(self._master, key, f"key:{owner}")
        tx.execute(insert(payload_key).values(owner=owner, wrapped=wrapped))
        return key

    def lasting_key(self, tx: Connection, owner: str) -> bytes:
        """Unwrap the key of one owner, made now where it had none. Raises ShreddedError."""
        made = select(payload_key.c.owner).where(payload_key.c.owner == owner)
        return self.new_key(tx, owner) if tx.scalar(made) is None else self.key(tx, owner)

    def key(self, tx: Connection, owner: str) -> bytes:
        """Unwrap the key of one owner. Raises ShreddedError where it was destroyed."""
        return self.unwrap(tx.scalar(_WRAPPED, {"of_owner": owner}), owner)

    def unwrap(self, wrapped: bytes | None, owner: str) -> bytes:
        """Open a stored key. Raises ShreddedError where it was destroyed."""
        if wrapped is None:
            raise ShreddedError("this payload was erased", hint="its evidence rows remain")
        return self._decrypt(self._master, wrapped, f"key:{owner}")

    def shred(self, tx: Connection, owner: str, at: str) -> None:
        """Destroy the key of one owner."""
        tx.execute(
            update(payload_key)
            .where(payload_key.c.owner == owner)
            .values(wrapped=None, shredded_at=at)
        )

    def seal(self, key: bytes, plain: bytes, row: str) -> bytes:
        """Encrypt for one row: the ciphertext opens only under the same `row` name."""
        return self._encrypt(key, plain, row)

    def unseal(self, key: bytes, sealed: bytes, row: str) -> bytes:
        """Decrypt what `seal` made for `row`. Raises TamperedError for any other."""
        return self._decrypt(key, sealed, row)

    def digest(self, text: str) -> str:
        """Keyed hash, so that a stored hash of a small payload cannot be guessed back."""
        return hmac.new(self._subkey("digest"), text.encode(), hashlib.sha256).hexdigest()

    def note_fingerprints(self, tx: Connection, *, site_key: bytes) -> None:
        """Note in a new database which keys it was made with; what is noted already stays."""
        for name, key in (("master", self._master), ("site", site_key)):
            noted = select(meta.c.value).where(meta.c.name == f"{name}-key")
            if tx.scalar(noted) is None:
                tx.execute(insert(meta).values(name=f"{name}-key", value=fingerprint(key)))

    def check_fingerprints(self, tx: Connection, *, site_key: bytes) -> None:
        """Refuse to start with another master or site key than the database was made with."""
        for name, key in (("master", self._master), ("site", site_key)):
            expected = tx.scalar(select(meta.c.value).where(meta.c.name == f"{name}-key"))
            if expected != fingerprint(key):
                raise KeyMismatchError(
                    f"the {name} key is not the one this database was made with",
                    hint=f"put back the original {name} key file; "
                    "another site key would make a second copy of every chart",
                )

    def _subkey(self, purpose: str) -> bytes:
        return hmac.new(self._master, f"fhirbridge {purpose}".encode(), hashlib.sha256).digest()

    def _encrypt(self, key: bytes, plain: bytes, row: str) -> bytes:
        nonce = self._rng.token(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plain, row.encode())

    def _decrypt(self, key: bytes, sealed: bytes, row: str) -> bytes:
        try:
            return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row.encode())
        except (InvalidTag, ValueError):  # ValueError: cut so short that no nonce is left
            raise TamperedError(
                "a sealed payload does not belong to its row",
                hint="restore the database from a backup",
            ) from None


def fingerprint(key: bytes) -> str:
    """Name a key without giving it away."""
    return hashlib.sha256(b"fhirbridge key fingerprint\x00" + key).hexdigest()[:32]
