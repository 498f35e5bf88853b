"""Which labels of the clinic's what is about to go carries."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from fhirbridge.outbox.contents import RETRACTION
from fhirbridge.store.tables import record, resource

PART_2_LABEL = "part-2"


def is_part_2(tx: Connection, of_record: str, resources: Sequence[str]) -> bool:
    """Say whether anything here comes from a record with that label, which may be another record.

    `of_record`: the labels of the record that it goes with; `resources`: rows of what goes. What
    visits share may be the newest record's; a retraction repeats what any session said before.
    """
    rows = {"of_rows": list(resources)}
    found = [of_record, *(label for asked in _labels() for label in tx.scalars(asked, rows))]
    return any(PART_2_LABEL in text.split() for text in found)


@cache
def _labels() -> tuple[Select[Any], ...]:
    """Choose the labels of the records of some resources, and of the sessions that they retract."""
    ids: Any = bindparam("of_rows", expanding=True)
    owners = (
        select(record.c.labels)
        .join(resource, resource.c.record_id == record.c.id)
        .where(resource.c.id.in_(ids))
    )
    before, back = resource.alias(), resource.alias()
    sessions = (
        select(record.c.session_key)
        .join(before, before.c.record_id == record.c.id)
        .join(back, (back.c.type == before.c.type) & (back.c.resource_id == before.c.resource_id))
        .where(back.c.id.in_(ids), back.c.purpose == RETRACTION)
    )
    earlier = select(record.c.labels).where(record.c.session_key.in_(sessions))
    return owners.distinct(), earlier.distinct()
