"""Chance for synthetic records: every choice comes from one source that the caller gives."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

T = TypeVar("T")


class Chance(Protocol):
    """What a record is drawn from; a random.Random is one."""

    def randrange(self, stop: int, /) -> int:
        """Return a whole number from 0 up to, not including, `stop`."""
        ...


class SeededChance:
    """The same numbers for the same seed, on every machine and in every version of Python."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._drawn = 0

    def randrange(self, stop: int, /) -> int:
        self._drawn += 1
        drawn = hashlib.sha256(f"{self._seed}\n{self._drawn}".encode()).digest()
        return int.from_bytes(drawn, "big") % stop


class Dice:
    """Choices of the kinds that records need."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[self._chance.randrange(len(choices))]

    def whole(self, least: int, most: int) -> int:
        """Return a whole number, both ends included."""
        return least + self._chance.randrange(most - least + 1)

    def number(self, least: str, most: str, step: str) -> Decimal:
        """Return a decimal between two ends, by steps."""
        low, by = Decimal(least), Decimal(step)
        return low + by * self.whole(0, int((Decimal(most) - low) / by))

    def happens(self, times: int, of: int) -> bool:
        """Return true `times` out of `of`."""
        return self._chance.randrange(of) < times
