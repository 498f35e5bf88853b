"""Bugs to plant, each the change of one decision: a checker that misses one is worth nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest
from sqlalchemy import Connection, Row, select

from fhirbridge.audit.log import Entry, EvidenceLog
from fhirbridge.consent import state as consent
from fhirbridge.deliver import bundle, decide, prepare
from fhirbridge.deliver.bundle import NOT_THERE, Send
from fhirbridge.deliver.prepare import Step
from fhirbridge.fhir import codec
from fhirbridge.intake.accept import Intake, Receipt
from fhirbridge.outbox import backoff, beside, claim, contents
from fhirbridge.outbox.claim import Item
from fhirbridge.outbox.contents import Owner
from fhirbridge.outbox.enqueue import NOTHING_HELD, Outbox, Owed
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import BLOCKED, EDITED, REFUSED, State
from fhirbridge.reconcile import weigh
from fhirbridge.reconcile.compare import Kind
from fhirbridge.reconcile.run import Look, Report
from fhirbridge.reconcile.weigh import Choice
from fhirbridge.records import history
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import delivery, record
from tests.simulation.clinic import CANARY, PATIENTS, patient_key
from tests.simulation.place import EHR, MortalStore

Plant = Callable[[pytest.MonkeyPatch], None]


def hold_all(patch: pytest.MonkeyPatch) -> None:
    """Every conflict and every lost answer is taken for somebody's edit."""

    def held(_reason: str) -> Move:
        return Move(to=State.HELD, reason=f"{EDITED}something changed", counts={"runs": 0})

    patch.setattr(decide, "to_read_back", held)


def coalesce_latest(patch: pytest.MonkeyPatch) -> None:
    """The head of the queue sends the newest body there is, not the one that it pinned."""
    pinned = claim.items

    def newest(tx: Connection, delivery_id: str) -> list[Item]:
        found = []
        lane = tx.scalar(select(delivery.c.lane).where(delivery.c.id == delivery_id)) or ""
        for item in pinned(tx, delivery_id):
            last = contents.last_pinned(tx, "ehr", item.identity, lane)
            found.append(
                item if last is None else replace(item, resource=last.id, digest=last.digest)
            )
        return found

    patch.setattr(claim, "items", newest)


def create_unguarded(patch: pytest.MonkeyPatch) -> None:
    """A create goes without its guard."""
    _rewrite(patch, lambda send, request: send.base == NOT_THERE and request.pop("ifMatch"))


def create_readback(patch: pytest.MonkeyPatch) -> None:
    """A create looks first whether it is there, and then goes without its guard."""
    create_unguarded(patch)
    prepared = prepare.prepare

    def look_first(tx: Connection, *, row: Row[Any], **more: Any) -> Any:
        made = prepared(tx, row=row, **more)
        fresh = row.attempts == 0 and any(send.base == NOT_THERE for send in made.sends)
        return replace(made, step=Step.READ) if fresh else made

    patch.setattr(prepare, "prepare", look_first)


def ack_before_commit(patch: pytest.MonkeyPatch) -> None:
    """The clinic is told before anything is on disk."""
    keep = Intake._keep

    def told_early(self: Intake, tx: Connection, *given: Any, **more: Any) -> Receipt:
        receipt = keep(self, tx, *given, **more)
        store = self._rooms.store
        assert isinstance(store, MortalStore)
        store.door(receipt.id)
        return receipt

    patch.setattr(Intake, "_keep", told_early)


def dual_write(patch: pytest.MonkeyPatch) -> None:
    """The record is one commit and what is owed of it another."""
    owe = Intake._owe_new

    def apart(self: Intake, tx: Connection, *given: Any, **more: Any) -> tuple[Owed, ...]:
        tx.exec_driver_sql("COMMIT")
        tx.exec_driver_sql("BEGIN IMMEDIATE")
        return owe(self, tx, *given, **more)

    patch.setattr(Intake, "_owe_new", apart)


def no_version_check(patch: pytest.MonkeyPatch) -> None:
    """Whatever came last counts, whichever version it is."""
    appended = history.append

    def append(tx: Connection, vault: Any, new: history.NewVersion) -> history.Appended:
        done = appended(tx, vault, new)
        if done.state == "older":
            return _make_current(tx, new, done)
        return done

    patch.setattr(history, "append", append)


