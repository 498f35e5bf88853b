"""What an EHR showed when it was asked who a patient is: one collection Bundle. Pure.

A Bundle, since the evidence keeps it, sealed, and the decision is made from just that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.matching.decide import How

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
# HAPI's MDM keeps golden records beside what they stand for; nobody charts in one.
GOLDEN = ("http://hapifhir.io/fhir/NamingSystem/mdm-record-status", "GOLDEN_RECORD")
CERTAIN = "certain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The patients that a search named, and all that were read."""

    how: How
    hits: tuple[str, ...]
    bodies: Mapping[str, dict[str, Any]]
    more: bool = False


def bundle(
    how: How, hits: Sequence[str], bodies: Mapping[str, dict[str, Any]], *, more: bool
) -> dict[str, Any]:
    """Write down what was shown."""
    named = dict.fromkeys([*hits, *bodies])
    entries = [
        {
            **({"resource": bodies[one]} if one in bodies else {}),
            "link": [{"relation": "self", "url": one}],
            "search": {"mode": "match" if one in hits else "include"},
        }
        for one in named
    ]
    links = [{"relation": "related", "url": f"urn:fhirbridge:{how.value}"}]
    links += [{"relation": "next", "url": "urn:fhirbridge:more"}] if more else []
    return {"resourceType": "Bundle", "type": "collection", "link": links, "entry": entries}


def read(shown: Mapping[str, Any]) -> Sight:
    """Read what `bundle` wrote."""
    links = {one["relation"]: one["url"] for one in shown["link"]}
    named = [(one["link"][0]["url"], one) for one in shown["entry"]]
    return Sight(
        how=How(links["related"].rpartition(":")[2]),
        hits=tuple(url for url, one in named if one["search"]["mode"] == "match"),
        bodies={url: one["resource"] for url, one in named if "resource" in one},
        more="next" in links,
    )


def is_golden(patient: Mapping[str, Any]) -> bool:
    """Say whether this is a golden record of an MDM, which is nobody's chart."""
    meta = patient.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    found = [one for one in tags if isinstance(one, dict)] if isinstance(tags, list) else []
    return any((one.get("system"), one.get("code")) == GOLDEN for one in found)


def is_certain(entry: Mapping[str, Any]) -> bool:
    """Say whether the EHR's own $match calls this entry certain."""
    search = entry.get("search")
    listed = search.get("extension") if isinstance(search, dict) else None
    grades = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return any(one.get("url") == MATCH_GRADE and one.get("valueCode") == CERTAIN for one in grades)
