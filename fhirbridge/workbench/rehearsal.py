"""One record translated as a clinic would, for a site that is not real."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fhirbridge.translate import engine
from fhirbridge.translate.engine import NotTranslatedError
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import Problem, Site, Translation

# The key is public: ids that it makes are for reading and comparing, never for a chart.
SITE = Site(host="clinic.example.org", tenant="east", key=b"golden tests only, never a clinic")
RECORDED = "2026-04-01T08:00:00Z"
DELIVERY = "delivery-1"
DIGEST = "the digest of the mapping set"  # a true one would differ after every edit
IN_ERROR = "entered-in-error"
SYNTHETIC = "Synthetic"


def rehearse(document: dict[str, Any], mapping_set: MappingSet) -> Translation:
    """Translate a checked record and make a Provenance, as if its patient were sent.

    A record that was taken back makes nothing: what it made is retracted, not made again. Nor does
    one that stays in the clinic as a whole.
    """
    if document.get("status") == IN_ERROR:
        return Translation(
            resources=(), problems=(), set_digest=mapping_set.digest, unmapped=(), empty=()
        )
    made = engine.translate(document, mapping_set=mapping_set, site=SITE)
    if made.problems or not made.resources:
        return made
    try:
        last = engine.provenance(
            document,
            mapping_set=replace(mapping_set, digest=DIGEST),
            site=SITE,
            targets=[f"{one.type}/{one.id}" for one in made.resources if one.type == "Patient"],
            delivery=DELIVERY,
            recorded=RECORDED,
        )
    except NotTranslatedError as error:
        return replace(made, problems=error.problems or (_whole(error),))
    return replace(made, resources=(*made.resources, last))


def _whole(error: NotTranslatedError) -> Problem:
    return Problem(code=error.code, mapping="", line="", source="", message=error.message)


def is_synthetic(sent: Any) -> bool:
    """Tell whether a record says that nobody in it exists: each family name starts with it."""
    families = list(_families(sent))
    labels = sent.get("labels") if isinstance(sent, dict) else None
    named = bool(families) or (isinstance(labels, list) and "synthetic" in labels)
    return named and all(family.startswith(SYNTHETIC) for family in families)


def _families(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("family"), str):
            yield value["family"]
        for inner in value.values():
            yield from _families(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _families(inner)
