"""Move a delivery along the graph of its states, with one evidence row for each move.

Where it arrives or begins to wait for a person, an event tells others of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, or_, select, update

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.outbox import telling
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.states import BLOCKED, STUCK, Became, State, Way, check_move
from fhirbridge.outbox.waking import Waking
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item

_ONE = select(delivery).where(delivery.c.id == bindparam("of_delivery"))
# Built once: a delivery notes each of its resources twice.
_ALL_NOTED = (
    update(delivery_item)
    .where(
        delivery_item.c.delivery_id == bindparam("of_delivery"),
        delivery_item.c.position.in_(bindparam("at_positions", expanding=True)),
    )
    .values(outcome=bindparam("became"), reason=bindparam("why"))
)
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

    def __init__(self, *, audit: EvidenceLog, clock: Clock, waking: Waking) -> None:
        self._audit = audit
        self._clock = clock
        self._waking = waking

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
            self._waking.wake(tx, row.destination, row.lane)
        tx.execute(_moved(tuple(values)), {"of_delivery": delivery_id, **_new(values)})
        self._note(tx, row, step, actor)
        telling.tell(
            tx,
            step.to,
            delivery=row.id,
            record=row.record_id,
            destination=row.destination,
            lane=row.lane,
            reason=step.reason,
            at=now,
        )
        if step.to in (State.DELIVERED, State.SUPERSEDED):
            _look_again(tx, row)

    def note_item(
        self, tx: Connection, delivery_id: str, position: int, outcome: str, *, reason: str = ""
    ) -> None:
        """Note what became of one resource; `reason` where it is refused or blocked."""
        item = {"of_delivery": delivery_id, "at_position": position}
        tx.execute(_NOTED, {**item, "became": outcome, "why": reason})

    def note_items(
        self,
        tx: Connection,
        delivery_id: str,
        became: Mapping[int, str],
        why: Mapping[int, str] | None = None,
    ) -> None:
        """Note what became of several, by position, none refused or blocked; `why` of some."""
        said = why or {}
        together: dict[tuple[str, str], list[int]] = {}
        for position, outcome in became.items():
            together.setdefault((outcome, said.get(position, "")), []).append(position)
        for (outcome, reason), positions in together.items():
            several = {"of_delivery": delivery_id, "at_positions": positions}
            tx.execute(_ALL_NOTED, {**several, "became": outcome, "why": reason})

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


@cache
def _moved(columns: tuple[str, ...]) -> Update:
    """Build the update of these columns once: each delivery is moved several times."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return update(delivery).where(delivery.c.id == bindparam("of_delivery")).values(**values)


def _new(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in values.items()}


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
    shared = row.lane == SHARED_LANE
    own = {} if shared else {"of_lane": row.lane, "named": f"{BLOCKED}{row.id}"}
    tx.execute(_looking_again(shared=shared), {"of_ehr": row.destination, **own})


@cache
def _looking_again(*, shared: bool) -> Update:
    blocked = update(delivery).where(
        delivery.c.destination == bindparam("of_ehr"),
        delivery.c.state == State.PENDING,
        delivery.c.reason.startswith(BLOCKED),
    )
    if not shared:
        # By its own name also in the chart of another patient, to which its session went.
        named = delivery.c.reason == bindparam("named")
        blocked = blocked.where(or_(delivery.c.lane == bindparam("of_lane"), named))
    return blocked.values(reason="")
