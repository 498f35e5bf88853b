"""Owe an EHR what it did not take until now, and what points to that, once it takes it."""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Protocol

from sqlalchemy import Connection

from fhirbridge.deliver import ledger
from fhirbridge.destinations import registry
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox import tasks
from fhirbridge.outbox.contents import PROVENANCE, Owner
from fhirbridge.reconcile import lines
from fhirbridge.reconcile.act import Rooms
from fhirbridge.reconcile.lines import Line
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


def owe_changes(rooms: Rooms, tx: Connection, name: str) -> int:
    """Owe a destination that takes changes now what it did not take of them; count resources."""
    behind = tasks.behind(tx, name)
    _owe(rooms, tx, name, [(line, behind[line.identity]) for line in lines.of(tx, name, behind)])
    return len(behind)


def _owe_what_points_to(rooms: Rooms, tx: Connection, name: str, types: frozenset[str]) -> None:
    pointing = [
        (line, line.resource)
        for line in lines.every(tx, name)
        if line.purpose != PROVENANCE
        and any(k in types for k, _ in literal_references(rooms.contents.body(tx, line.resource)))
    ]
    _owe(rooms, tx, name, pointing)


def _owe(rooms: Rooms, tx: Connection, name: str, wanted: Sequence[tuple[Line, str]]) -> None:
    """Let these versions replace what is there, each under its guard."""
    now = moment.to_text(rooms.clock.now())
    for line, _ in wanted:
        ledger.disown(
            tx,
            destination=name,
            identity=line.identity,
            ehr_id=line.ehr_id,
            resource=line.resource,
            version=line.version,
            at=now,
        )
    by_lane = sorted(wanted, key=lambda one: one[0].lane)
    for lane, found in groupby(by_lane, lambda one: one[0].lane):
        of_lane = list(found)
        first = of_lane[0][0]
        owner = Owner(record_id=first.record_id, patient_key=lane, set_digest=first.set_digest)
        changes = [rooms.outbox.pinned(tx, version) for _, version in of_lane]
        rooms.outbox.put_again(tx, destination=name, lane_name=lane, owner=owner, changes=changes)
