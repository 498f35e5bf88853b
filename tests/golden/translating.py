"""From a sample record to resources, by the mappings of this repository and a fixed site key."""

import base64
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import TranslatedResource, Translation
from fhirbridge.workbench import cases, expected, rehearsal

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "mappings"
SAMPLES = {path.stem: path for path in sorted((ROOT / "fhirbridge" / "samples").glob("*.json"))}
# Every field that a record may have, in one visit: for the mappings only, no demo plays it.
WHOLE = "full-record"
SAMPLES[WHOLE] = MAPPINGS / cases.CASES / WHOLE / cases.RECORD
FIRST_VISIT = next(iter(SAMPLES))
SITE = rehearsal.SITE
RECORDED = rehearsal.RECORDED

Json = dict[str, Any]
Change = Callable[[Json], None]

pretty = expected.pretty


@cache
def the_set() -> MappingSet:
    return mapping_set.load(MAPPINGS, source_schema())


def sample(name: str) -> Json:
    """Return a sample as it is sent, with exact decimals; a fresh copy each time."""
    sent: Json = codec.decode(SAMPLES[name].read_bytes())
    return sent


def translate(sent: Json) -> Translation:
    """Check and translate a record as the service does; nothing of it may be a problem."""
    record = schema.load(codec.encode(sent))
    found = engine.translate(record.document, mapping_set=the_set(), site=SITE)
    assert found.problems == ()
    return found


def changed(change: Change, name: str = FIRST_VISIT) -> Translation:
    sent = sample(name)
    change(sent)
    return translate(sent)


def provenance(sent: Json, found: Translation) -> TranslatedResource:
    record = schema.load(codec.encode(sent))
    return engine.provenance(
        record.document,
        mapping_set=the_set(),
        site=SITE,
        targets=[f"{made.type}/{made.id}" for made in found.resources],
        delivery="delivery-1",
        recorded=RECORDED,
    )


def bodies(found: Translation, mapping: str) -> list[Json]:
    return [made.body for made in found.resources if made.mapping == mapping]


def only(found: Translation, mapping: str) -> Json:
    made = bodies(found, mapping)
    assert len(made) == 1, f"{len(made)} of {mapping}"
    return made[0]


def sent_bytes(found: Translation) -> bytes:
    return b"\n".join(codec.encode(made.body) for made in found.resources)


def code_of(observation: Json) -> str:
    code: str = observation["code"]["coding"][0]["code"]
    return code


def note_of(document_reference: Json) -> str:
    data = document_reference["content"][0]["attachment"]["data"]
    return base64.b64decode(data, validate=True).decode("utf-8")
