"""What one translation knows while it runs. Nothing here outlives the record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.translate.faults import Place
from fhirbridge.translate.values import Problem, Site, Why

MAX_OUTPUT = 2_000_000  # characters of one resource

Run = Callable[["Frame"], Any]
Read = tuple[dict[str, Any], str]  # the object, and the field that was read of it


class RefusedError(Exception):
    """One value cannot be made. The message names fields and rules, never what stood in them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Frame:
    """The state of one record's translation; one for each call, so that threads share nothing."""

    record: dict[str, Any]
    site: Site
    run: Mapping[str, Any]  # $run
    places: Mapping[int, str]  # id of each object of the record -> its path
    slots: list[Any]
    traced: bool = True  # whether what is read, and by which rule, is noted
    mapping: str = ""
    path: list[str] = field(default_factory=list)  # of the element that is being made
    reads: list[Read] = field(default_factory=list)  # for the element that is being made
    passed: list[Read] = field(default_factory=list)  # read, but of rows that a filter left out
    rules: list[str] = field(default_factory=list)
    whys: list[Why] = field(default_factory=list)
    empty: list[Why] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # target paths that have their problem already
    references: list[tuple[str, str, Why]] = field(default_factory=list)  # type, id, where
    ids: dict[tuple[Any, ...], str] = field(default_factory=dict)  # that were referred to before
    size: int = 0

    @property
    def target(self) -> str:
        return "".join(self.path)

    def read(self, value: dict[str, Any], name: str) -> Any:
        """Return a field of an object, and note that it was read."""
        if self.traced:
            self.reads.append((value, name))
        return value.get(name)

    def follow(self, rule: str) -> None:
        """Note the rule by which the element is made."""
        if self.traced:
            self.rules.append(rule)

    def paths_of(self, reads: Sequence[Read]) -> tuple[str, ...]:
        """Return the paths of what was read, each once, in the order of reading."""
        return tuple(dict.fromkeys([self.path_of(read) for read in reads]))

    def path_of(self, read: Read) -> str:
        """Return `vitals[2].spo2`; of an object that is not the record's own, only the field."""
        base = self.places.get(id(read[0]), "")
        return f"{base}.{read[1]}" if base else read[1]

    def refuse(self, code: str, place: Place, message: str, sources: tuple[str, ...]) -> None:
        """Note a problem at the element that is being made."""
        self.refused.append(self.target)
        self.problems.append(
            Problem(
                code=code,
                mapping=self.mapping,
                line=place.short,
                source=", ".join(sources),
                message=f"{self.target}: {message}" if self.target else message,
            )
        )


def places_in(record: dict[str, Any]) -> dict[int, str]:
    """Return the path of each object in the record, by its identity."""
    found: dict[int, str] = {}
    waiting: list[tuple[Any, str]] = [(record, "")]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict):
            found[id(value)] = path
            waiting += [(inner, f"{path}.{key}" if path else key) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, f"{path}[{number}]") for number, inner in enumerate(value)]
    return found
