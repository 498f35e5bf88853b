"""Our keys for signed assertions: made, published, used, left, retired.

An EHR may go on using the list of keys that it fetched a day ago, so a new key is published long
before it signs, and the old one stays published until no assertion of it can be under way.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import Connection, Row, insert, select, update

from fhirbridge.clock import Clock
from fhirbridge.destinations.registry import NAME
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.sign_in_tables import sign_in_key

MAX_AGE = timedelta(hours=1)  # how long we say that our list may be kept
LEAST_PUBLISHED = max(timedelta(hours=24), 2 * MAX_AGE)  # before a key signs; many keep it a day
LEAST_LEFT = timedelta(minutes=10)  # before one that signed is retired: twice an assertion's life
OLD = timedelta(days=365)
RSA_BITS = 3072
LEAST_RSA_BITS = 2048
CURVE = "P-384"


class SigningKeyError(BridgeError):
    """A key cannot be made or moved as asked."""

    code = "E422"
    http_status = HTTPStatus.CONFLICT


class Algorithm(StrEnum):
    """What SMART App Launch asks servers to know."""

    ES384 = "ES384"
    RS384 = "RS384"


class Stage(StrEnum):
    """Where a key is on its way."""

    PUBLISHED = "published"
    USED = "used"
    LEFT = "left"  # another one signs now
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key without its secret part."""

    kid: str
    destination: str
    algorithm: Algorithm
    stage: Stage
    since: datetime  # in this stage
    published_at: datetime
    public: dict[str, Any]  # JWK


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Signer:
    """The key that signs, opened."""

    kid: str
    algorithm: Algorithm
    key: ECKey | RSAKey
    published_at: datetime


