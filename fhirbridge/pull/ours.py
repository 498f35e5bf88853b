"""Which of an EHR's resources are what we sent: the clinic knows them, they are no news."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from fhirbridge.fhir.names import borne
from fhirbridge.store.tables import ledger, resource

OUR_ID = re.compile(r"k[a-z2-7]{52}")  # as translate/identity.py makes them
AT_ONCE = 500


def among(
    tx: Connection, destination: str, kind: str, found: Mapping[str, dict[str, Any]]
) -> set[str]:
    """Return those ids of `found` (by the EHR's id) that are ours, by the ledger or by our key.

    Another one that bears the key of what landed is a copy that somebody made there: theirs.
    """
    held = select(ledger.c.ehr_id, ledger.c.resource_id).where(
        ledger.c.destination == destination,
        ledger.c.type == kind,
        ledger.c.ehr_version != "",  # of the EHR's own patient none is known
    )
    landed: set[str] = set()
    for part in _parts(found):
        landed |= set(tx.scalars(held.where(ledger.c.ehr_id.in_(part))))
    keys = {
        own: {one for one in borne(body) if OUR_ID.fullmatch(one)} for own, body in found.items()
    }
    on_the_way: set[str] = set()
    for part in _parts({one for named in keys.values() for one in named}):
        made = select(resource.c.resource_id).where(
            resource.c.type == kind, resource.c.resource_id.in_(part)
        )
        there = {row.resource_id for row in tx.execute(held.where(ledger.c.resource_id.in_(part)))}
        on_the_way |= set(tx.scalars(made)) - there
    return landed | {own for own, named in keys.items() if not named.isdisjoint(on_the_way)}


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]
