"""Signed checkpoints: a text that anybody can read, and Ed25519 signatures below it. Pure.

The forms are C2SP's: signed-note, and tlog-checkpoint for what the text says
(https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint).
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fhirbridge.audit.tree import HASH_BYTES
from fhirbridge.errors import BridgeError

ED25519 = b"\x01"  # as C2SP numbers it
DASH = "\u2014 "
ID_BYTES = 4
PUBLIC_BYTES = 32
LONGEST_NOTE = 10_000
MOST_SIGNATURES = 16
NAME = re.compile(r"[!-*,-~]{1,200}")  # visible ASCII without the plus that parts a verifier key
SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
AT = re.compile(r"at ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z)")


class NoteError(BridgeError):
    """A text is no checkpoint, or no verifier key."""

    code = "E961"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A public key with its name: `NAME+ID+KEY`, as it is given to others."""

    name: str
    public: bytes

    @property
    def id(self) -> str:
        """Return the key's id: eight hex digits."""
        return _id(self.name, self.public).hex()

    def __str__(self) -> str:
        """Write it as C2SP does."""
        return f"{self.name}+{self.id}+{base64.b64encode(ED25519 + self.public).decode()}"

    def accepts(self, signature: bytes, signed: bytes) -> bool:
        """Say whether this key signed it."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, signed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a note says: the first `size` rows of the log `origin` have this root."""

    origin: str
    size: int
    root: bytes
    at: str

    def text(self) -> str:
        """Return what is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nat {self.at}\n"


def verifier(text: str) -> Verifier:
    """Read `NAME+ID+KEY`. Raises NoteError."""
    name, _, rest = text.strip().partition("+")
    id_text, _, key_text = rest.partition("+")
    key = _bytes(key_text)
    if not NAME.fullmatch(name) or len(key) != 1 + PUBLIC_BYTES or key[:1] != ED25519:
        raise _no_key()
    found = Verifier(name=name, public=key[1:])
    if found.id != id_text:
        raise _no_key()
    return found


def verifier_of(name: str, seed: bytes) -> Verifier:
    """Return the public side of a key of 32 bytes."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return Verifier(name=name, public=private.public_key().public_bytes_raw())


def signed(checkpoint: Checkpoint, keys: Iterable[tuple[str, bytes]]) -> str:
    """Return the note: the text, a blank line, a signature line for each key (name, 32 bytes)."""
    text = checkpoint.text()
    lines = []
    for name, seed in keys:
        made = Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
        key_id = bytes.fromhex(verifier_of(name, seed).id)
        lines.append(f"{DASH}{name} {base64.b64encode(key_id + made).decode()}\n")
    return f"{text}\n{''.join(lines)}"


def opened(note: str, verifiers: Iterable[Verifier]) -> tuple[Checkpoint, tuple[str, ...]]:
    """Read a note; return what it says, and the ids of those of the keys that signed it.

    No id: none of them did, so that nothing it says may be believed. Raises NoteError.
    """
    text, parted, below = note.partition("\n\n")
    lines = below.splitlines()
    if len(note) > LONGEST_NOTE or not parted or not 1 <= len(lines) <= MOST_SIGNATURES:
        raise _no_note()
    checkpoint = _said(text + "\n")
    known = {one.id: one for one in verifiers}
    found = []
    for line in lines:
        name, _, written = line.removeprefix(DASH).partition(" ")
        raw = _bytes(written)
        if not line.startswith(DASH) or len(raw) <= ID_BYTES:
            raise _no_note()
        key = known.get(raw[:ID_BYTES].hex())
        if key and key.name == name and key.accepts(raw[ID_BYTES:], (text + "\n").encode()):
            found.append(key.id)
    return checkpoint, tuple(found)


def _said(text: str) -> Checkpoint:
    lines = text.splitlines()
    if len(lines) != len(("origin", "size", "root", "at")):
        raise _no_note()
    origin, size, root, at = lines
    moment = AT.fullmatch(at)
    raw = _bytes(root)
    if not (origin and SIZE.fullmatch(size) and len(raw) == HASH_BYTES and moment):
        raise _no_note()
    return Checkpoint(origin=origin, size=int(size), root=raw, at=moment[1])


def _id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:ID_BYTES]


def _bytes(text: str) -> bytes:
    """Read strict base64; nothing where it is none."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return raw if base64.b64encode(raw).decode() == text else b""


def _no_note() -> NoteError:
    return NoteError("this is no signed checkpoint", hint="take one as it was handed out")


def _no_key() -> NoteError:
    return NoteError(
        "this is no verifier key", hint="it has the form NAME+ID+KEY: fhirbridge audit key show"
    )
