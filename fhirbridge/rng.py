"""The only source of chance: ids, keys, salts and jitter. A simulation passes a seeded one."""

import secrets
from typing import Protocol


class Rng(Protocol):
    """What the program may ask of chance."""

    def token(self, size: int) -> bytes:
        """Return `size` bytes that nobody can guess."""
        ...

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        ...


class SystemRng:
    """The operating system's random numbers."""

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def jitter(self) -> float:
        return secrets.randbelow(1 << 53) / (1 << 53)


def new_id(rng: Rng) -> str:
    """Return an opaque row id: 128 bits as 32 hex digits."""
    return rng.token(16).hex()
