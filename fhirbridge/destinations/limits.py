"""How much an EHR is asked at most. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from fhirbridge.destinations.errors import DestinationError

MOST_RPS = 1000
MOST_CONCURRENT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one EHR is asked at most, by all workers together. 0: no limit."""

    rps: float = 0.0  # requests per second
    concurrent: int = 2  # lanes at the same time
    per_day: int = 0  # requests per day, in UTC

    def __post_init__(self) -> None:
        """Refuse what would mean nothing. Raises DestinationError."""
        if not (0 <= self.rps <= MOST_RPS and 1 <= self.concurrent <= MOST_CONCURRENT):
            raise DestinationError(
                f"a limit is 0 to {MOST_RPS} requests per second (0: none) "
                f"and 1 to {MOST_CONCURRENT} at the same time"
            )
        if self.per_day < 0:
            raise DestinationError("a limit per day is a number of requests; 0 means none")

    def plain(self) -> dict[str, Decimal | int]:
        """Return the limits as JSON takes them."""
        rps = Decimal(str(self.rps))
        return {"rps": rps, "concurrent": self.concurrent, "per_day": self.per_day}

    def columns(self) -> dict[str, float]:
        """Return the limits as they are stored."""
        return {"rps": self.rps, "concurrent": self.concurrent, "per_day": self.per_day}

    def as_text(self) -> dict[str, str]:
        """Return the limits for the evidence log."""
        return {name: str(value) for name, value in self.columns().items()}


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """New limits; None leaves one as it is."""

    rps: float | None = None
    concurrent: int | None = None
    per_day: int | None = None

    def applied(self, before: Limits) -> Limits:
        """Return the limits after the change. Raises DestinationError."""
        return Limits(
            rps=before.rps if self.rps is None else self.rps,
            concurrent=before.concurrent if self.concurrent is None else self.concurrent,
            per_day=before.per_day if self.per_day is None else self.per_day,
        )