def _make_current(
    tx: Connection, new: history.NewVersion, done: history.Appended
) -> history.Appended:
    rows = record.update().where(record.c.session_key == new.session_key)
    tx.execute(rows.values(state="older"))
    tx.execute(record.update().where(record.c.id == done.id).values(state="current"))
    return replace(done, state="current")


def no_patient_order(patch: pytest.MonkeyPatch) -> None:
    """Any delivery of a lane may go, whatever stands before it."""

    def any_of(tx: Connection, name: Any, now: datetime, *, most: int) -> list[Row[Any]]:
        chosen = select(delivery).where(
            delivery.c.destination == name.destination,
            delivery.c.lane == name.lane,
            delivery.c.state.in_(("pending", "sending", "unknown")),
            delivery.c.due_at <= moment.to_text(now),
            ~delivery.c.reason.startswith(BLOCKED),
        )
        return list(tx.execute(chosen.order_by(delivery.c.sequence.desc()).limit(most)))

    patch.setattr(claim, "next_in_lane", any_of)


def post(patch: pytest.MonkeyPatch) -> None:
    """A create is a plain POST: the EHR gives the id."""

    def posted(send: Send, request: dict[str, Any]) -> None:
        if send.base == NOT_THERE:
            request.pop("ifMatch")
            request |= {"method": "POST", "url": send.identity.type}

    _rewrite(patch, posted)


def no_if_match(patch: pytest.MonkeyPatch) -> None:
    """An update goes without the version that it is based on."""
    _rewrite(patch, lambda send, request: send.base != NOT_THERE and request.pop("ifMatch"))


def _rewrite(patch: pytest.MonkeyPatch, change: Callable[[Send, dict[str, Any]], Any]) -> None:
    """Change the request of each entry of a transaction."""
    written = bundle.transaction

    def transaction(sends: Sequence[Send]) -> bytes:
        made = codec.decode(written(sends))
        for send, entry in zip(sends, made["entry"], strict=True):
            change(send, entry["request"])
        return codec.encode(made)

    patch.setattr(bundle, "transaction", transaction)


def timeout_is_success(patch: pytest.MonkeyPatch) -> None:
    """Who does not answer has taken it."""

    read_back = decide.to_read_back

    def taken(reason: str) -> Move:
        return decide.delivered() if "timeout" in reason else read_back(reason)

    patch.setattr(decide, "to_read_back", taken)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """A worker that slept goes on as if the lane were still its own."""
    patch.setattr(claim, "check_fence", lambda *_given: None)


def give_up(patch: pytest.MonkeyPatch) -> None:
    """What failed three times is set aside, though nothing is wrong with it."""
    later = decide._try_later

    def try_later(row: Any, reason: str, *given: Any, **more: Any) -> Move:
        if row.attempts >= 2:
            return Move(to=State.PARKED, reason=f"{REFUSED}{reason}", counts={"runs": 0})
        return later(row, reason, *given, **more)

    patch.setattr(decide, "_try_later", try_later)


def no_reconcile(patch: pytest.MonkeyPatch) -> None:
    """Nobody compares what the EHR has with what it should have."""

    def unseen(_self: Look, **_more: Any) -> Report:
        return Report(destination=EHR, full=True)

    patch.setattr(Look, "run", unseen)


# --- more, so that each invariant has one that only it can find ----------------------------------


