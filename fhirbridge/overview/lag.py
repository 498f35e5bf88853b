"""How long a record's news takes to an EHR: from our commit to the EHR's answer."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from fhirbridge.outbox.states import OPEN, State
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery

WINDOW = timedelta(hours=1)
MOST_COUNTED = 10_000  # newest first: a look must stay cheap however much goes through


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Seconds. Backfills are left out: they are meant to wait."""

    waiting: float  # since the oldest open delivery was owed; 0 where none is open
    p50: float  # of the `counted` live ones that were owed and delivered within the last hour
    p95: float
    p99: float
    counted: int

    def plain(self) -> dict[str, Any]:
        """Return it as JSON takes it, without digits that say nothing."""
        tenths = {n: Decimal(f"{value:.1f}") for n, value in asdict(self).items()}
        return {**tenths, "counted": self.counted}


def of_destination(tx: Connection, name: str, now: datetime) -> Lag:
    """Read it from the deliveries themselves, so that it counts whichever process sent them."""
    live = (delivery.c.destination == name, delivery.c.low.is_(False))
    took = (
        select(delivery.c.created_at, delivery.c.changed_at)
        .where(
            *live,
            delivery.c.state == State.DELIVERED,
            delivery.c.created_at > moment.to_text(now - WINDOW),
        )
        .order_by(delivery.c.created_at.desc())
        .limit(MOST_COUNTED)
    )
    seconds = sorted(_between(row.created_at, row.changed_at) for row in tx.execute(took))
    oldest = [
        tx.scalar(select(func.min(delivery.c.created_at)).where(*live, delivery.c.state == state))
        for state in OPEN
    ]
    return Lag(
        waiting=max((_between(at, moment.to_text(now)) for at in oldest if at), default=0.0),
        p50=_at(seconds, 50),
        p95=_at(seconds, 95),
        p99=_at(seconds, 99),
        counted=len(seconds),
    )


def _between(first: str, last: str) -> float:
    """Never negative: clocks are set back."""
    took = moment.from_text(last) - moment.from_text(first)
    return max(took.total_seconds(), 0.0)


def _at(seconds: list[float], percent: int) -> float:
    """Return the smallest that at least `percent` of all do not exceed; 0 of none."""
    return seconds[-(-len(seconds) * percent // 100) - 1] if seconds else 0.0
