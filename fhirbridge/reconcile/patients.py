"""What a person decides about who a patient is, and what was written in whose chart meanwhile."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from fhirbridge.audit.log import Action, Entry
from fhirbridge.deliver import identify, ledger
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Response
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import is_id
from fhirbridge.matching import asking, decide, kept, merges, sight
from fhirbridge.matching.asking import Question
from fhirbridge.matching.decide import How, Why
from fhirbridge.matching.kept import State
from fhirbridge.matching.links import Decision, Who
from fhirbridge.outbox.contents import Identity
from fhirbridge.outbox.states import PATIENT, UNCERTAIN
from fhirbridge.outbox.states import State as Delivery
from fhirbridge.reconcile import lines
from fhirbridge.reconcile.act import Hands, Rooms
from fhirbridge.reconcile.compare import Kind, Shown, Theirs
from fhirbridge.reconcile.findings import Found
from fhirbridge.store.patient_tables import patient_link
from fhirbridge.store.tables import delivery, delivery_item, record, resource
from fhirbridge.store.tables import ledger as held

SHOWN = ("destination", "state", "ehr_id", "how", "actor", "at", "checked_at")


class PatientError(BridgeError):
    """A patient cannot be decided about as asked."""

    code = "E413"


class About(NamedTuple):
    """One patient, by our opaque name of it, at one destination."""

    destination: str
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision came to."""

    state: str
    released: int = 0  # deliveries that were held and go on
    elsewhere: int = 0  # resources in another chart than the one linked now


