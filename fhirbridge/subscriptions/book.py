"""Keep how each EHR is to call us, what notifications said, and when to look because of them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.subscription_tables import subscription
from fhirbridge.store.upsert import insert
from fhirbridge.subscriptions import notification, pace
from fhirbridge.subscriptions.notification import Told
from fhirbridge.subscriptions.wanted import State, Wanted, hashed, is_same

SECRET_BYTES = 32
NOTED_EACH = timedelta(minutes=1)  # that one came: a storm of them is no storm of commits
MOST_NUMBERS = 50  # Subscriptions whose events are counted, for each destination
NEVER = ""
_BLANK = "said renewed_at ends_at checked_at notified_at heartbeat_at gap_at due_at looked_at"
NOTHING_YET = "nothing of ours is there yet: it is asked for with the first delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one destination is to have, and how it stood when it was last checked."""

    id: str  # another one once its secrets are others
    wanted: Wanted
    types: tuple[str, ...]  # (): all that it has of ours
    ids: Mapping[str, str]  # of its Subscriptions there, by type
    state: State
    renewed_at: datetime | None  # None: it is not there as it is to be
    checked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How our Subscriptions at one EHR stand now; as before, where it could not be asked."""

    state: State
    said: str = ""
    ids: Mapping[str, str]
    written: Sequence[str] = ()  # types
    is_whole: bool = False  # nothing was refused
    removed: int = 0
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """Reads and writes the rows with this vault and chance."""

    vault: Vault
    rng: Rng

    def ask_for(
        self, tx: Connection, name: str, address: str, types: Sequence[str], *, now: datetime
    ) -> None:
        """Let a destination call us from now on; with new secrets where it did before."""
        self._put(tx, name, now, address=address, types=" ".join(types))

    def change_secrets(self, tx: Connection, *, now: datetime) -> int:
        """Let no EHR call us by what is known now; each is told the new at its next look."""
        rows = tx.execute(select(subscription)).all()
        for row in rows:
            self._put(tx, row.destination, now, address=row.address, types=row.types)
        return len(rows)

    def find(self, tx: Connection, name: str) -> Kept | None:
        """Return what a destination is to have, or None where it is not to call us."""
        row = _row(tx, name)
        if row is None:
            return None
        key = self.vault.key(tx, _owner(row.id))
        sealed = codec.decode_own(self.vault.unseal(key, row.sealed, _owner(row.id)))
        return Kept(
            id=row.id,
            wanted=Wanted(name=self._name(row.destination), address=row.address, **sealed),
            types=tuple(row.types.split()),
            ids=codec.decode_own(row.ids.encode()),
            state=State(row.state),
            renewed_at=_time(row.renewed_at),
            checked_at=_time(row.checked_at),
        )

    def mark(self, destination: str) -> Wanted:
        """Return what ours at a destination are known by, and nothing else of them."""
        return Wanted(name=self._name(destination), address="", token="", secret="")

    def _name(self, destination: str) -> str:
        """Return what marks our Subscriptions at a destination: the same for ever, and opaque."""
        return self.vault.digest(f"subscriptions of {destination}")[:32]

    def forget(self, tx: Connection, name: str, *, now: datetime) -> None:
        """Let a destination call us no more, from this moment on."""
        row = _row(tx, name)
        if row is not None:
            self.vault.shred(tx, _owner(row.id), moment.to_text(now))
            tx.execute(delete(subscription).where(subscription.c.destination == name))

    def _put(self, tx: Connection, name: str, now: datetime, *, address: str, types: str) -> None:
        before = _row(tx, name)
        self.forget(tx, name, now=now)
        secrets = {"token": self._secret(), "secret": self._secret()}
        new = new_id(self.rng)
        key = self.vault.new_key(tx, _owner(new))
        row = {
            **dict.fromkeys(_BLANK.split(), NEVER),
            "destination": name,
            "id": new,
            "address": address,
            "types": types,
            "token_hash": hashed(secrets["token"]),
            "secret_hash": hashed(secrets["secret"]),
            "sealed": self.vault.seal(key, codec.canonical(secrets), _owner(new)),
            "ids": "{}" if before is None else before.ids,
            "state": State.REQUESTED,
            "numbers": "{}" if before is None else before.numbers,
            "gaps": 0 if before is None else before.gaps,
            "wait_seconds": 0,
        }
        tx.execute(insert(subscription).values(row))

    def _secret(self) -> str:
        return base64.urlsafe_b64encode(self.rng.token(SECRET_BYTES)).decode().rstrip("=")


def known(tx: Connection, token: str, secret: str) -> str:
    """Return which destination calls by this token and secret, or ""."""
    sent = hashed(token), hashed(secret)
    row = tx.execute(select(subscription).where(subscription.c.token_hash == sent[0])).first()
    right = ("", "") if row is None else (row.token_hash, row.secret_hash)
    met = [is_same(one, other) for one, other in zip(sent, right, strict=True)]  # both, always
    return row.destination if row is not None and all(met) else ""


def is_news(tx: Connection, name: str, told: Told, *, now: datetime) -> bool:
    """Say whether anything has to be written because of a notification."""
    row = _row(tx, name)
    return row is not None and _changes(row, told, now) != {}


def note(tx: Connection, name: str, told: Told, *, now: datetime) -> None:
    """Note a notification: when to look, and how far its events were heard of."""
    row = _row(tx, name)
    changes = {} if row is None else _changes(row, told, now)
    if changes:
        noted = update(subscription).where(subscription.c.destination == name)
        tx.execute(noted.values(changes))


def _changes(row: Row[Any], told: Told, now: datetime) -> dict[str, Any]:
    numbers = codec.decode_own(row.numbers.encode())
    last, is_gap = notification.counted(numbers.get(told.subscription), told)
    changes: dict[str, Any] = {}
    counts = told.subscription and (told.subscription in numbers or len(numbers) < MOST_NUMBERS)
    if counts and last != numbers.get(told.subscription):
        numbers[told.subscription] = last
        changes |= {"numbers": codec.canonical(numbers).decode()}
    is_gap = bool(counts and is_gap)
    if is_gap:
        changes |= {"gaps": row.gaps + 1, "gap_at": moment.to_text(now)}
    seen = "heartbeat_at" if told.shape in notification.QUIET else "notified_at"
    noted = getattr(row, seen)
    if not noted or not timedelta() <= now - moment.from_text(noted) < NOTED_EACH:
        changes |= {seen: moment.to_text(now)}
    if told.tells_of_a_change or is_gap:
        at_once = is_gap and pace.is_long_ago(now, _time(row.gap_at))
        due = moment.to_text(pace.due(now, _looked(row), _wait(row), at_once=at_once))
        if not row.due_at or due < row.due_at:
            changes |= {"due_at": due, seen: moment.to_text(now)}
    return changes


def due(tx: Connection, now: datetime) -> list[str]:
    """Return the destinations at which to look now because they told that something changed."""
    chosen = select(subscription.c.destination).where(
        subscription.c.due_at != NEVER, subscription.c.due_at <= moment.to_text(now)
    )
    return list(tx.scalars(chosen.order_by(subscription.c.due_at)))


def take(tx: Connection, name: str, *, now: datetime) -> bool:
    """Take the look that is due; False where another process did just before."""
    row = _row(tx, name)
    if row is None or not row.due_at or row.due_at > moment.to_text(now):
        return False
    wait = pace.next_wait(_wait(row), now, _looked(row))
    values = {"looked_at": moment.to_text(now), "wait_seconds": int(wait.total_seconds())}
    _set(tx, name, due_at=NEVER, **values)
    return True


def is_asked(tx: Connection, name: str) -> bool:
    """Say whether a look was asked for, whenever it is due."""
    row = _row(tx, name)
    return row is not None and row.due_at != NEVER


def answer(tx: Connection, name: str) -> None:
    """Note that a look begins anyway: what was told until now is seen by it."""
    _set(tx, name, due_at=NEVER)


def note_check(tx: Connection, kept: Kept, found: Checked, *, now: datetime) -> None:
    """Note how our Subscriptions at an EHR stand. What went wrong stands until all are active.

    Nothing is noted where they are asked for anew meanwhile, or no more.
    """
    this = subscription.c.id == kept.id
    row = tx.execute(select(subscription).where(this)).one_or_none()
    if row is None:
        return
    mends = row.state == State.ERROR and found.state is State.REQUESTED
    values: dict[str, Any] = {
        "state": State.ERROR if mends else found.state,
        "said": found.said or (row.said if mends else ""),
        "ids": codec.canonical(dict(found.ids)).decode(),
        "checked_at": moment.to_text(now),
    }
    if found.written and found.is_whole:
        values |= {"renewed_at": moment.to_text(now)}
    if found.ends_at is not None:
        values |= {"ends_at": moment.to_text(found.ends_at)}
    tx.execute(update(subscription).where(this).values(values))


def in_trouble(tx: Connection) -> list[str]:
    """Return the destinations whose notifications do not come, as far as is known."""
    chosen = select(subscription.c.destination).where(subscription.c.state == State.ERROR)
    return list(tx.scalars(chosen.order_by(subscription.c.destination)))


def shown(tx: Connection, name: str) -> dict[str, Any]:
    """Return how notifications of a destination stand, for people and programs."""
    row = _row(tx, name)
    texts = ("said", "renewed_at", "ends_at", "notified_at", "heartbeat_at")
    if row is None:
        return {"state": State.OFF.value, "types": [], **dict.fromkeys(texts, ""), "gaps": 0}
    ids = codec.decode_own(row.ids.encode())
    return {
        "state": row.state,
        "types": row.types.split() or sorted(ids),
        **{one: getattr(row, one) for one in texts},
        "gaps": row.gaps,
    }


def _row(tx: Connection, name: str) -> Row[Any] | None:
    return tx.execute(select(subscription).where(subscription.c.destination == name)).one_or_none()


def _set(tx: Connection, name: str, **values: Any) -> None:
    tx.execute(update(subscription).where(subscription.c.destination == name).values(values))


def _looked(row: Row[Any]) -> datetime | None:
    return _time(row.looked_at)


def _time(text: str) -> datetime | None:
    return moment.from_text(text) if text else None


def _wait(row: Row[Any]) -> timedelta:
    return timedelta(seconds=row.wait_seconds)


def _owner(row_id: str) -> str:
    return f"subscription:{row_id}"
