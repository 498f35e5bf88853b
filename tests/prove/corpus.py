"""Generated records of every kind, and all that must be true of what each becomes."""

import hashlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fhirbridge.fhir import codec, validate
from fhirbridge.records import generator, schema
from fhirbridge.records.generator import SeededChance
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import Translation
from fhirbridge.workbench.rehearsal import rehearse
from tests.golden import translating
from tests.prove import digits

KINDS = tuple(generator.KINDS)
PROCESSES = 2
CHUNK = 50
# Spawned, so that each process has a hash seed of its own.
SPAWNED = multiprocessing.get_context("spawn")


@dataclass(kw_only=True)
class Examined:
    """What was looked at, and what was found wrong: no value of a record stands in it."""

    records: int = 0
    resources: int = 0
    numbers: int = 0
    wrong: list[str] = field(default_factory=list)
    digest: str = ""

    def add(self, other: "Examined") -> None:
        """Count another piece of the corpus too."""
        self.records += other.records
        self.resources += other.resources
        self.numbers += other.numbers
        self.wrong += other.wrong
        self.digest = hashlib.sha256(f"{self.digest}{other.digest}".encode()).hexdigest()


def record(number: int) -> dict[str, Any]:
    """Return the record of that number: the same one on every machine."""
    made = generator.generate(KINDS[number % len(KINDS)], SeededChance(f"corpus {number}"))
    return made if number % 2 else digits.with_another_zero(made)


@cache
def compiled(*, traced: bool = True, overlay: str = "") -> MappingSet:
    files = mapping_set.read(translating.MAPPINGS)
    return mapping_set.compile_set(files, source_schema(), overlay, traced=traced)


def examine_all(count: int) -> Examined:
    """Examine that many records, in more than one process."""
    found = Examined()
    chunks = chunked(count)
    with ProcessPoolExecutor(PROCESSES, mp_context=SPAWNED) as pool:
        for one in pool.map(examine, chunks):
            found.add(one)
    return found


def chunked(count: int) -> list[range]:
    return [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]


def examine(numbers: Sequence[int]) -> Examined:
    """Translate these records; nothing may be refused, unsound, unsteady or out in a digit."""
    found = Examined()
    whole = hashlib.sha256()
    for number in numbers:
        document = schema.load(codec.encode(record(number))).document
        made = rehearse(document, compiled())
        again = rehearse(document, compiled(traced=False))
        found.wrong += [f"record {number}: {said}" for said in _wrong(document, made, again)]
        found.records += 1
        found.resources += len(made.resources)
        found.numbers += sum(1 for one in made.resources for _ in digits.numbers(one.body))
        whole.update(_bytes(made))
    found.digest = whole.hexdigest()
    return found


def _wrong(document: dict[str, Any], made: Translation, again: Translation) -> Iterator[str]:
    yield from (f"{one.code} {one.line} {one.message}" for one in made.problems)
    if _bytes(made) != _bytes(again):
        yield "translated again, with no trace, it has other bytes"
    for one in made.resources:
        yield from (f"{one.mapping}: {said}" for said in validate.problems(one.body))
        yield from digits.lost(document, one)


def _bytes(made: Translation) -> bytes:
    return b"\n".join(codec.encode(one.body) for one in made.resources)