class Patients:
    """The desk at which persons decide. Every reason is sealed."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._links = rooms.links

    # --- look ---------------------------------------------------------------------------------

    def listed(self, destination: str | None, *, every: bool) -> list[dict[str, Any]]:
        """Return who waits for a person, or with `every` all that was decided. No PHI."""
        chosen = select(patient_link).where(patient_link.c.ended_at == "")
        if destination is not None:
            chosen = chosen.where(patient_link.c.destination == destination)
        if not every:
            chosen = chosen.where(patient_link.c.state == State.HELD)
        with self._rooms.store.read() as tx:
            if destination is not None:
                registry.get(tx, destination)
            there = {one.name for one in registry.every(tx)}  # at a removed one nobody waits
            rows = tx.execute(chosen.order_by(patient_link.c.sequence)).all()
            return [
                {**_shown(row), "waiting": _waiting(tx, row)}
                for row in rows
                if every or row.destination in there
            ]

    def shown(self, about: About, *, values: bool, actor: str) -> dict[str, Any]:
        """Return every decision and what was written; with `values`, which is noted, both sides."""
        with self._rooms.store.begin() as tx:
            rows = _rows(tx, about)
            if not rows:  # one whom nobody had to decide about: a Patient of ours
                _refuse_unknown(tx, about)
            found = [_shown(row) for row in rows]
            if values and rows:
                found = [{**_shown(row), **self._links.seen(tx, row)} for row in rows]
                self._note(tx, rows[-1], Action.PATIENT_READ, actor)
            written = _written(tx, about)
            return {"patient": about.lane, "decisions": found, "written": written}

    # --- decide -------------------------------------------------------------------------------

    def link(
        self, about: About, ehr_id: str, *, despite: Collection[str], reason: str, actor: str
    ) -> Decided:
        """Say which of the EHR's patients it is. Raises PatientError.

        What then speaks against it must be named in `despite`: a mistyped id would else be a chart
        of somebody else.
        """
        _check_reason(reason)
        destination, bodies = self._read(about, ehr_id)
        reference = kept.reference(ehr_id)
        with self._rooms.store.begin() as tx:
            who = self._who(tx, about, destination)
            against = _against(tx, who, reference, bodies) - set(despite)
            if against:
                raise PatientError(
                    f"this speaks against it: {decide.sentence(sorted(against))}",
                    hint=f"look: fhirbridge patient show {about.destination} {about.lane} "
                    "--show-values; if it is right all the same: "
                    + " ".join(f"--despite {one}" for one in sorted(against)),
                )
            stands = kept.current(tx, *about)
            assert who.side is not None
            of_no_visit = who.side.ours.visit is None  # then death and use were not looked at
            decision = Decision(
                state=State.LINKED,
                ehr_id=ehr_id,
                how=How.PERSON.value,
                follows=stands.id if stands is not None else "",
                candidates=(reference,),
                only_for=who.record_id if of_no_visit else "",
                reason=reason,
            )
            made = self._links.append(tx, who, decision, bodies, actor=actor)
            identify.note_linked(tx, made)
            return self._decided(tx, about, made, actor)

    def make(self, about: About, *, reason: str, actor: str) -> Decided:
        """Say that the EHR has no such patient: then ours is made there. Raises PatientError."""
        _check_reason(reason)
        with self._rooms.store.begin() as tx:
            who = self._who(tx, about, registry.get(tx, about.destination))
            subject = who.side.row.resource_id if who.side is not None else ""
            if ledger.find(tx, about.destination, Identity("Patient", subject)) is not None:
                raise PatientError("this patient has a chart in that EHR already")
            decision = Decision(state=State.MADE, how=How.PERSON.value, reason=reason)
            made = self._links.append(tx, who, decision, {}, actor=actor)
            return self._decided(tx, about, made, actor)

    def reject(self, about: About, ehr_id: str, *, reason: str, actor: str) -> Decided:
        """Say who it is not; a link to that one ends. Raises PatientError."""
        _check_reason(reason)
        if not is_id(ehr_id):
            raise PatientError("that is no id of a FHIR resource")
        with self._rooms.store.begin() as tx:
            who = self._who(tx, about, registry.get(tx, about.destination))
            decision = Decision(
                state=State.REJECTED, ehr_id=ehr_id, how=How.PERSON.value, reason=reason
            )
            self._links.append(tx, who, decision, {}, actor=actor)
            now = kept.current(tx, *about)
            if now is not None and now.ehr_id == ehr_id:
                now = self._held(tx, who, Why.BY_HAND, reason, actor)
            return Decided(
                state=now.state if now is not None else "",
                elsewhere=len(_elsewhere(tx, about)),
            )

    def unlink(self, about: About, *, reason: str, actor: str) -> Decided:
        """Take back what was decided: nothing goes until a person decides anew."""
        _check_reason(reason)
        with self._rooms.store.begin() as tx:
            _decisions(tx, about)
            who = self._who(tx, about, registry.get(tx, about.destination))
            made = self._held(tx, who, Why.BY_HAND, reason, actor)
            return Decided(state=made.state, elsewhere=len(_elsewhere(tx, about)))

    def ask(self, about: About, *, reason: str, actor: str) -> Decided:
        """Let the EHR be asked from the beginning, as of a patient who was never decided about."""
        _check_reason(reason)
        with self._rooms.store.begin() as tx:
            _decisions(tx, about)
            who = self._who(tx, about, registry.get(tx, about.destination))
            made = self._held(tx, who, Why.TO_BE_ASKED, reason, actor)
            return self._decided(tx, about, made, actor)

    def bring(self, about: About, *, reason: str, actor: str) -> list[str]:
        """Owe again, in the chart that is linked now, what was written in another one.

        Returns the deliveries that it takes. Raises PatientError, DriftError.
        """
        _check_reason(reason)
        with self._rooms.store.begin() as tx:
            now = kept.current(tx, *about)
            if now is None or now.state != State.LINKED:
                raise PatientError(
                    "it is not linked", hint="first: fhirbridge patient link NAME PATIENT EHR-ID"
                )
            self._refuse_under_way(tx, about)
            chosen = [Identity(one["type"], one["id"]) for one in _elsewhere(tx, about)]
            found = [
                Found(
                    line=line,
                    kind=Kind.EDITED,
                    theirs=Theirs(shown=Shown.THERE, version=line.version),
                )
                for line in lines.of(tx, about.destination, chosen)
            ]
            self._note(tx, now, Action.PATIENT_DECIDED, actor, reason=reason)
            return Hands(self._rooms, actor=actor).ours(tx, about.destination, found)

    # --- what they share ----------------------------------------------------------------------

    def _read(self, about: About, ehr_id: str) -> tuple[Destination, dict[str, dict[str, Any]]]:
        if not is_id(ehr_id):
            raise PatientError("that is no id of a FHIR resource")
        with self._rooms.store.read() as tx:
            destination = registry.get(tx, about.destination)
        reference = kept.reference(ehr_id)
        outcome = asking.ask(self._rooms.ehr_for(destination), Question(known=(reference,)))
        if not isinstance(outcome, Response) or outcome.status != 200:  # noqa: PLR2004  OK
            raise PatientError("the EHR did not answer; nothing was changed", hint="try again")
        bodies = dict(sight.read(codec.decode(outcome.body)).bodies)
        if reference not in bodies:
            raise PatientError("the EHR has no patient of this id")
        left = merges.survivor(bodies, reference)
        if left != reference:
            raise PatientError(
                "the EHR made this patient part of another one",
                hint=f"link {left.partition('/')[2]}" if left else "which one is not certain",
            )
        return destination, bodies

    def _who(self, tx: Connection, about: About, destination: Destination) -> Who:
        """Return whom a decision is about, sealed with the newest record's key."""
        self._refuse_under_way(tx, about)
        newest = (
            select(record.c.id)
            .where(record.c.patient_key == about.lane, record.c.translation == "done")
            .order_by(record.c.in_error, record.c.recorded_at.desc(), record.c.version.desc())
            .limit(1)
        )
        record_id = tx.scalar(newest)
        side = self._links.side(tx, destination, record_id) if record_id else None
        if record_id is None or side is None:
            raise PatientError("no patient of ours has this name", hint="fhirbridge patient list")
        return Who(destination=about.destination, lane=about.lane, record_id=record_id, side=side)

    def _refuse_under_way(self, tx: Connection, about: About) -> None:
        chosen = select(delivery.c.id).where(*_of(about), delivery.c.state.in_(UNCERTAIN))
        if tx.execute(chosen.limit(1)).first() is not None:
            raise PatientError("a request of this patient is under way", hint="try again")

    def _held(self, tx: Connection, who: Who, why: Why, reason: str, actor: str) -> Row[Any]:
        decision = Decision(state=State.HELD, how=How.PERSON.value, why=(why,), reason=reason)
        return self._links.append(tx, who, decision, {}, actor=actor)

    def _decided(self, tx: Connection, about: About, made: Row[Any], actor: str) -> Decided:
        return Decided(
            state=made.state,
            released=self._release(tx, about, actor),
            elsewhere=len(_elsewhere(tx, about)),
        )

    def _release(self, tx: Connection, about: About, actor: str) -> int:
        return identify.release(tx, self._rooms.settlement, *about, actor=actor)

    def _note(
        self, tx: Connection, link: Row[Any], action: Action, actor: str, reason: str = ""
    ) -> None:
        entry = Entry(
            actor=actor,
            action=action,
            record_id=link.record_id,
            destination=link.destination,
            detail={"link": link.id},
            payload_owner=link.record_id if reason else "",
            payload=reason.encode() if reason else None,
        )
        self._rooms.audit.append(tx, entry)


