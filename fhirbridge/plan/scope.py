"""Which deliveries belong to a plan: those that are meant, and those that must go before them."""

from collections import defaultdict

from sqlalchemy import Connection, select

from fhirbridge.outbox import selection
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.selection import EVERYTHING, Selection, of_deliveries
from fhirbridge.outbox.states import OPEN, STUCK, UNCERTAIN
from fhirbridge.store.tables import delivery


def of(tx: Connection, chosen: Selection) -> frozenset[str] | None:
    """Return the ids of what is not through yet and is meant; None where all of it is."""
    if chosen == EVERYTHING:
        return None
    selection.check(tx, chosen)
    found = tx.execute(
        select(delivery).where(delivery.c.state.in_([*OPEN, *STUCK]), *of_deliveries(chosen))
    ).all()
    last: dict[tuple[str, str], int] = defaultdict(int)
    for row in found:
        if row.state in OPEN:
            lane, shared = (row.destination, row.lane), (row.destination, SHARED_LANE)
            last[lane] = max(last[lane], row.sequence)
            last[shared] = max(last[shared], row.needs_shared)
    return frozenset(row.id for row in found) | _before(tx, last)


def _before(tx: Connection, last: dict[tuple[str, str], int]) -> frozenset[str]:
    """Return what is open and must go first, or may be under way, in these lanes."""
    rows = tx.execute(
        select(
            delivery.c.id,
            delivery.c.destination,
            delivery.c.lane,
            delivery.c.sequence,
            delivery.c.state,
            delivery.c.repairs,
        ).where(delivery.c.state.in_(OPEN))
    )
    return frozenset(
        row.id
        for row in rows
        if (lane := (row.destination, row.lane)) in last
        and (row.sequence <= last[lane] or row.state in UNCERTAIN or row.repairs)
    )
