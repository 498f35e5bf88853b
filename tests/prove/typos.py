"""One wrong letter anywhere in the mapping files, and who finds it.

The loader does, and names the line; or it stood in words for people. It cannot know what was meant
of an address that belongs to others (a code system's, a profile's), of a name that only makes ids,
of what a free text is searched for, and where one unit, code, field or keyspace became another (mg,
ug): there the cases find it, without which no mapping set goes live.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from types import MappingProxyType

from fhirbridge.records.dice import SeededChance
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.faults import Fault, MappingError
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.workbench import cases, coverage, differences, expected
from fhirbridge.workbench.cases import Bench
from tests.golden import translating
from tests.prove import corpus

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Words for people: comments, sources, displays, UCUM annotations, what stands between Jinja tags.
FOR_PEOPLE = {
    "yaml": re.compile(
        r"(?:^|(?<=\s))#.*"
        r"|^ *(?:source|license|owner|reviewed|note|version):.*"
        r"|^ *reason:(?:.*\n {6}.*)*(?=\n *owner)"
        r"|\b(?:display|text|message|title|source|note): (?!\"?=)(?:\"[^\"]*\"|[^,}\n]*)"
        r"|\"\{[^}]*\}\"",
        re.MULTILINE,
    ),
    "html": re.compile(r"(?:\A|(?<=%\})|(?<=\}\}))(?:(?!\{[{%]).)+", re.DOTALL),
}
WORD = re.compile(r"[\w/%\[\]-]+")
LITERAL = re.compile(r"'([^'\n]*)'")
# What a document asks for, by a comparison or in a ConceptMap, is no word for people.
ASKED = re.compile(r"(?:= |coded\()$")
ASKED_AFTER = re.compile(r" (?:not )?in ")
# Of these the loader cannot know what was meant.
ADDRESS = re.compile(r"https?://|^keyspace: |identifier\('|\bcode: |\burl: ")
# What a free text of the record is searched for, or compared with, stands in no list either.
OF_FREE_TEXT = re.compile(r"(?:\.(?:contains|startsWith)\(|instrument\.unit = )$")
# What other mappings refer to: a wrong letter there is felt in their lines too.
REFERRED = re.compile(r"(?:mapping|target|scope|keyspace|key): ")
# A line of an element that holds words, and what stands before a word that is only compared.
OF_WORDS = re.compile(r" *(?:- )?\{?(?:text|display|title|description|comment|unit|valueString): ")
COMPARED = re.compile(r"(?:= |\bin \(|\| |\bcoded\(|\btranslate\()$")
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
    CASES = "the cases: an address, an id or another right word differs in what is made"
    READER = "who reads it: only words for people differ"
    NOBODY = "nobody"


def plant(count: int, files: Files, seed: str, *, for_people: bool) -> Iterator[Typo]:
    """Choose letters of all files, of words for people or of all the rest."""
    texts = {name: raw.decode("utf-8") for name, raw in sorted(files.by_name.items())}
    places = [
        (name, at) for name in texts for at in letters(name, texts[name], for_people=for_people)
    ]
    chance = SeededChance(seed)
    for _ in range(count):
        name, at = places[chance.randrange(len(places))]
        others = LETTERS.replace(texts[name][at].lower(), "")
        yield Typo(file=name, at=at, letter=others[chance.randrange(len(others))])


def letters(name: str, text: str, *, for_people: bool) -> Iterator[int]:
    """Return where the letters of a file are that are for people, or those that are not."""
    pattern = FOR_PEOPLE[name.rpartition(".")[2]]
    words = {at for match in pattern.finditer(text) for at in range(*match.span())}
    words |= {at for match in _literals(name, text) for at in range(*match.span())}
    for at, letter in enumerate(text):
        if letter.isascii() and letter.isalpha() and (at in words) is for_people:
            yield at


def is_for_people(typo: Typo) -> bool:
    text = mapping_set.read(translating.MAPPINGS).by_name[typo.file].decode("utf-8")
    return typo.at in letters(typo.file, text, for_people=True)


def _literals(name: str, text: str) -> Iterator[re.Match[str]]:
    """Return the literals that are written out: in a document, that nothing is compared with."""
    for match in LITERAL.finditer(text):
        if name.endswith(".html"):
            asked = ASKED.search(text[: match.start()]) or ASKED_AFTER.match(text[match.end() :])
            if not asked:
                yield match
        elif not OF_FREE_TEXT.search(text[: match.start()]) and (
            " " in match[1] or _is_only_shown(text, match)
        ):
            yield match


def _is_only_shown(text: str, literal: re.Match[str]) -> bool:
    start = text.rfind("\n", 0, literal.start()) + 1
    before = text[start : literal.start()]
    return OF_WORDS.match(before) is not None and COMPARED.search(before) is None


def spoilt(files: Files, typo: Typo) -> Files:
    text = files.by_name[typo.file].decode("utf-8")
    wrong = f"{text[: typo.at]}{typo.letter}{text[typo.at + 1 :]}"
    by_name = dict(files.by_name) | {typo.file: wrong.encode()}
    return Files(by_name=MappingProxyType(by_name), root=files.root)


def faults(files: Files) -> tuple[Fault, ...]:
    """Return each mistake that the loader finds, in ignored.yaml too."""
    try:
        others = ((name, raw) for name, raw in files.by_name.items() if name != coverage.FILE)
        compiled = _compiled(tuple(others), files.root)
        return coverage.gaps([*compiled.values()], coverage.ignored(files)).stale
    except MappingError as error:
        return tuple(error.faults)


# The last one is kept, for typos in ignored.yaml: it changes nothing in what is compiled.
@lru_cache(maxsize=1)
def _compiled(by_name: tuple[tuple[str, bytes], ...], root: str) -> Mapping[str, MappingSet]:
    files = Files(by_name=MappingProxyType(dict(by_name)), root=root)
    mapping_set.compile_set(files, source_schema())  # most mistakes are found without the overlays
    return mapping_set.compile_all(files, source_schema())


def judged(typos: Sequence[Typo]) -> list[Finder]:
    """Say of each typo who finds it."""
    with ProcessPoolExecutor(corpus.PROCESSES, mp_context=corpus.SPAWNED) as pool:
        named = set[Typo]().union(*pool.map(named_together, batches(typos)))
        rest = sorted((typo for typo in typos if typo not in named), key=lambda typo: typo.file)
        found = dict(zip(rest, pool.map(found_by, rest, chunksize=4), strict=True))
    return [found.get(typo, Finder.LOADER) for typo in typos]


def batches(typos: Sequence[Typo]) -> list[list[Typo]]:
    """Share out the typos that no other file feels, one of each file to a batch."""
    files = mapping_set.read(translating.MAPPINGS)
    shared: dict[tuple[str, int], list[Typo]] = {}
    counted: Counter[str] = Counter()
    for typo in typos:
        folder = typo.file.partition("/")[0]
        line = _line_of(files, typo)
        if folder in ("resources", "conceptmaps", "documents") and not REFERRED.match(line):
            shared.setdefault((folder, counted[typo.file]), []).append(typo)
            counted[typo.file] += 1
    return list(shared.values())


def _line_of(files: Files, typo: Typo) -> str:
    text = files.by_name[typo.file].decode("utf-8")
    return text.splitlines()[text.count("\n", 0, typo.at)]


def named_together(typos: Sequence[Typo]) -> list[Typo]:
    """Return the typos whose line the loader names while the others are there too."""
    files = mapping_set.read(translating.MAPPINGS)
    wrong = files
    for typo in typos:
        wrong = spoilt(wrong, typo)
    said = faults(enough_for(wrong, *(typo.file for typo in typos)))
    return [typo for typo in typos if _is_named(said, files, typo)]


def found_by(typo: Typo) -> Finder:
    """Say who finds one typo in the mappings of this repository."""
    files = mapping_set.read(translating.MAPPINGS)
    wrong = spoilt(files, typo)
    enough = enough_for(wrong, typo.file)
    if enough != wrong and _is_named(faults(enough), files, typo):
        return Finder.LOADER
    try:
        found = _by_cases(wrong, typo)
    except MappingError as error:
        return _by_loader(error.faults, files, typo)
    # Anything else that only the cases find is a check that the loader lacks.
    if found is Finder.CASES and not only_cases_can_know(files, typo):
        found = Finder.NOBODY
    if found is Finder.NOBODY and (said := faults(wrong)):
        return _by_loader(said, files, typo)
    return found


def _by_loader(said: Sequence[Fault], files: Files, typo: Typo) -> Finder:
    return Finder.LOADER if _is_named(said, files, typo) else Finder.USER


def only_cases_can_know(files: Files, typo: Typo) -> bool:
    """Tell whether no list says which words are right there, or both of them are."""
    text = files.by_name[typo.file].decode("utf-8")
    asked = (one for one in LITERAL.finditer(text) if OF_FREE_TEXT.search(text[: one.start()]))
    if ADDRESS.search(_line_of(files, typo)) or any(typo.at in range(*one.span()) for one in asked):
        return True
    word = next(one for one in WORD.finditer(text) if typo.at in range(*one.span()))
    at = typo.at - word.start()
    return {word[0], f"{word[0][:at]}{typo.letter}{word[0][at + 1 :]}"} <= known_words()


@cache
def known_words() -> frozenset[str]:
    """Return the units, codes, fields, words and keyspaces that there are."""
    files = mapping_set.read(translating.MAPPINGS)
    compiled = mapping_set.compile_set(files, source_schema())
    codes = (code for system in compiled.codes.systems.values() for code in system.displays)
    spaces = (mapping.keyspace for mapping in compiled.mappings)
    return frozenset({*compiled.units.units, *codes, *spaces, *_words_of(compiled.source)})


def _words_of(field: SourceField) -> Iterator[str]:
    yield from (*field.fields, *field.values)
    for inner in (*field.fields.values(), *filter(None, [field.item])):
        yield from _words_of(inner)


def enough_for(files: Files, *names: str) -> Files:
    """Leave out what has no say in which lines of files of one folder are wrong.

    A table is judged by tables, a document by them and by the mappings that fill it in, a mapping
    by the heads of the others.
    """
    if names[0].startswith(("fragments/", "overlays/")) or names[0] == coverage.FILE:
        return files
    kept: dict[str, bytes] = {}
    for name, raw in files.by_name.items():
        made = raw.replace(b"\noptional: true\n", b"\nnote: made now\n")
        if name in names or "/" not in name or name.startswith("conceptmaps/"):
            kept[name] = made
        elif names[0].startswith("resources/"):
            kept[name] = _head(raw) if name.startswith("resources/") else raw
        elif any(_fills_in(raw, document) for document in names):
            kept[name] = made
    return Files(by_name=MappingProxyType(kept), root=files.root)


def _head(mapping: bytes) -> bytes:
    return mapping.partition(b"\nresource:")[0] + b"\nresource: {}\n"


def _fills_in(mapping: bytes, document: str) -> bool:
    name = document.removeprefix("documents/").removesuffix(".html")
    return f"('{name}')".encode() in mapping


def _is_named(said: Sequence[Fault], files: Files, typo: Typo) -> bool:
    text = files.by_name[typo.file].decode("utf-8")
    file = f"{files.root}/{typo.file}"
    return any(_names(fault, file, text, typo.at) for fault in said)


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


def _by_cases(files: Files, typo: Typo) -> Finder:
    """Translate the cases, of a mapping those that it makes something of, until one differs.

    No case shows what ignored.yaml says. Raises MappingError where a set cannot be loaded.
    """
    if typo.file == coverage.FILE:
        return Finder.NOBODY
    bench = Bench(files, source_schema())
    bench.set_of("")
    mapping = typo.file.removeprefix("resources/").removesuffix(".yaml")
    for case in cases.find(translating.MAPPINGS):
        kept = case.kept()
        if typo.file.startswith("resources/") and f"{mapping}.json" not in kept:
            continue
        made = expected.files_of(bench.translate(case))
        if made != kept:
            return Finder.READER if _only_words(kept, made) else Finder.CASES
    return Finder.NOBODY


def _only_words(kept: dict[str, str], made: dict[str, str]) -> bool:
    """Tell whether two translations differ in words for people only."""
    return kept.keys() == made.keys() and all(
        TEXT_AT.search(one.said)
        for name in kept
        if name.endswith(".json")
        for one in differences.of_json(name, kept[name], made[name])
    )
