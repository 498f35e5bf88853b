"""A new file that only its owner may read: whole, or not there at all."""

import os
from collections.abc import Iterable
from pathlib import Path

from fhirbridge.reports.table import ReportError

PRIVATE = 0o600


def write(target: Path, parts: Iterable[bytes]) -> int:
    """Write a new file of these parts; return how many they were.

    Raises ReportError; then nothing is there.
    """
    place = target.absolute()
    if place.is_symlink() or place.exists():
        raise ReportError(f"{target.name} is there already", hint="name a new file")
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        count = _fill(part, parts)
        part.rename(place)
    except OSError as error:
        raise ReportError(
            f"{target.name} cannot be written: {error.strerror or 'no reason given'}",
            hint="name a new file where there is space and where you may write",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _fill(part: Path, parts: Iterable[bytes]) -> int:
    part.unlink(missing_ok=True)  # of a killed process of the same number
    opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
    with os.fdopen(opened, "wb") as file:
        count = 0
        for one in parts:
            file.write(one)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count
