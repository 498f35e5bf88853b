"""Read a table from a CSV file, strictly: all that is wrong at once, by line, and no value told.

The file is UTF-8 with the header `ours,theirs`; a byte order mark, CRLF and quotes are as good.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fhirbridge.errors import BridgeError
from fhirbridge.fhir.pointing import Named
from fhirbridge.fhir.references import is_id
from fhirbridge.matching.theirs.crosswalk import TYPES, Kind

HEADER = ["ours", "theirs"]
MOST_BYTES = 50_000_000
MOST_TOLD = 50
LONGEST = 200
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,250}")
FORMULA = re.compile(r"[=+@\t\r]|-[^0-9A-Za-z]")  # what a spreadsheet would work out


class CrosswalkFileError(BridgeError):
    """A table cannot be read; nothing of it was loaded."""

    code = "E414"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a file says: (type, ours) to the id there; and how many of its rows say so again."""

    rows: Mapping[Named, str]
    repeated: int = 0


@dataclass(slots=True)
class _Reading:
    rows: dict[Named, str] = field(default_factory=dict)
    lines: dict[Named, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    repeated: int = 0


def parse(raw: bytes, kind: Kind) -> Loaded:
    """Read a whole table. Raises CrosswalkFileError, which names lines and no values."""
    if len(raw) > MOST_BYTES:
        raise CrosswalkFileError(f"the file is larger than {MOST_BYTES // 1_000_000} MB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CrosswalkFileError(
            f"line {line}: this is not UTF-8", hint='save it as "CSV UTF-8"'
        ) from None
    reading = _Reading()
    try:
        _read(text, kind, reading)
    except csv.Error as error:
        reading.wrong.append(f"after line {max(reading.lines.values(), default=1)}: {error}")
    if reading.wrong:
        more = len(reading.wrong) - MOST_TOLD
        told = reading.wrong[:MOST_TOLD] + ([f"and {more} more"] if more > 0 else [])
        raise CrosswalkFileError("; ".join(told), hint="nothing was loaded: mend the file")
    return Loaded(rows=reading.rows, repeated=reading.repeated)


def _read(text: str, kind: Kind, reading: _Reading) -> None:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(rows, [])
    if header != HEADER:
        reading.wrong.append("line 1: the header must be exactly: ours,theirs")
        return
    before = rows.line_num
    for cells in rows:
        line, before = before + 1, rows.line_num
        if not cells:
            continue
        if len(cells) != len(HEADER):
            reading.wrong.append(f"line {line}: {len(cells)} cells instead of {len(HEADER)}")
            continue
        _take(line, cells[0], cells[1], kind=kind, reading=reading)


def _take(line: int, ours: str, theirs: str, *, kind: Kind, reading: _Reading) -> None:
    wrong = list(_wrong_with("ours", ours)) or list(_wrong_with("theirs", theirs))
    target = None
    if not wrong:
        target, said = _target(kind, theirs)
        wrong = [said] if said else _wrong_word(kind, ours)
    if wrong or target is None:
        reading.wrong += [f"line {line}: {one}" for one in wrong]
        return
    of_type, own = target
    named = (of_type, ours)
    if named not in reading.rows:
        reading.rows[named], reading.lines[named] = own, line
    elif reading.rows[named] == own:
        reading.repeated += 1
    else:
        reading.wrong.append(
            f"line {line}: it says something else of the same as line {reading.lines[named]}"
        )


def _wrong_with(name: str, cell: str) -> Iterator[str]:
    if not cell:
        yield f"{name} is empty"
    elif cell != cell.strip():
        yield f"{name} begins or ends with a blank"
    elif not cell.isprintable():
        yield f"{name} has a character that cannot be printed"
    elif len(cell) > LONGEST:
        yield f"{name} is longer than {LONGEST} characters"
    elif FORMULA.match(cell):
        yield f"{name} looks like a spreadsheet's formula"


def _wrong_word(kind: Kind, ours: str) -> list[str]:
    if kind is Kind.ASSIGNER and not URI.fullmatch(ours):
        return ["ours is no URI: the system of a number, as the clinic's records name it"]
    return []


def _target(kind: Kind, theirs: str) -> tuple[Named | None, str]:
    """Return the type and id that a cell names, or what is wrong with it."""
    if kind is Kind.ASSIGNER:
        good = URI.fullmatch(theirs)
        return (("", theirs), "") if good else (None, "theirs is no URI")
    allowed = TYPES[kind]
    of_type, slash, own = theirs.rpartition("/")
    if not slash and len(allowed) == 1:
        of_type = allowed[0]
    if of_type not in allowed:
        names = " or ".join(f"{one}/ID" for one in allowed)
        return None, f"theirs must be {names}"
    return ((of_type, own), "") if is_id(own) else (None, "theirs has no id of a FHIR resource")
