"""Owe an EHR what it did not take until now, and what points to that, once it takes it."""

from collections.abc import Collection
from itertools import groupby
from typing import Protocol

from sqlalchemy import Connection

from fhirbridge.deliver import ledger
from fhirbridge.destinations import registry
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox.contents import PROVENANCE, Owner
from fhirbridge.reconcile import lines
from fhirbridge.reconcile.act import Rooms
from fhirbridge.store import moment


class Owing(Protocol):
    """What owes records."""

    def owe_types(self, tx: Connection, name: str, types: Collection[str]) -> int:
        """Owe a destination what it has not of these types; return how many resources."""


def owe_types(
    rooms: Rooms, tx: Connection, intake: Owing, name: str, types: Collection[str]
) -> int:
    """Owe a destination what is of these types and not there; return how many resources.

    What it has of ours that points to one went without: where it can be changed, it goes once more.
    """
    if not types:
        return 0
    owed = intake.owe_types(tx, name, types)
    if owed and not registry.get(tx, name).only_creates:
        _owe_what_points_to(rooms, tx, name, frozenset(types))
    return owed


def _owe_what_points_to(rooms: Rooms, tx: Connection, name: str, types: frozenset[str]) -> None:
    now = moment.to_text(rooms.clock.now())
    pointing = [
        line
        for line in lines.every(tx, name)
        if line.purpose != PROVENANCE
        and any(k in types for k, _ in literal_references(rooms.contents.body(tx, line.resource)))
    ]
    for line in pointing:  # what is there is to be replaced, under its guard
        ledger.disown(
            tx,
            destination=name,
            identity=line.identity,
            ehr_id=line.ehr_id,
            resource=line.resource,
            version=line.version,
            at=now,
        )
    for lane, found in groupby(sorted(pointing, key=lambda one: one.lane), lambda one: one.lane):
        of_lane = list(found)
        owner = Owner(
            record_id=of_lane[0].record_id, patient_key=lane, set_digest=of_lane[0].set_digest
        )
        changes = [rooms.outbox.pinned(tx, one.resource) for one in of_lane]
        rooms.outbox.put_again(tx, destination=name, lane_name=lane, owner=owner, changes=changes)
