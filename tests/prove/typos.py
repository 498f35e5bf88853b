"""One wrong letter anywhere in the mapping files, and who finds it.

The loader does, and names the line; or it stood in words for people. Of an address that belongs to
others (a code system's, a profile's) and of a name that only makes ids the loader cannot know what
was meant: there the cases find it, without which no mapping set goes live.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from fhirbridge.records.dice import SeededChance
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.faults import Fault, MappingError
from fhirbridge.translate.mapping_set import Files
from fhirbridge.workbench import cases, coverage
from fhirbridge.workbench.cases import Bench
from tests.golden import translating

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Words for people: comments, sources, displays, literals with a space or alone in an "&", HTML.
FOR_PEOPLE = {
    "yaml": re.compile(
        r"(?:^|(?<=\s))#.*"
        r"|^ *(?:source|license|owner|reviewed|note|version):.*"
        r"|^ *reason:(?:.*\n {6}.*)*(?=\n *owner)"
        r"|\b(?:display|text|message|title|source|note): (?!\"?=)(?:\"[^\"]*\"|[^,}\n]*)"
        r"|'[^']* [^']*'",
        re.MULTILINE,
    ),
    "html": re.compile(
        r"(?:\A|(?<=%\})|(?<=\}\}))(?:(?!\{[{%]).)+"
        r"|(?<!= )(?<!coded\()'[^']*'(?! (?:not )?in)",
        re.DOTALL,
    ),
}
NO_WORD = re.compile(r"[^\w.-]")
TEXT_AT = re.compile(
    r"\.(?:text|display|div|title|description|comment|valueString|unit)(?:\[\d+\])?: "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typo:
    """A letter of a file, and the wrong one in its place."""

    file: str
    at: int
    letter: str


class Finder(StrEnum):
    """Who finds a typo."""

    LOADER = "the loader, which names the line"
    USER = "the loader, which names the lines that use the word"
    CASES = "the cases: what is made differs"
    READER = "who reads it: only words for people differ"
    NOBODY = "nobody"


def plant(count: int, files: Files, seed: str, *, for_people: bool) -> Iterator[Typo]:
    """Choose letters of all files, of words for people or of all the rest."""
    texts = {name: raw.decode("utf-8") for name, raw in sorted(files.by_name.items())}
    places = [(name, at) for name in texts for at in letters(name, texts[name], for_people)]
    chance = SeededChance(seed)
    for _ in range(count):
        name, at = places[chance.randrange(len(places))]
        others = LETTERS.replace(texts[name][at].lower(), "")
        yield Typo(file=name, at=at, letter=others[chance.randrange(len(others))])


def letters(name: str, text: str, for_people: bool) -> Iterator[int]:  # noqa: FBT001
    """Return where the letters of a file are that are for people, or those that are not."""
    pattern = FOR_PEOPLE[name.rpartition(".")[2]]
    words = {at for match in pattern.finditer(text) for at in range(*match.span())}
    for at, letter in enumerate(text):
        if letter.isascii() and letter.isalpha() and (at in words) is for_people:
            yield at


def spoilt(files: Files, typo: Typo) -> Files:
    text = files.by_name[typo.file].decode("utf-8")
    wrong = f"{text[: typo.at]}{typo.letter}{text[typo.at + 1 :]}"
    by_name = dict(files.by_name) | {typo.file: wrong.encode()}
    return Files(by_name=MappingProxyType(by_name), root=files.root)


def faults(files: Files) -> tuple[Fault, ...]:
    """Return each mistake that the loader finds, in ignored.yaml too."""
    try:
        compiled = mapping_set.compile_all(files, source_schema())
        return coverage.gaps(list(compiled.values()), coverage.ignored(files)).stale
    except MappingError as error:
        return tuple(error.faults)


def found_by(typo: Typo) -> Finder:
    """Say who finds a typo in the mappings of this repository."""
    files = mapping_set.read(translating.MAPPINGS)
    text = files.by_name[typo.file].decode("utf-8")
    wrong = spoilt(files, typo)
    said = faults(wrong)
    if any(_names(fault, f"{files.root}/{typo.file}", text, typo.at) for fault in said):
        return Finder.LOADER
    if said:
        words = (_word(text, typo.at), _word(wrong.by_name[typo.file].decode("utf-8"), typo.at))
        used = any(word in f"{fault}" for fault in said for word in words)
        return Finder.USER if used else Finder.NOBODY
    return _by_cases(wrong)


def _names(fault: Fault, file: str, text: str, at: int) -> bool:
    """Tell whether a mistake is placed at the letter's line, or where its value begins."""
    if fault.place.file != file:
        return False
    lines = text.splitlines()
    here = text.count("\n", 0, at) + 1
    between = lines[fault.place.line : here]
    outer = _indent(lines[fault.place.line - 1]) if fault.place.line else 0
    return fault.place.line <= here and all(_indent(line) > outer for line in between)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _word(text: str, at: int) -> str:
    return NO_WORD.split(text[:at])[-1] + NO_WORD.split(text[at:])[0]


def _by_cases(files: Files) -> Finder:
    bench = Bench(files, source_schema())
    for case in cases.find(translating.MAPPINGS):
        differences = bench.run(case).differences
        if differences:
            words = all(TEXT_AT.search(one) or ".html line" in one for one in differences)
            return Finder.READER if words else Finder.CASES
    return Finder.NOBODY
