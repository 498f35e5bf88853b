"""The mappings of this repository, compiled without their trace."""

from functools import cache

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.mapping_set import MappingSet
from tests.golden.translating import MAPPINGS, SAMPLES, SITE, sample, sent_bytes, the_set


@cache
def untraced() -> MappingSet:
    files = mapping_set.read(MAPPINGS)
    return mapping_set.compile_set(files, source_schema(), traced=False)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_both_paths_make_the_same_bytes(name: str) -> None:
    record = schema.load(codec.encode(sample(name))).document

    traced = engine.translate(record, mapping_set=the_set(), site=SITE)
    plain = engine.translate(record, mapping_set=untraced(), site=SITE)

    assert sent_bytes(plain) == sent_bytes(traced)
    assert [(made.mapping, made.row, made.as_of) for made in plain.resources] == [
        (made.mapping, made.row, made.as_of) for made in traced.resources
    ]
    assert plain.set_digest == traced.set_digest