def no_consent(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether the patient agreed."""
    patch.setattr(consent, "refusal", lambda *_given: "")


def one_lane(patch: pytest.MonkeyPatch) -> None:
    """All patients' deliveries stand in one line."""
    write = Outbox._write

    def in_line(self: Outbox, tx: Connection, place: Any, *given: Any, **more: Any) -> None:
        lane = place.lane if place.lane == contents.SHARED_LANE else patient_key(PATIENTS[0])
        write(self, tx, place._replace(lane=lane), *given, **more)

    patch.setattr(Outbox, "_write", in_line)


def no_backoff(patch: pytest.MonkeyPatch) -> None:
    """What fails is tried again at once, and again."""
    patch.setattr(backoff, "next_wait", lambda *_given, **_more: timedelta())


def no_evidence(patch: pytest.MonkeyPatch) -> None:
    """Setting aside and holding leave no trace."""
    note = Settlement._note

    def silent(self: Settlement, tx: Connection, row: Any, step: Move, actor: str) -> None:
        if step.to not in (State.HELD, State.PARKED):
            note(self, tx, row, step, actor)

    patch.setattr(Settlement, "_note", silent)


def names_in_evidence(patch: pytest.MonkeyPatch) -> None:
    """An evidence row says whom it is about."""
    append = EvidenceLog.append

    def talkative(self: EvidenceLog, tx: Connection, entry: Entry) -> str:
        return append(self, tx, replace(entry, detail={**(entry.detail or {}), "of": CANARY}))

    patch.setattr(EvidenceLog, "append", talkative)


def no_seal(patch: pytest.MonkeyPatch) -> None:
    """Payloads lie open in the database."""
    unseal = Vault.unseal

    def opened(self: Vault, key: bytes, sealed: bytes, row: str) -> bytes:
        # What was there before the bug is sealed.
        return sealed if sealed.startswith((b"{", b"[")) else unseal(self, key, sealed, row)

    patch.setattr(Vault, "seal", lambda _self, _key, plain, _row: plain)
    patch.setattr(Vault, "unseal", opened)


def let_go(patch: pytest.MonkeyPatch) -> None:
    """What waits for a person goes on by itself."""
    move = Settlement.move

    def moved(self: Settlement, tx: Connection, own: str, step: Move, **more: Any) -> None:
        move(self, tx, own, step, **more)
        if step.to is State.HELD:
            move(self, tx, own, Move(to=State.PENDING), **more)

    patch.setattr(Settlement, "move", moved)


def old_after_new(patch: pytest.MonkeyPatch) -> None:
    """What was stuck goes out in the end, though something newer is there by then."""
    patch.setattr(beside, "delivered_later", lambda *_given: frozenset())


def bring_back(patch: pytest.MonkeyPatch) -> None:
    """What a clinician removed is taken for lost, and sent again."""
    chosen = weigh.choice

    def choice(kind: Kind, *given: Any) -> Choice:
        return Choice.OURS if kind is Kind.DELETED else chosen(kind, *given)

    patch.setattr(weigh, "choice", choice)


def repeat_is_owed(patch: pytest.MonkeyPatch) -> None:
    """What was said before is owed again, though there is nothing of it to send."""
    keep = Intake._keep

    def owed_again(self: Intake, tx: Connection, *given: Any, **more: Any) -> Receipt:
        receipt = keep(self, tx, *given, **more)
        if receipt.state == "repeated":
            key = tx.scalar(select(record.c.patient_key).where(record.c.id == receipt.id))
            owner = Owner(record_id=receipt.id, patient_key=str(key), set_digest="")
            self._rooms.outbox.put(
                tx,
                destination=EHR,
                owner=owner,
                touched=(),
                shield=NOTHING_HELD,
                make_provenance=_nothing_to_tell,
            )
        return receipt

    patch.setattr(Intake, "_keep", owed_again)


def _nothing_to_tell(*_given: Any) -> NoReturn:
    raise AssertionError("nothing is sent, so nobody vouches for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A bug, and how many seeds are enough to meet it."""

    plant: Plant
    seeds: int

    @property
    def name(self) -> str:
        return self.plant.__name__


NAMED = (
    Bug(plant=hold_all, seeds=50),
    Bug(plant=coalesce_latest, seeds=50),
    Bug(plant=create_unguarded, seeds=300),
    Bug(plant=create_readback, seeds=600),
    Bug(plant=ack_before_commit, seeds=50),
    Bug(plant=dual_write, seeds=50),
    Bug(plant=no_version_check, seeds=300),
    Bug(plant=no_patient_order, seeds=50),
    Bug(plant=post, seeds=50),
    Bug(plant=no_if_match, seeds=50),
    Bug(plant=timeout_is_success, seeds=300),
    Bug(plant=no_fence, seeds=50),
    Bug(plant=give_up, seeds=200),
    Bug(plant=no_reconcile, seeds=100),
)
MORE = (
    Bug(plant=no_consent, seeds=50),
    Bug(plant=one_lane, seeds=50),
    Bug(plant=no_backoff, seeds=50),
    Bug(plant=no_evidence, seeds=50),
    Bug(plant=names_in_evidence, seeds=5),
    Bug(plant=no_seal, seeds=5),
    Bug(plant=let_go, seeds=50),
    Bug(plant=old_after_new, seeds=600),
    Bug(plant=bring_back, seeds=100),
    Bug(plant=repeat_is_owed, seeds=5),
)
