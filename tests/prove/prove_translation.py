"""The translation is right: the full numbers, for `make prove`; the tests do fewer."""

from collections.abc import Callable

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import cases, mutation
from tests.golden import translating
from tests.prove import corpus, typos
from tests.prove.typos import Finder

RECORDS = 10_000
TYPOS = 4_000
TYPOS_IN_WORDS = 200

Say = Callable[[str], None]


def test_every_generated_record_is_translated_rightly(say: Say) -> None:
    found = corpus.examine_all(RECORDS)

    assert found.wrong == []
    assert found.records == RECORDS
    say(
        f"{found.records} generated records became {found.resources} sound resources, the same "
        f"bytes with and without trace, each of {found.numbers} numbers digit for digit"
    )


def test_no_field_that_is_missing_makes_anything_unsound(say: Say) -> None:
    found = cases.find(translating.MAPPINGS)
    files = mapping_set.read(translating.MAPPINGS)

    tried, wrong = mutation.run(files, found, source_schema())

    assert wrong == ()
    say(f"{tried} fields of {len(found)} cases were left out, one at a time: nothing unsound")


@pytest.mark.parametrize(("count", "for_people"), [(TYPOS, False), (TYPOS_IN_WORDS, True)])
def test_every_typo_is_found_or_stands_in_words(
    say: Say,
    count: int,
    for_people: bool,  # noqa: FBT001
) -> None:
    files = mapping_set.read(translating.MAPPINGS)
    planted = list(typos.plant(count, files, "the whole proof", for_people=for_people))

    found = typos.judged(planted)

    unseen = [typo for typo, finder in zip(planted, found, strict=True) if not seen(finder, typo)]
    assert not unseen, "\n".join(map(str, unseen))
    counted = ", ".join(f"{found.count(one)} by {one}" for one in Finder if one in found)
    say(f"{count} typos {'in words' if for_people else 'elsewhere'}: {counted}")


def seen(finder: Finder, typo: typos.Typo) -> bool:
    return finder is not Finder.NOBODY or typos.is_for_people(typo)


def test_the_corpus_is_as_varied_as_it_should_be(say: Say) -> None:
    distinct = {codec.content_hash(corpus.record(number)) for number in range(RECORDS)}

    assert len(distinct) == RECORDS
    say(f"{RECORDS} generated records of {len(corpus.KINDS)} kinds, no two alike")
