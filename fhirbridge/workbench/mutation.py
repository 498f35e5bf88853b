"""What a missing field of a record does: never an exception, never an invalid resource."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from fhirbridge.fhir import codec, validate
from fhirbridge.records import schema
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.source import SourceField
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.workbench.cases import Bench, Case
from fhirbridge.workbench.rehearsal import rehearse


def run(files: Files, cases: Sequence[Case], source: SourceField) -> tuple[int, tuple[str, ...]]:
    """Drop each field of each case's record, one at a time; say how many, and what went wrong.

    Good is a record that is refused, elements that are held, a translation with problems, or only
    sound resources. Raises MappingError, and CaseError where a case has no record.
    """
    bench = Bench(files, source)
    sound: set[str] = set()
    tried = 0
    wrong: list[str] = []
    for case in cases:
        sent = codec.decode(case.record())
        for pointer in pointers(sent):
            tried += 1
            place = f"{case.name} without /{'/'.join(map(str, pointer))}"
            said = _trial(without(sent, pointer), bench.set_of(case.overlay), sound)
            wrong += [f"{place}: {sentence}" for sentence in said]
    return tried, tuple(wrong)


Pointer = tuple[str | int, ...]


def pointers(value: Any, here: Pointer = ()) -> Iterator[Pointer]:
    """Return where each field of a record is, those of its rows included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*here, key)
            yield from pointers(inner, (*here, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from pointers(inner, (*here, number))


def without(sent: Any, pointer: Pointer) -> Any:
    """Return a copy of a record in which one field is missing."""
    copy = deepcopy(sent)
    inner = copy
    for step in pointer[:-1]:
        inner = inner[step]
    del inner[pointer[-1]]
    return copy


def _trial(sent: Any, mapping_set: MappingSet, sound: set[str]) -> Iterator[str]:
    """Say what is wrong; `sound` remembers which resources were found sound."""
    try:
        document = schema.load(codec.encode(sent)).document
        made = rehearse(document, mapping_set)
    except InvalidRecordError:
        return
    except Exception as error:  # noqa: BLE001 - that there is none is what is tried
        yield f"stops with {type(error).__name__}"
        return
    for one in () if made.problems else made.resources:
        if one.content_hash not in sound:
            said = validate.problems(one.body)
            yield from (f"{one.mapping}: {sentence}" for sentence in said)
            if not said:
                sound.add(one.content_hash)
