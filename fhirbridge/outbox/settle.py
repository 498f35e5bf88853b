"""Move a delivery along the graph of its states, with one evidence row for each move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.states import BLOCKED, STUCK, Became, State, Way, check_move
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item

_ONE = select(delivery).where(delivery.c.id == bindparam("of_delivery"))
# Built once: a delivery notes each of its resources twice.
_NOTED = (
    update(delivery_item)
    .where(
        delivery_item.c.delivery_id == bindparam("of_delivery"),
        delivery_item.c.position == bindparam("at_position"),
    )
    .values(outcome=bindparam("became"), reason=bindparam("why"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where a delivery goes and why. `reason` is a stable code with words, no patient's value."""

    to: State
    reason: str = ""
    due_at: datetime | None = None
    way: Way | None = None  # how the rest of it goes from now on
    counts: Mapping[str, int] = field(
        default_factory=dict
    )  # runs, attempts, server_errors: new values


class Settlement:
    """Writes moves; who calls it holds the lane's fence."""

    def __init__(self, *, audit: EvidenceLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    def move(self, tx: Connection, delivery_id: str, step: Move, *, actor: str = "worker") -> None:
        """Carry out one move. Raises ForbiddenMoveError where the graph has no such edge."""
        row = tx.execute(_ONE, {"of_delivery": delivery_id}).one()
        check_move(State(row.state), step.to)
        now = self._clock.now()
        values: dict[str, Any] = {
            "state": step.to,
            "reason": step.reason,
            "changed_at": moment.to_text(now),
        }
        values["due_at"] = moment.to_text(step.due_at or now)
        values |= step.counts
        if step.way is not None:
            values["way"] = step.way
        if row.state in STUCK and step.to is State.PENDING:
            values["way"] = Way.BUNDLE
            _forget_refusals(tx, delivery_id)
        tx.execute(update(delivery).where(delivery.c.id == delivery_id).values(**values))
        self._note(tx, row, step, actor)
        if step.to in (State.DELIVERED, State.SUPERSEDED):
            _look_again(tx, row)

    def note_item(
        self, tx: Connection, delivery_id: str, position: int, outcome: str, *, reason: str = ""
    ) -> None:
        """Note what became of one resource; `reason` where it is refused or blocked."""
        item = {"of_delivery": delivery_id, "at_position": position}
        tx.execute(_NOTED, {**item, "became": outcome, "why": reason})

    def note_items(self, tx: Connection, delivery_id: str, became: Mapping[int, str]) -> None:
        """Note what became of several, by position, none refused or blocked."""
        items = [
            {"of_delivery": delivery_id, "at_position": position, "became": outcome, "why": ""}
            for position, outcome in became.items()
        ]
        if items:
            tx.execute(_NOTED, items)

    def note_names(
        self,
        tx: Connection,
        delivery_id: str,
        positions: Sequence[int],
        *,
        link: str,
        decided: int,
    ) -> None:
        """Note by which link these go to the EHR's own patient, and up to which other decision."""
        tx.execute(
            update(delivery_item)
            .where(
                delivery_item.c.delivery_id == delivery_id, delivery_item.c.position.in_(positions)
            )
            .values(link=link, decided=decided)
        )

    def _note(self, tx: Connection, row: Row[Any], step: Move, actor: str) -> None:
        entry = Entry(
            actor=actor,
            action=Action.DELIVERY_CHANGED,
            outcome=step.to.value,
            record_id=row.record_id,
            delivery_id=row.id,
            destination=row.destination,
            detail={"from": row.state, "to": step.to.value, "reason": step.reason},
        )
        self._audit.append(tx, entry)


def _forget_refusals(tx: Connection, delivery_id: str) -> None:
    """Try again what was refused, and what waited for it: the EHR or its rules may have changed."""
    tx.execute(
        update(delivery_item)
        .where(
            delivery_item.c.delivery_id == delivery_id,
            delivery_item.c.outcome.in_([Became.REFUSED, Became.BLOCKED]),
        )
        .values(outcome=Became.WAITING, reason="")
    )


def _look_again(tx: Connection, row: Row[Any]) -> None:
    """Let what is blocked look again: what it waits for came, or comes with another delivery."""
    blocked = update(delivery).where(
        delivery.c.destination == row.destination,
        delivery.c.state == State.PENDING,
        delivery.c.reason.startswith(BLOCKED),
    )
    if row.lane != SHARED_LANE:
        # By its own name also in the chart of another patient, to which its session went.
        named = delivery.c.reason == f"{BLOCKED}{row.id}"
        blocked = blocked.where(or_(delivery.c.lane == row.lane, named))
    tx.execute(blocked.values(reason=""))
