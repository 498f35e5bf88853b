"""A resource of ours as one EHR gets it: without references to what does not go there."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from fhirbridge.deliver import ledger
from fhirbridge.destinations.registry import Destination
from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.fhir import left_out
from fhirbridge.fhir.left_out import Logical, Named
from fhirbridge.fhir.names import TAG_SYSTEM
from fhirbridge.fhir.references import literal_references, renamed
from fhirbridge.outbox import addenda
from fhirbridge.outbox.contents import CONTRIBUTIONS, PROVENANCE_TYPE, Identity
from fhirbridge.outbox.states import NOT_AS_ITSELF, Became
from fhirbridge.store.tables import delivery, delivery_item, resource

Body = Callable[[Connection, str], dict[str, Any]]  # opens one resource version


def as_sent(
    tx: Connection,
    body: Body,
    where: Destination,
    ours: dict[str, Any],
    *,
    there: Collection[Identity] = (),
    maybe: Collection[str] = (),
    told: "Told | None" = None,
) -> dict[str, Any]:
    """Return a resource of ours without references to what its destination does not have of it.

    `there`: what it will have by then, for who looks ahead. `maybe`: types that are sent, and of
    which it may have nothing yet. `told`: of a Provenance, what its delivery did; where it is left
    out, what was noted of that.
    """
    if not (where.leaves_out or maybe):
        return ours
    named = {Identity(*one) for one in literal_references(ours)}
    kinds = {one for one in named if where.leaves(one.type) or one.type in maybe} - set(there)
    absent = kinds - ledger.of_identities(tx, where.name, list(kinds)).keys() if kinds else set()
    if ours["resourceType"] == PROVENANCE_TYPE:
        known = _told(tx, where, ours["id"]) if told is None else told
        absent |= (named & known.unchanged) - known.instead.keys()
        ours = renamed(ours, known.instead)
    return left_out.without(ours, _named(tx, body, where, absent))


@dataclass(frozen=True, slots=True)
class Told:
    """What of a delivery did not change in the EHR, and by which addendum a note of it is said."""

    unchanged: frozenset[Identity] = frozenset()
    instead: Mapping[Named, str] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Mapping[Identity, bool]) -> "Told":
        """Return what is told of the `items` of a delivery; True: it does not go as itself."""
        unchanged = frozenset(one for one, aside in items.items() if aside)
        instead: dict[Named, str] = {
            note: made.id
            for note in unchanged
            if note.type == NOTE_TYPE
            for made in items
            if addenda.is_of(made, note)
        }
        return cls(unchanged, instead)


def _told(tx: Connection, where: Destination, provenance: str) -> Told:
    """Return what the delivery of a Provenance did."""
    own = delivery_item.alias()
    chosen = (
        select(delivery_item.c.type, delivery_item.c.resource_id, delivery_item.c.outcome)
        .join(own, own.c.delivery_id == delivery_item.c.delivery_id)
        .join(delivery, delivery.c.id == own.c.delivery_id)
        .where(
            delivery.c.destination == where.name,
            own.c.type == PROVENANCE_TYPE,
            own.c.resource_id == provenance,
        )
    )
    aside = (*NOT_AS_ITSELF, Became.BY_HAND)
    rows = tx.execute(chosen)
    return Told.of({Identity(one.type, one.resource_id): one.outcome in aside for one in rows})


def _named(
    tx: Connection, body: Body, where: Destination, absent: Collection[Identity]
) -> Mapping[Named, Logical]:
    """Say by what name each is called where it cannot be left out."""
    return {
        one: _actor(tx, body, where, one)
        if one.type in left_out.ACTORS
        else {"type": one.type, "identifier": {"system": TAG_SYSTEM, "value": one.id}}
        for one in absent
    }


def _actor(tx: Connection, body: Body, where: Destination, actor: Identity) -> Logical:
    chosen = (
        select(resource.c.id)
        .where(
            resource.c.type == actor.type,
            resource.c.resource_id == actor.id,
            resource.c.overlay == where.overlay,
            resource.c.purpose.in_(CONTRIBUTIONS),
        )
        .order_by(resource.c.sequence.desc())
    )
    row = tx.scalar(chosen.limit(1))
    return {"type": actor.type} if row is None else left_out.logical(body(tx, row))
