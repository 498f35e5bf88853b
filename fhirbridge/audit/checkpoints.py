"""Signs what the log holds: checkpoints, and the keys whose signatures count, each with its time.

A checkpoint says that the first so many rows have this root. Whoever keeps one elsewhere can find
out later that a row before it was changed, removed or put in, even if all was computed anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy import Connection, insert, select, update

from fhirbridge.audit import notes, places, signatures, tree
from fhirbridge.audit.notes import Verifier
from fhirbridge.errors import BridgeError
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.evidence_tables import checkpoint, signing_key

EVERY = timedelta(hours=1)


class SigningKeyError(BridgeError):
    """The key that signs is not the one that the log names, or there is none such."""

    code = "E962"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key whose signatures count. Times as the database keeps them; "" for not yet."""

    verifier: Verifier
    since: str
    until: str
    compromised_at: str

    def line(self) -> str:
        """Return it as a file of trusted keys has it."""
        return f"{self.verifier}{f' compromised {self.compromised_at}' * bool(self.compromised_at)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One checkpoint as it is stored."""

    size: int
    at: str
    note: str


class Checkpoints:
    """Makes and reads checkpoints of the log of one installation.

    `origin` names the log and its keys from the first signature on; `seed` reads the key file, 32
    bytes.
    """

    def __init__(self, *, origin: str, rng: Rng, seed: Callable[[], bytes]) -> None:
        self._origin = origin
        self._rng = rng
        self._seed = seed

    def adopt(self, tx: Connection, now: datetime) -> None:
        """Note the key in the file as the one that signs, where the log has none yet.

        Raises SigningKeyError where the log names another one.
        """
        mine = notes.verifier_of(self._name(tx), self._seed())
        current = current_key(tx)
        if current is None:
            self._note(tx, mine, now)
        elif current.verifier != mine:
            raise _other_key(current.verifier)

    def make(self, tx: Connection, now: datetime) -> Signed:
        """Give every row its place and sign the root. Raises SigningKeyError.

        The caller's transaction keeps other writers out. Nothing new since the last one: that one
        is returned, and nothing is written.
        """
        self.adopt(tx, now)
        while places.give(tx):
            pass
        last = latest(tx)
        if last is not None and last.size == places.size(tx):
            return last
        return self._signed(tx, now, [self._seed()])

    def is_due(self, tx: Connection, now: datetime) -> bool:
        """Say whether the last one is an hour old, or there is none."""
        last = latest(tx)
        return last is None or moment.from_text(last.at) + EVERY <= now

    def rotate(self, tx: Connection, now: datetime, new: bytes, *, lost: bool) -> Verifier:
        """Sign one checkpoint with both keys; from then on the new one signs.

        `lost`: the old one is gone, and signs no more. Raises SigningKeyError.
        """
        old = [] if lost else [self._seed()]
        if not lost:
            self.adopt(tx, now)
        while places.give(tx):
            pass
        at, name = moment.to_text(now), self._name(tx)
        tx.execute(update(signing_key).where(signing_key.c.until == "").values(until=at))
        mine = notes.verifier_of(name, new)
        self._note(tx, mine, now)
        self._signed(tx, now, [*old, new])
        return mine

    def signature(self, tx: Connection, raw: bytes) -> str:
        """Sign the bytes of a manifest, as a detached JWS."""
        return signatures.sign(raw, self._name(tx), self._seed())

    def is_of(self, tx: Connection, seed: bytes) -> bool:
        """Say whether this key is the one that signs now."""
        current = current_key(tx)
        return current is not None and current.verifier == notes.verifier_of(self._name(tx), seed)

    def _name(self, tx: Connection) -> str:
        """Return the log's name: another one in the settings changes nothing any more."""
        known = keys(tx)
        return known[0].verifier.name if known else self._origin

    def _note(self, tx: Connection, key: Verifier, now: datetime) -> None:
        if tx.execute(select(signing_key.c.id).where(signing_key.c.id == key.id)).first():
            raise SigningKeyError("this key has signed before", hint="make a new one")
        values = {"id": key.id, "verifier": str(key), "since": moment.to_text(now)}
        tx.execute(insert(signing_key).values(**values, until="", compromised_at=""))

    def _signed(self, tx: Connection, now: datetime, seeds: list[bytes]) -> Signed:
        size, at, name = places.size(tx), moment.to_text(now), self._name(tx)
        root = tree.root(size, places.node_of(tx))
        said = notes.Checkpoint(origin=name, size=size, root=root, at=at)
        note = notes.signed(said, [(name, seed) for seed in seeds])
        row = {"id": new_id(self._rng), "size": size, "at": at, "note": note}
        tx.execute(insert(checkpoint).values(**row))
        return Signed(size=size, at=at, note=note)


def no_seed() -> bytes:
    """Where nobody gave a key. Raises SigningKeyError."""
    raise SigningKeyError(
        "there is no key that signs the evidence", hint="make one: fhirbridge audit key rotate"
    )


def latest(tx: Connection) -> Signed | None:
    """Return the last checkpoint, or None."""
    chosen = select(checkpoint).order_by(checkpoint.c.size.desc(), checkpoint.c.at.desc()).limit(1)
    row = tx.execute(chosen).first()
    return None if row is None else Signed(size=row.size, at=row.at, note=row.note)


def every(tx: Connection) -> list[Signed]:
    """Return all checkpoints, the oldest first."""
    chosen = select(checkpoint).order_by(checkpoint.c.size, checkpoint.c.at)
    return [Signed(size=row.size, at=row.at, note=row.note) for row in tx.execute(chosen)]


def keys(tx: Connection) -> list[SigningKey]:
    """Return every key that ever signed, the oldest first."""
    return [
        SigningKey(
            verifier=notes.verifier(row.verifier),
            since=row.since,
            until=row.until,
            compromised_at=row.compromised_at,
        )
        for row in tx.execute(select(signing_key).order_by(signing_key.c.since, signing_key.c.id))
    ]


def current_key(tx: Connection) -> SigningKey | None:
    """Return the key that signs now, or None."""
    return next((one for one in keys(tx) if not one.until), None)


def note_compromise(tx: Connection, key_id: str, at: str) -> None:
    """Note since when somebody else may have a key. Raises SigningKeyError."""
    done = tx.execute(
        update(signing_key).where(signing_key.c.id == key_id).values(compromised_at=at)
    )
    if done.rowcount != 1:
        raise SigningKeyError("there is no such key", hint="fhirbridge audit key show lists them")


def _other_key(expected: Verifier) -> SigningKeyError:
    return SigningKeyError(
        f"the key that signs the evidence is not {expected.id}, the one that the log names",
        hint="put evidence.key back from its backup, or end a rotation that was killed: "
        "fhirbridge audit key rotate; where it is lost: fhirbridge audit key rotate --lost",
    )
