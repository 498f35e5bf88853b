"""What can be wrong in a mapping set: where it is, what it is, and the way out."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from operator import ne
from typing import TypeVar

from fhirbridge.errors import BridgeError

T = TypeVar("T")
A_LET = "let"  # what a fault needs that only follows from a `let` with a mistake


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A point in a file of the set; line and column count from 1."""

    file: str  # "mappings/resources/vital-weight.yaml"
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def short(self) -> str:
        """The form that stands in a Why: `resources/vital-weight.yaml:14`."""
        return f"{self.file.partition('/')[2]}:{self.line}"

    def moved(self, columns: int) -> "Place":
        return Place(file=self.file, line=self.line, column=self.column + columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One mistake in a mapping set."""

    code: str  # "E210", stable
    place: Place
    message: str
    needs: str = ""  # what, where it is broken itself, is the true mistake: file, folder, A_LET

    def __str__(self) -> str:
        return f"{self.code} {self.place} {self.message}"


class FaultError(Exception):
    """Stops the compiling of one value; the loader goes on with the next one."""

    def __init__(
        self,
        code: str,
        place: Place,
        message: str,
        *,
        more: tuple[Fault, ...] = (),
        needs: str = "",
    ) -> None:
        super().__init__(message)
        self.fault = Fault(code=code, place=place, message=message, needs=needs)
        self.more = more  # others that were found with it


class MappingError(BridgeError):
    """The mapping set cannot be used; `faults` holds every mistake that was found."""

    code = "E200"

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults), key=lambda fault: (fault.place, fault.code)))
        text = "\n".join(map(str, self.faults))
        hint = "see docs/mapping-format.md"
        super().__init__(f"the mapping set has {len(self.faults)} mistake(s):\n{text}", hint=hint)


@dataclass(slots=True)
class Faults:
    """Collects mistakes, so that all are shown at once."""

    found: list[Fault] = field(default_factory=list)

    def add(self, code: str, place: Place, message: str) -> None:
        self.found.append(Fault(code=code, place=place, message=message))

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Note the fault that the block raises, and go on after the block."""
        try:
            yield
        except FaultError as error:
            self.found += [error.fault, *error.more]

    def attempt(self, make: Callable[[], T]) -> T | None:
        """Return what `make` makes, or note its fault and return nothing."""
        try:
            return make()
        except FaultError as error:
            self.found += [error.fault, *error.more]
            return None


def a(thing: object) -> str:
    """Return a word with its article: `an integer`."""
    word = str(thing)
    return f"{'an' if word[:1] in 'aeioAEIO' else 'a'} {word}"


def one_letter_off(name: str, known: Iterable[str]) -> str:
    """Return a known name that one wrong letter makes of this one; "" where there is none."""
    same_length = (other for other in known if len(other) == len(name))
    apart = ((other, sum(map(ne, other, name))) for other in same_length)
    return next((other for other, letters in apart if letters == 1), "")


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'status'?`, or nothing where no known name is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