def _against(
    tx: Connection, who: Who, reference: str, bodies: dict[str, dict[str, Any]]
) -> set[str]:
    assert who.side is not None
    against = {one.value for one in decide.disagreements(who.side.ours, bodies[reference])}
    return against | (
        {Why.TAKEN.value} if kept.taken(tx, who.destination, who.lane, reference) else set()
    )


def _rows(tx: Connection, about: About) -> Sequence[Row[Any]]:
    chosen = select(patient_link).where(
        patient_link.c.destination == about.destination, patient_link.c.lane == about.lane
    )
    return tx.execute(chosen.order_by(patient_link.c.sequence)).all()


def _refuse_unknown(tx: Connection, about: About) -> None:
    registry.get(tx, about.destination)
    known = select(record.c.id).where(record.c.patient_key == about.lane).limit(1)
    if not about.lane or tx.execute(known).first() is None:
        raise PatientError(
            "no record is of such a patient", hint="fhirbridge sync status shows the patients' ids"
        )


def _decisions(tx: Connection, about: About) -> Sequence[Row[Any]]:
    rows = _rows(tx, about)
    if not rows:
        raise PatientError(
            "nothing was decided of such a patient there", hint="fhirbridge patient list --all"
        )
    return rows


def _shown(row: Row[Any]) -> dict[str, Any]:
    why = row.why.split()
    return {
        "patient": row.lane,
        **{name: getattr(row, name) for name in SHOWN},
        "why": why,
        "words": decide.sentence(why),
        "counts": not row.ended_at,
    }


def _waiting(tx: Connection, link: Row[Any]) -> int:
    about = About(link.destination, link.lane)
    chosen = select(func.count()).where(
        *_of(about), delivery.c.state == Delivery.HELD, delivery.c.reason.startswith(PATIENT)
    )
    return tx.scalar(chosen) or 0


def _of(about: About) -> tuple[Any, Any]:
    return delivery.c.destination == about.destination, delivery.c.lane == about.lane


def _written(tx: Connection, about: About) -> list[dict[str, Any]]:
    """Return what stands in an EHR of this patient, and in whose chart; opaque ids only.

    `patient`: the EHR's id, or "" where it is a Patient of ours.
    """
    now = kept.current(tx, *about)
    counts = now.ehr_id if now is not None and now.state == State.LINKED else ""
    chosen = (
        select(held.c.type, held.c.resource_id, held.c.ehr_id, held.c.ehr_version)
        .add_columns(held.c.delivered_at, delivery.c.id, delivery.c.record_id)
        .add_columns(patient_link.c.ehr_id.label("patient"))
        .join(resource, resource.c.id == held.c.resource)
        .join(
            delivery,
            (delivery.c.destination == held.c.destination)
            & (delivery.c.lane == resource.c.lane)
            & (delivery.c.sequence == held.c.sequence),
        )
        .join(
            delivery_item,
            (delivery_item.c.delivery_id == delivery.c.id)
            & (delivery_item.c.type == held.c.type)
            & (delivery_item.c.resource_id == held.c.resource_id),
        )
        .outerjoin(patient_link, patient_link.c.id == delivery_item.c.link)
        .where(held.c.destination == about.destination, resource.c.lane == about.lane)
        .where(held.c.type != "Patient")
        .order_by(held.c.delivered_at, held.c.type, held.c.resource_id)
    )
    return [
        {
            "type": row.type,
            "id": row.resource_id,
            "ehr_id": row.ehr_id,
            "ehr_version": row.ehr_version,
            "delivered_at": row.delivered_at,
            "delivery": row.id,
            "record": row.record_id,
            "patient": row.patient or "",
            "elsewhere": (row.patient or "") != counts,
        }
        for row in tx.execute(chosen)
    ]


def _elsewhere(tx: Connection, about: About) -> list[dict[str, Any]]:
    return [one for one in _written(tx, about) if one["elsewhere"]]


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise PatientError("a decision needs its reason", hint="give it with --reason")
