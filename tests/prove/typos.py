"""One wrong letter anywhere in the mapping files, and what the loader says of it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fhirbridge.records.dice import SeededChance
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.faults import MappingError
from fhirbridge.translate.mapping_set import Files

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Typo:
    """A letter of a file, and the wrong one in its place."""

    file: str
    at: int
    letter: str
    line: int
    written: str  # the line as it should be


def plant(count: int, files: Files, seed: str) -> Iterator[Typo]:
    """Choose letters of all files: each letter has the same chance."""
    texts = {name: raw.decode("utf-8") for name, raw in sorted(files.by_name.items())}
    places = [
        (name, match.start())
        for name, text in texts.items()
        for match in re.finditer("[A-Za-z]", text)
    ]
    chance = SeededChance(seed)
    for _ in range(count):
        name, at = places[chance.randrange(len(places))]
        text = texts[name]
        others = LETTERS.replace(text[at].lower(), "")
        yield Typo(
            file=name,
            at=at,
            letter=others[chance.randrange(len(others))],
            line=text.count("\n", 0, at) + 1,
            written=text.splitlines()[text.count("\n", 0, at)],
        )


def spoilt(files: Files, typos: Sequence[Typo]) -> Files:
    """Return the files with these typos, no two of them in one file."""
    found = dict(files.by_name)
    for typo in typos:
        text = found[typo.file].decode("utf-8")
        found[typo.file] = f"{text[: typo.at]}{typo.letter}{text[typo.at + 1 :]}".encode()
    return Files(by_name=MappingProxyType(found), root=files.root)


def faults(files: Files, typos: Sequence[Typo]) -> list[tuple[str, int]]:
    """Return the file and line of each mistake that the loader finds."""
    try:
        mapping_set.compile_all(spoilt(files, typos), source_schema())
    except MappingError as error:
        return [
            (fault.place.file.removeprefix(f"{files.root}/"), fault.place.line)
            for fault in error.faults
        ]
    return []


def batches(typos: Sequence[Typo], size: int) -> Iterator[list[Typo]]:
    """Share typos out so that no file has two in one batch."""
    waiting = list(typos)
    while waiting:
        batch: list[Typo] = []
        rest = []
        for typo in waiting:
            free = len(batch) < size and typo.file not in {one.file for one in batch}
            (batch if free else rest).append(typo)
        yield batch
        waiting = rest


def unnamed(files: Files, typos: Sequence[Typo], size: int = 20) -> Iterator[Typo]:
    """Return those whose line the loader does not name, also when each is alone."""
    for batch in batches(typos, size):
        said = set(faults(files, batch))
        for typo in batch:
            if (typo.file, typo.line) not in said and (
                (typo.file, typo.line) not in faults(files, [typo])
            ):
                yield typo
