"""What a Bulk Data export is asked for, and what its manifest says. Pure.

Bulk Data Access 2.0: https://hl7.org/fhir/uv/bulkdata/
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fhirbridge.facade.errors import FacadeError, NotSupportedError
from fhirbridge.facade.parameters import TYPES

LIVES = timedelta(hours=24)
MOST_ROWS = 100_000  # of one file
MOST_BYTES = 100_000_000
SYSTEM, PATIENT = "system", "patient"
FORMATS = ("application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson")
UNKNOWN = "a parameter is not supported here"
LATER = "2026-03-02T09:00:00Z"


class ExportGoneError(FacadeError):
    """There is no such export for this reader: it was deleted, has expired, or never was."""

    code = "E982"
    http_status = HTTPStatus.NOT_FOUND
    issue = "not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for: all types, or these; what came to be there from a time on."""

    level: str
    kinds: tuple[str, ...]
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file: which type, which of its type, the numbers it begins and ends with, how many."""

    kind: str
    place: int
    first: int
    last: int
    count: int

    @property
    def name(self) -> str:
        """Return how its address ends."""
        return f"{self.kind}.{self.place}"


def read(level: str, pairs: Iterable[tuple[str, str]], *, lenient: bool) -> Wanted:
    """Read the parameters of a kick-off. `lenient`: what is not known here is left out.

    Raises FacadeError, NotSupportedError; no text repeats a value.
    """
    named: list[str] | None = None
    since: datetime | None = None
    for name, value in pairs:
        if name == "_type":
            named = [*(named or []), *_types(value, lenient=lenient)]
        elif name == "_since":
            since = _instant(value)
        elif name == "_outputFormat":
            _check_format(value)
        elif not lenient:
            raise NotSupportedError(
                UNKNOWN, hint="leave it out, or send Prefer: handling=lenient to have it ignored"
            )
    if named == []:
        raise FacadeError("_type names no type that is exported", hint="GET metadata names them")
    kinds = tuple(TYPES) if named is None else tuple(dict.fromkeys(named))
    return Wanted(level=level, kinds=kinds, since=since)


def _types(value: str, *, lenient: bool) -> list[str]:
    named = [one for one in value.split(",") if one]
    known = [one for one in named if one in TYPES]
    if len(known) < len(named) and not lenient:
        raise NotSupportedError(
            f"{len(named) - len(known)} of the types in _type are not exported",
            hint="GET metadata names the types",
        )
    return known


def _check_format(value: str) -> None:
    if value not in FORMATS:
        raise NotSupportedError("only NDJSON is written", hint=f"send {FORMATS[0]}")


def files(sizes: Iterable[tuple[str, int, int]]) -> list[File]:
    """Part what is there, as (type, number, bytes) in that order, into files that are not large."""
    made: list[File] = []
    place = size = 0
    for kind, number, length in sizes:
        last = made[-1] if made else None
        if last is None or last.kind != kind:
            place, last = 0, None
        full = last is not None and (last.count >= MOST_ROWS or size + length > MOST_BYTES)
        if last is None or full:
            place, size = place + 1, length
            made.append(File(kind=kind, place=place, first=number, last=number, count=1))
        else:
            size += length
            made[-1] = File(
                kind=kind, place=place, first=last.first, last=number, count=last.count + 1
            )
    return made


def manifest(
    request: str, at: datetime, base: str, export: str, listed: Sequence[File]
) -> dict[str, Any]:
    """Return what a finished export says of itself."""
    return {
        "transactionTime": instant(at),
        "request": request,
        "requiresAccessToken": True,
        "output": [
            {
                "type": one.kind,
                "url": f"{base}/$export-file/{export}/{one.name}",
                "count": one.count,
            }
            for one in listed
        ],
        "deleted": [],
        "error": [],
    }


def instant(at: datetime) -> str:
    """Write a time as FHIR's instant, to the microsecond: `_since` takes it as it is."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _instant(value: str) -> datetime:
    try:
        # A plus that was not percent-encoded came as a blank.
        at = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or "T" not in value:
        raise FacadeError("_since is no instant", hint=f"write it as {LATER}")
    return at