class Keys:
    """Reads and writes keys with this vault and clock."""

    def __init__(self, *, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock

    def add(self, tx: Connection, destination: str, key: ECKey | RSAKey) -> SigningKey:
        """Publish a key; the first one of a destination signs at once. Raises SigningKeyError."""
        if not NAME.fullmatch(destination):
            raise SigningKeyError("a key is made for a destination's name: a-z, 0-9 and -")
        kid = key.thumbprint()
        if tx.scalar(select(sign_in_key.c.kid).where(sign_in_key.c.kid == kid)) is not None:
            raise SigningKeyError(
                f"the key {kid} is there already", hint="fhirbridge destination keys list"
            )
        now = moment.to_text(self._clock.now())
        first = all(one.stage is Stage.RETIRED for one in self.every(tx, destination))
        algorithm = Algorithm.ES384 if isinstance(key, ECKey) else Algorithm.RS384
        named = {"kid": kid, "use": "sig", "alg": algorithm.value}
        public = {**_bare(key.as_dict(private=False)), **named}
        own = self._vault.new_key(tx, _owner(kid))
        row = {
            "kid": kid,
            "destination": destination,
            "algorithm": algorithm.value,
            "public": codec.canonical(public).decode(),
            "sealed": self._vault.seal(own, key.as_pem(private=True), _owner(kid)),
            "published_at": now,
            "used_at": now if first else "",
            "left_at": "",
            "retired_at": "",
        }
        tx.execute(insert(sign_in_key).values(row))
        return self.get(tx, destination, kid)

    def use(self, tx: Connection, destination: str, kid: str, *, at_once: bool) -> SigningKey:
        """Sign with this one from now on. Raises SigningKeyError where it is too early."""
        key, now = self.get(tx, destination, kid), self._clock.now()
        if key.stage not in (Stage.PUBLISHED, Stage.LEFT):
            raise SigningKeyError(f"the key {key.kid} is {key.stage}: it cannot be used")
        ready = key.published_at + LEAST_PUBLISHED
        if now < ready and not at_once:
            raise SigningKeyError(
                f"the key {key.kid} may not be known to the EHR before {_words(ready)}",
                hint="wait until then; --now where they have told you that they took it in",
            )
        text = moment.to_text(now)
        of_it = sign_in_key.c.destination == destination
        signs = [of_it, sign_in_key.c.used_at != "", sign_in_key.c.left_at == ""]
        tx.execute(update(sign_in_key).where(*signs).values(left_at=text))
        mine = update(sign_in_key).where(sign_in_key.c.kid == key.kid)
        tx.execute(mine.values(used_at=text, left_at=""))
        return self.get(tx, destination, key.kid)

    def retire(self, tx: Connection, destination: str, kid: str, *, at_once: bool) -> SigningKey:
        """Publish this one no more, and erase it. Raises SigningKeyError where it is needed."""
        key, now = self.get(tx, destination, kid), self._clock.now()
        if key.stage is Stage.USED and not at_once:
            raise SigningKeyError(
                f"the key {key.kid} signs: without it nobody lets us in",
                hint="use another one first: fhirbridge destination keys use",
            )
        if key.stage is Stage.LEFT and now < key.since + LEAST_LEFT and not at_once:
            ready = _words(key.since + LEAST_LEFT)
            raise SigningKeyError(
                f"what the key {key.kid} signed may be on its way until {ready}",
                hint="wait until then; --now where it is in wrong hands",
            )
        text = moment.to_text(now)
        gone = update(sign_in_key).where(sign_in_key.c.kid == key.kid)
        tx.execute(gone.values(retired_at=text, sealed=None))
        self._vault.shred(tx, _owner(key.kid), text)
        return self.get(tx, destination, key.kid)

    def get(self, tx: Connection, destination: str, kid: str) -> SigningKey:
        """Return one key by its kid or the start of it. Raises SigningKeyError."""
        found = [one for one in self.every(tx, destination) if one.kid.startswith(kid)]
        if len(found) != 1 or not kid:
            count = "no key" if not found else "more than one key"
            raise SigningKeyError(
                f"{count} of {destination} begins like that",
                hint=f"fhirbridge destination keys list {destination}",
            )
        return found[0]

    def every(self, tx: Connection, destination: str = "") -> list[SigningKey]:
        """Return the keys of one destination or of all, the oldest first."""
        chosen = select(sign_in_key).order_by(sign_in_key.c.published_at, sign_in_key.c.kid)
        if destination:
            chosen = chosen.where(sign_in_key.c.destination == destination)
        return [_read(row) for row in tx.execute(chosen)]

    def published(self, tx: Connection, destination: str = "") -> dict[str, Any]:
        """Return the JWK Set that EHRs verify us by: public keys only."""
        return {
            "keys": [
                one.public for one in self.every(tx, destination) if one.stage is not Stage.RETIRED
            ]
        }

    def signs(self, tx: Connection, destination: str) -> bool:
        """Say whether there is a key that signs."""
        return any(one.stage is Stage.USED for one in self.every(tx, destination))

    def signer(self, tx: Connection, destination: str) -> Signer | None:
        """Open the key that signs for a destination."""
        used = [one for one in self.every(tx, destination) if one.stage is Stage.USED]
        if not used:
            return None
        kid = used[0].kid
        sealed = tx.scalar(select(sign_in_key.c.sealed).where(sign_in_key.c.kid == kid))
        pem = self._vault.unseal(self._vault.key(tx, _owner(kid)), sealed or b"", _owner(kid))
        return Signer(
            kid=kid,
            algorithm=used[0].algorithm,
            key=from_pem(pem),
            published_at=used[0].published_at,
        )


def make(algorithm: Algorithm) -> ECKey | RSAKey:
    """Make a key; slow for RSA, so do it outside of a transaction."""
    if algorithm is Algorithm.ES384:
        return ECKey.generate_key(CURVE, private=True)
    return RSAKey.generate_key(RSA_BITS, private=True)


def from_pem(pem: bytes) -> ECKey | RSAKey:
    """Read a private key: EC on P-384, or RSA of 2048 bits and more. Raises SigningKeyError."""
    for kind in (ECKey, RSAKey):
        try:
            key = kind.import_key(pem)
        except (JoseError, TypeError, ValueError, AttributeError):
            continue
        if _is_fit(key):
            return key
    # Without a cause: it may quote the key.
    raise SigningKeyError(
        "this is not a private key that can sign: EC on P-384, or RSA of 2048 bits and more, PEM",
        hint="for example: openssl ecparam -name secp384r1 -genkey -noout -out KEY",
    ) from None


def _is_fit(key: ECKey | RSAKey) -> bool:
    if not key.is_private:
        return False
    if isinstance(key, ECKey):
        return key.curve_name == CURVE
    return key.private_key is not None and key.private_key.key_size >= LEAST_RSA_BITS


def _bare(public: dict[str, Any]) -> dict[str, Any]:
    """Keep what a public key consists of: whatever else a library adds is not published."""
    return {name: public[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in public}


def _owner(kid: str) -> str:
    return f"sign-in-key:{kid}"


def _read(row: Row[Any]) -> SigningKey:
    stages = {
        Stage.RETIRED: row.retired_at,
        Stage.LEFT: row.left_at,
        Stage.USED: row.used_at,
        Stage.PUBLISHED: row.published_at,
    }
    stage, since = next((stage, at) for stage, at in stages.items() if at)
    return SigningKey(
        kid=row.kid,
        destination=row.destination,
        algorithm=Algorithm(row.algorithm),
        stage=stage,
        since=moment.from_text(since),
        published_at=moment.from_text(row.published_at),
        public=codec.decode(row.public.encode()),
    )


def _words(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
