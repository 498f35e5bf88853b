"""The access token of each destination, in the database: one for all threads and processes.

Who finds it old takes a lease by compare-and-swap and fetches the next one; the others go on with
the old one while it is good, or wait.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from fhirbridge import log
from fhirbridge.clock import Clock
from fhirbridge.signin import book, turns
from fhirbridge.signin.book import Kept
from fhirbridge.signin.grant import Failed, Fetched, Granted, Refused
from fhirbridge.signin.turns import Do, Standing
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault
from fhirbridge.store.sign_in_tables import sign_in_token

LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 15.0

Fetch = Callable[[str], tuple[Fetched, str]]
"""Gets the token endpoint that is known, or ""; returns what came of it and the endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Held:
    """A token that may be sent."""

    token: str
    version: int
    scopes: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """There is none. `refused`: they do not let us in; else it may be tried again later."""

    reason: str
    refused: bool = False


class Tokens:
    """Hands out tokens; the only one who writes `sign_in_token`."""

    def __init__(self, *, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock

    def get(self, kept: Kept, fetch: Fetch) -> Held | Denied:
        """Return a token to send now; fetch one where it is our turn."""
        until = self._clock.monotonic() + PATIENCE_SECONDS
        while self._clock.monotonic() < until:
            found = self._next(kept, fetch)
            if found is not None:
                return found
            self._clock.sleep(LOOK_SECONDS)
        return Denied(reason="another process is fetching a token, and it takes too long")

    def _next(self, kept: Kept, fetch: Fetch) -> Held | Denied | None:
        """Do what there is to do now; None: look again soon."""
        row = self._row(kept)
        if row is None:
            return Denied(reason="the sign-in is being changed")
        known, now = _standing(row), self._clock.now()
        match turns.decide(known, now):
            case Do.USE:
                return self._opened(row)
            case Do.STOP:
                return _stop(row, known, now)
            case Do.LATER:
                return Denied(reason=row.trouble)
            case Do.FETCH:
                return self._fetched(kept, row, fetch)
        return None

    def refuse(self, kept: Kept, held: Held) -> None:
        """Note that the EHR does not take this token; nobody sends it again."""
        with self._store.begin() as tx:
            row = _select(tx, kept)
            if row is None or row.version != held.version or row.sealed is None:
                return
            now = self._clock.now()
            refused = _times(row.refused_at)
            if turns.was_never_good(moment.from_text(row.issued_at), now):
                refused = turns.with_refusal(refused, now)
            trouble = "the EHR refused a token that was just given to us"
            values = {"sealed": None, "refused_at": _texts(refused), "trouble": trouble}
            same = sign_in_token.c.version == held.version
            tx.execute(_update(kept).where(same).values(**values))

    def look(self, tx: Connection, destination: str) -> Row[Any] | None:
        """Return what is known of a destination's token, for people; nothing is opened."""
        chosen = select(sign_in_token).where(sign_in_token.c.destination == destination)
        return tx.execute(chosen).one_or_none()

    def _row(self, kept: Kept) -> Row[Any] | None:
        with self._store.read() as tx:
            return _select(tx, kept)

    def _opened(self, row: Row[Any]) -> Held:
        owner = book.owner(row.sign_in)
        with self._store.read() as tx:
            key = self._vault.key(tx, owner)
        token = self._vault.unseal(key, row.sealed, f"token:{row.sign_in}:{row.version}")
        return Held(
            token=token.decode("ascii"),
            version=row.version,
            scopes=row.scopes,
            expires_at=moment.from_text(row.expires_at),
        )

    # --- fetching -----------------------------------------------------------------------------

    def _fetched(self, kept: Kept, row: Row[Any], fetch: Fetch) -> Held | Denied | None:
        """Take the lease and fetch; None where somebody else took it."""
        if not self._lease(kept, row.fence):
            return None
        found, token_url = fetch(row.token_url)
        with self._store.begin() as tx:
            now = self._clock.now()
            current = _select(tx, kept)  # somebody may have refused the old token meanwhile
            if current is None or current.fence != row.fence + 1:
                return Denied(reason="the sign-in was changed meanwhile")
            values = self._values(tx, kept, current, found, now)
            fresh = {"leased_until": "", "token_url": token_url}
            mine = _update(kept).where(sign_in_token.c.fence == current.fence)
            tx.execute(mine.values(**values, **fresh))
            after = _select(tx, kept)
        self._tell(kept, found)
        return self._result(after, found)

    def _lease(self, kept: Kept, fence: int) -> bool:
        until = moment.to_text(self._clock.now() + turns.LEASE)
        with self._store.begin() as tx:
            taken = _update(kept).where(sign_in_token.c.fence == fence)
            return tx.execute(taken.values(fence=fence + 1, leased_until=until)).rowcount == 1

    def _values(
        self, tx: Connection, kept: Kept, row: Row[Any], found: Fetched, now: datetime
    ) -> dict[str, Any]:
        if isinstance(found, Refused):
            refused = turns.with_refusal(_times(row.refused_at), now)
            quiet = moment.to_text(now + turns.AFTER_REFUSAL)
            said = {"refused_at": _texts(refused), "trouble": found.reason}
            return {**said, "quiet_until": quiet}
        if isinstance(found, Failed):
            quiet = moment.to_text(now + found.wait)
            return {"quiet_until": quiet, "trouble": found.reason}
        version = row.version + 1
        key = self._vault.key(tx, book.owner(kept.id))
        named = f"token:{kept.id}:{version}"
        return {
            "version": version,
            "sealed": self._vault.seal(key, found.token.encode("ascii"), named),
            "scopes": found.scopes,
            "issued_at": moment.to_text(now),
            "refresh_at": moment.to_text(now + found.refresh_after),
            "expires_at": moment.to_text(now + found.life),
            "quiet_until": "",
            "trouble": "",
        }

    def _result(self, after: Row[Any] | None, found: Fetched) -> Held | Denied:
        if after is not None and turns.is_usable(_standing(after), self._clock.now()):
            return self._opened(after)  # also the old one, where no new one came
        if isinstance(found, Granted):
            return Denied(reason="the sign-in was changed meanwhile")
        again = after is not None and turns.is_over(_standing(after), self._clock.now())
        return Denied(reason=found.reason, refused=again and isinstance(found, Refused))

    def _tell(self, kept: Kept, found: Fetched) -> None:
        outcome = type(found).__name__.lower()
        log.get().info("sign_in.asked", destination=kept.destination, outcome=outcome)


def _stop(row: Row[Any], known: Standing, now: datetime) -> Denied:
    again = turns.may_call_at(known, now) or now
    words = f"{row.trouble}; {turns.MOST_REFUSED} calls for a token came to nothing, the next one "
    return Denied(reason=f"{words}may go at {again:%H:%M:%S} UTC", refused=True)


def _select(tx: Connection, kept: Kept) -> Row[Any] | None:
    chosen = select(sign_in_token).where(
        sign_in_token.c.destination == kept.destination, sign_in_token.c.sign_in == kept.id
    )
    return tx.execute(chosen).one_or_none()


def _update(kept: Kept) -> Any:
    return update(sign_in_token).where(
        sign_in_token.c.destination == kept.destination, sign_in_token.c.sign_in == kept.id
    )


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        has_token=row.sealed is not None,
        issued_at=_moment(row.issued_at),
        refresh_at=_moment(row.refresh_at),
        expires_at=_moment(row.expires_at),
        leased_until=_moment(row.leased_until),
        quiet_until=_moment(row.quiet_until),
        refused=_times(row.refused_at),
    )


def _moment(text: str) -> datetime | None:
    return moment.from_text(text) if text else None


def _times(text: str) -> tuple[datetime, ...]:
    return tuple(moment.from_text(one) for one in text.split())


def _texts(times: tuple[datetime, ...]) -> str:
    return " ".join(moment.to_text(one) for one in times)
