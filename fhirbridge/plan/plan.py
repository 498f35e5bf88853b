"""A plan: made, written to a file, read again, and begun where the state is still the one it saw.

The file holds opaque ids, names and digests, nothing of a patient.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus

from sqlalchemy import Connection, insert, select

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.selection import Selection
from fhirbridge.outbox.states import OPEN, STUCK
from fhirbridge.plan import foresee, scope, seen
from fhirbridge.plan.foresee import GOES, Foreseen, Step
from fhirbridge.store import moment
from fhirbridge.store.tables import begun_plan, delivery

FORMAT = "fhirbridge/plan/v1"
TIMES = ("received_from", "received_before")


class StalePlanError(BridgeError):
    """What a plan rests on has changed since it was made."""

    code = "E503"
    http_status = HTTPStatus.CONFLICT


class PlanFileError(BridgeError):
    """A file is no plan, or was changed."""

    code = "E504"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done, and the digest of the state that it was read from."""

    made_at: str
    selection: Selection
    state: str
    deliveries: tuple[Foreseen, ...]

    @property
    def has_requests(self) -> bool:
        """Say whether anything would be asked of an EHR."""
        return any(one.step in (Step.SEND, Step.READ_BACK) for one in self.deliveries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A plan as its file keeps it: which deliveries go."""

    digest: str
    selection: Selection
    state: str
    deliveries: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What of a plan is left to do; `resumed` where it was begun before."""

    resumed: bool
    left: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of it: each delivery of the plan as it stands now."""

    resumed: bool
    settled: int
    deliveries: tuple[dict[str, str], ...]

    @property
    def left(self) -> tuple[dict[str, str], ...]:
        """Return what is not through."""
        return tuple(one for one in self.deliveries if one["state"] in (*OPEN, *STUCK))


def make(tx: Connection, contents: Contents, chosen: Selection, *, now: datetime) -> Plan:
    """Look ahead from the state as it is in this snapshot."""
    meant = scope.of(tx, chosen)
    return Plan(
        made_at=moment.to_text(now),
        selection=chosen,
        state=seen.digest(tx, meant),
        deliveries=tuple(foresee.foresee(tx, contents, now=now, meant=meant)),
    )


def to_bytes(plan: Plan) -> bytes:
    """Write a plan as a file."""
    held = {
        "format": FORMAT,
        "made_at": plan.made_at,
        "selection": _plain(plan.selection),
        "state": plan.state,
        "deliveries": [one.delivery for one in plan.deliveries if one.step in GOES],
    }
    return codec.canonical({**held, "digest": codec.content_hash(held)}) + b"\n"


def from_bytes(raw: bytes) -> Written:
    """Read a plan's file. Raises PlanFileError or NotJsonError."""
    held = codec.decode(raw)
    try:
        digest = held.pop("digest")
        if held["format"] != FORMAT or digest != codec.content_hash(held):
            raise _no_plan()
        return Written(
            digest=digest,
            selection=_selection(held["selection"]),
            state=held["state"],
            deliveries=tuple(held["deliveries"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _no_plan() from None


def begin(tx: Connection, audit: EvidenceLog, plan: Written, *, at: datetime, actor: str) -> Begun:
    """Begin a plan, or go on with one that was begun. Raises StalePlanError, and does nothing."""
    known = tx.execute(select(begun_plan).where(begun_plan.c.digest == plan.digest)).first()
    if known is None:
        if seen.digest(tx, scope.of(tx, plan.selection)) != plan.state:
            raise StalePlanError(
                "something has changed since this plan was made; nothing was sent",
                hint="make it again: fhirbridge sync plan --out FILE",
            )
        tx.execute(insert(begun_plan).values(digest=plan.digest, at=moment.to_text(at)))
    detail = {"plan": plan.digest, "deliveries": len(plan.deliveries)}
    outcome = "begun" if known is None else "resumed"
    audit.append(tx, Entry(actor=actor, action=Action.PLAN_BEGUN, outcome=outcome, detail=detail))
    left = frozenset(one["delivery"] for one in _outcomes(tx, plan) if one["state"] in OPEN)
    return Begun(resumed=known is not None, left=left)


def applied(tx: Connection, plan: Written, begun: Begun, *, settled: int) -> Applied:
    """Say how each delivery of a plan stands now, in the plan's order."""
    found = tuple(_outcomes(tx, plan))
    return Applied(resumed=begun.resumed, settled=settled, deliveries=found)


def note_reading(tx: Connection, audit: EvidenceLog, plan: Plan, *, actor: str) -> None:
    """Note whose values somebody saw."""
    seen_of = {one.record for one in plan.deliveries if any(r.changes for r in one.resources)}
    for record_id in sorted(seen_of):
        entry = Entry(actor=actor, action=Action.DIFFERENCES_READ, record_id=record_id)
        audit.append(tx, entry)


def _outcomes(tx: Connection, plan: Written) -> list[dict[str, str]]:
    meant = set(plan.deliveries)
    rows = tx.execute(select(delivery.c.id, delivery.c.state, delivery.c.reason))
    found = {row.id: row for row in rows if row.id in meant}
    return [
        {"delivery": one, "state": found[one].state, "reason": found[one].reason}
        for one in plan.deliveries
        if one in found
    ]


def _plain(chosen: Selection) -> dict[str, str]:
    held = asdict(chosen)
    for name in TIMES:
        held[name] = "" if held[name] is None else moment.to_text(held[name])
    return held


def _selection(held: dict[str, str]) -> Selection:
    times = {name: moment.from_text(held[name]) if held[name] else None for name in TIMES}
    return Selection(**{**held, **times})  # type: ignore[arg-type]


def _no_plan() -> PlanFileError:
    return PlanFileError(
        "this file is not a plan, or was changed",
        hint="make one: fhirbridge sync plan --out FILE",
    )
