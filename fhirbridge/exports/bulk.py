"""What a Bulk Data export is asked for, and what its manifest says. Pure.

Bulk Data Access 2.0: https://hl7.org/fhir/uv/bulkdata/
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fhirbridge.exports import narrowing
from fhirbridge.exports.narrowing import Narrowed
from fhirbridge.facade.errors import FacadeError, NotSupportedError
from fhirbridge.facade.parameters import TYPES

LIVES = timedelta(hours=24)
MOST_ROWS = 100_000  # of one file
MOST_BYTES = 100_000_000
SYSTEM, PATIENT = "system", "patient"
FORMATS = ("application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson")
UNKNOWN = "a parameter is not supported here"
ERRORS = "OperationOutcome.1"  # the file of what was left out
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
    narrowed: Narrowed = field(default_factory=Narrowed)
    ignored: tuple[str, ...] = ()  # what was left out, in words


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


def read(
    level: str, pairs: Iterable[tuple[str, str]], *, lenient: bool, posted: bool = False
) -> Wanted:
    """Read the parameters of a kick-off. `lenient`: what is not known here is left out, and told.

    `posted`: they came in a body, where what names a patient may stand. Raises FacadeError,
    NotSupportedError; no text repeats a value.
    """
    asked = _Asked(takes_patients=posted and level == PATIENT)
    ignored: list[str] = []
    for name, value in pairs:
        try:
            asked.take(name, value)
        except NotSupportedError as error:
            if not lenient:
                raise
            ignored.append(error.message)
    return asked.wanted(level, ignored, lenient=lenient)


@dataclass(slots=True)
class _Asked:
    """What was read so far."""

    takes_patients: bool
    kinds: list[str] | None = None
    since: datetime | None = None
    patients: list[str] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    unknown: int = 0  # types

    def take(self, name: str, value: str) -> None:
        match name:
            case "_type":
                named = [one for one in value.split(",") if one]
                known = [one for one in named if one in TYPES]
                self.kinds = [*(self.kinds or []), *known]
                self.unknown += len(named) - len(known)
            case "_since":
                self.since = _instant(value)
            case "_outputFormat":
                _check_format(value)
            case "_typeFilter":
                self.filters += narrowing.filters(value)
            case "_elements":
                self.elements += narrowing.elements(value)
            case "patient" if self.takes_patients:
                self.patients.append(narrowing.patient(value))
            case "patient":
                raise NotSupportedError(
                    "patient is taken by POST of Patient/$export only",
                    hint="send it in a Parameters resource, so that no address names a patient",
                )
            case _:
                raise NotSupportedError(
                    UNKNOWN,
                    hint="leave it out, or send Prefer: handling=lenient to have it ignored",
                )

    def wanted(self, level: str, ignored: list[str], *, lenient: bool) -> Wanted:
        if self.kinds == [] and not (self.unknown and not lenient):
            raise FacadeError(
                "_type names no type that is exported", hint="GET metadata names them"
            )
        kinds = tuple(TYPES) if self.kinds is None else tuple(dict.fromkeys(self.kinds))
        kept = [one for one in self.filters if narrowing.kind_of(one) in kinds]
        left_out = [
            text
            for many, text in (
                (self.unknown, f"{self.unknown} of the types in _type are not exported"),
                (len(kept) < len(self.filters), "_typeFilter is of a type that _type leaves out"),
            )
            if many
        ]
        if left_out and not lenient:
            raise NotSupportedError(left_out[0], hint="GET metadata names the types")
        if len(self.patients) > narrowing.MOST_PATIENTS or len(kept) > narrowing.MOST_FILTERS:
            raise FacadeError(
                f"at most {narrowing.MOST_PATIENTS} patients and {narrowing.MOST_FILTERS} filters",
                hint="begin more than one export",
            )
        narrowed = Narrowed(
            patients=tuple(self.patients), filters=tuple(kept), elements=tuple(self.elements)
        )
        return Wanted(
            level=level,
            kinds=kinds,
            since=self.since,
            narrowed=narrowed,
            ignored=tuple(dict.fromkeys([*ignored, *left_out])),
        )


def parameters(body: Any) -> list[tuple[str, str]]:
    """Read the Parameters resource of a kick-off into names and values. Raises FacadeError."""
    said = body.get("parameter", []) if isinstance(body, dict) else None
    if not isinstance(said, list) or body.get("resourceType") != "Parameters":
        raise FacadeError("the body is no Parameters resource", hint="see docs/integrators.md")
    return [_parameter(one) for one in said]


def _parameter(one: Any) -> tuple[str, str]:
    named = one if isinstance(one, dict) else {}
    values = [value for key, value in named.items() if key.startswith("value")]
    value = values[0] if len(values) == 1 else None
    if isinstance(value, dict):
        value = value.get("reference")
    name = named.get("name")
    if not isinstance(name, str) or not isinstance(value, str):
        raise FacadeError(
            "a parameter has no name, or no value that is a text or a reference",
            hint='write it as {"name": "_type", "valueString": "Patient"}',
        )
    return name, value


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


def outcomes(ignored: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Say what was asked for and left out, one OperationOutcome each."""
    for text in ignored:
        issue = {"severity": "warning", "code": "not-supported", "details": {"text": text}}
        yield {"resourceType": "OperationOutcome", "issue": [issue]}


def manifest(  # noqa: PLR0917  what it says
    request: str, at: datetime, base: str, export: str, listed: Sequence[File], left_out: int
) -> dict[str, Any]:
    """Return what a finished export says of itself. `left_out`: how many things, in ERRORS."""
    where = f"{base}/$export-file/{export}"
    errors = {"type": "OperationOutcome", "url": f"{where}/{ERRORS}", "count": left_out}
    return {
        "transactionTime": instant(at),
        "request": request,
        "requiresAccessToken": True,
        "output": [
            {
                "type": one.kind,
                "url": f"{where}/{one.name}",
                "count": one.count,
            }
            for one in listed
        ],
        "deleted": [],
        "error": [errors] if left_out else [],
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
