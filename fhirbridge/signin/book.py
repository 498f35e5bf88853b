"""Keep how we sign in to each destination; what is secret is sealed under a key of its own."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from fhirbridge.clock import Clock
from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, new_id
from fhirbridge.signin import methods
from fhirbridge.signin.methods import NO_SECRETS, OPEN, Change, Secrets, SignIn
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.sign_in_tables import sign_in, sign_in_token

_TEXTS = "scopes issued_at refresh_at expires_at token_url leased_until refused_at quiet_until"
_FORGOTTEN = {"sealed": None, **dict.fromkeys([*_TEXTS.split(), "trouble"], "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One destination's sign-in. `id` is another one after each change."""

    id: str
    destination: str
    settings: SignIn
    secrets: Secrets


class Book:
    """Reads and writes the sign-in of destinations with this vault, clock and chance."""

    def __init__(self, *, vault: Vault, clock: Clock, rng: Rng) -> None:
        self._vault = vault
        self._clock = clock
        self._rng = rng

    def change(self, tx: Connection, destination: str, change: Change) -> Kept:
        """Set what `change` names; the rest stays. Raises SignInError and what `check` raises.

        Tokens that were fetched before are forgotten, refusals too.
        """
        before = self.find(tx, destination)
        known = (before.settings, before.secrets) if before else (OPEN, NO_SECRETS)
        settings, secrets = change.applied(*known)
        methods.check(settings, secrets)
        return self._put(tx, destination, settings, secrets)

    def find(self, tx: Connection, destination: str) -> Kept | None:
        """Return the sign-in of one destination, or None where none was set."""
        row = tx.execute(select(sign_in).where(sign_in.c.destination == destination)).one_or_none()
        if row is None:
            return None
        key = self._vault.key(tx, owner(row.id))
        sealed = codec.decode(self._vault.unseal(key, row.sealed, owner(row.id)))
        return Kept(
            id=row.id,
            destination=destination,
            settings=SignIn.of(codec.decode(row.settings.encode())),
            secrets=Secrets(**sealed),
        )

    def forget(self, tx: Connection, destination: str) -> None:
        """Remove the sign-in of one destination, and erase its secrets."""
        old = tx.scalar(select(sign_in.c.id).where(sign_in.c.destination == destination))
        if old is not None:
            self._vault.shred(tx, owner(old), moment.to_text(self._clock.now()))
            for table in (sign_in, sign_in_token):
                tx.execute(delete(table).where(table.c.destination == destination))

    def forget_tokens(self, tx: Connection) -> None:
        """Forget the token of every destination, and what came of asking for it."""
        tx.execute(update(sign_in_token).values(_FORGOTTEN))

    def _put(self, tx: Connection, destination: str, settings: SignIn, secrets: Secrets) -> Kept:
        self.forget(tx, destination)
        new = new_id(self._rng)
        key = self._vault.new_key(tx, owner(new))
        plain = codec.canonical({"secret": secrets.secret, "key": secrets.key})
        row = {
            "destination": destination,
            "id": new,
            "settings": codec.canonical(settings.plain()).decode(),
            "sealed": self._vault.seal(key, plain, owner(new)),
            "at": moment.to_text(self._clock.now()),
        }
        tx.execute(insert(sign_in).values(row))
        tx.execute(insert(sign_in_token).values(_no_token(destination, new)))
        return Kept(id=new, destination=destination, settings=settings, secrets=secrets)


def owner(sign_in_id: str) -> str:
    """Name the owner of the key that seals a sign-in and its token."""
    return f"sign-in:{sign_in_id}"


def _no_token(destination: str, sign_in_id: str) -> dict[str, Any]:
    named = {"destination": destination, "sign_in": sign_in_id}
    return {**named, "version": 0, "fence": 0, **_FORGOTTEN}
