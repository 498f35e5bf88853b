"""Take identifiers out of resources, by a list of what may stay. Pure, but for its key.

Ids and the days by which dates are moved come of a key that is made for one export and thrown
away: two exports cannot be joined by them.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fhirbridge.exports.allowed import (
    ALLOWED,
    CODES_OF_R4,
    FEW_PEOPLE,
    REQUIRED,
    STATES,
    Leaf,
    Led,
    Spec,
    Whole,
)
from fhirbridge.fhir.references import LITERAL
from fhirbridge.translate import yaml_tree
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar

OLDEST = 89  # years; who is older is "90 or older"
DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T.*)?)?)?")
ZIP = re.compile(r"\d{5}(-\d{4})?")
COUNTRY = re.compile(r"[A-Z]{2,3}")
MASKED = "masked"
ABSENT = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": MASKED,
        }
    ]
}


class Identifiers(StrEnum):
    """What an export does about identifiers, where it does not keep them."""

    SAFE_HARBOR = "safe-harbor"  # de-identified: 45 CFR 164.514(b)(2), years only
    LIMITED = "limited"  # a limited data set: 164.514(e), dates moved for each patient
    MASKED = "masked"  # names and texts are covered; it is not de-identified


def words_of(files: Mapping[str, bytes]) -> frozenset[str]:
    """Return R4's own codes and every word that mapping files hold: {"codes.yaml": bytes}."""
    found = {*CODES_OF_R4}
    for name, raw in files.items():
        if name.endswith(".yaml"):
            found.update(_scalars(yaml_tree.read(raw.decode("utf-8"), name)))
    return frozenset(found)


def _scalars(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        yield node.text
    else:
        for name, one in node.items.items() if isinstance(node, Fields) else enumerate(node.items):
            if isinstance(name, str):
                yield name
            yield from _scalars(one)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scrub:
    """How one export takes identifiers out."""

    kind: Identifiers
    words: frozenset[str]  # a text or code that is none of these may have been typed
    key: bytes  # thrown away after the export
    year: int  # in which it is made: ages are counted to it

    def order(self, lane: str) -> bytes:
        """Return by what charts are put in an order that only this export has."""
        return self._keyed("order", lane)

    def resource(self, body: Mapping[str, Any], lane: str) -> dict[str, Any] | None:
        """Return what may stay of a resource of a chart; None where its whole type goes."""
        kind = body["resourceType"]
        if (spec := ALLOWED.get(kind)) is None:
            return None
        kept = self._object(body, spec, lane)
        for name in REQUIRED[kind]:
            if name in body and name not in kept:
                kept["_" + name if isinstance(spec[name], Leaf) else name] = ABSENT
        return {"resourceType": kind, "id": self.name(kind, body["id"]), **kept}

    def name(self, kind: str, own: str) -> str:
        """Return the id that a resource has in this export alone."""
        return self._keyed("id", kind, own).hex()[:32]

    def _object(
        self, value: Mapping[str, Any], spec: Mapping[str, Spec], lane: str
    ) -> dict[str, Any]:
        kept = {
            name: one
            for name, part in spec.items()
            if name in value and (one := self._kept(value[name], part, lane)) is not None
        }
        return {name: kept[name] for name in value if name in kept}

    def _kept(self, value: Any, spec: Spec, lane: str) -> Any:
        if isinstance(value, list):
            some = [
                one for one in (self._kept(each, spec, lane) for each in value) if one is not None
            ]
            return some or None
        if isinstance(spec, Leaf):
            return self._leaf(value, spec, lane)
        if not isinstance(value, dict):
            return None
        if isinstance(spec, Whole):
            return self._whole(value, spec, lane)
        if isinstance(spec, Led):
            kept = self._object(value, spec.parts, lane)
            return kept if spec.by & kept.keys() else None
        return self._object(value, spec, lane) or None

    def _whole(self, value: dict[str, Any], spec: Whole, lane: str) -> dict[str, Any] | None:
        kept = self._object(value, {**spec.parts, **spec.beside}, lane)
        lost = [name for name in spec.parts if name in value and name not in kept]
        return None if lost or not kept.keys() & spec.parts.keys() else kept

    def _leaf(self, value: Any, leaf: Leaf, lane: str) -> Any:
        if leaf is Leaf.NUMBER:
            is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
            return value if is_number else None
        if leaf is Leaf.FLAG:
            return value if isinstance(value, bool) else None
        return self._text(value, leaf, lane) if isinstance(value, str) else None

    def _text(self, value: str, leaf: Leaf, lane: str) -> str | None:
        match leaf:
            case Leaf.WORD:
                return value if value in self.words else None
            case Leaf.TEXT:
                covered = MASKED if self.kind is Identifiers.MASKED else None
                return value if value in self.words else covered
            case Leaf.DATE:
                return self._date(value, lane)
            case Leaf.REFERENCE:
                return self._reference(value)
            case Leaf.NAME:
                return "Masked" if self.kind is Identifiers.MASKED else None
            case _:
                return self._place(value, leaf)

    def _place(self, value: str, leaf: Leaf) -> str | None:
        """Return a part of an address: under Safe Harbor nothing smaller than a state."""
        if leaf is Leaf.STATE:
            return value if value in STATES else None
        if leaf is Leaf.COUNTRY:
            return value if COUNTRY.fullmatch(value) else None
        whole = self.kind is not Identifiers.SAFE_HARBOR
        if leaf is Leaf.CITY:
            return value if whole else None
        if not ZIP.fullmatch(value):
            return None
        return value if whole else "000" if value[:3] in FEW_PEOPLE else value[:3]

    def _reference(self, value: str) -> str | None:
        if value.startswith("#"):
            return value if value[1:] in self.words else None
        found = LITERAL.fullmatch(value)
        if found is None or found[1] not in ALLOWED:
            return None
        return f"{found[1]}/{self.name(found[1], found[2])}"

    def _date(self, value: str, lane: str) -> str | None:
        found = DATE.fullmatch(value)
        if found is None:
            return None
        year, month, day, clock = found.groups()
        if self.kind is Identifiers.SAFE_HARBOR:
            # Of somebody's life: an older year would say that he is over 89.
            return year if self.year - int(year) <= OLDEST else None
        if self.kind is Identifiers.MASKED:
            return value
        try:
            moved = date(int(year), int(month or 7), int(day or 15)) - self._days(lane)
        except (ValueError, OverflowError):
            return None
        text = moved.isoformat()
        return text + (clock or "") if day else text[:7] if month else text[:4]

    def _days(self, lane: str) -> timedelta:
        """Return by how much a patient's dates are moved: 1 to 365 days, the same for all."""
        return timedelta(days=1 + int.from_bytes(self._keyed("days", lane)[:8], "big") % 365)

    def _keyed(self, *about: str) -> bytes:
        return hmac.new(self.key, "\0".join(about).encode(), hashlib.sha256).digest()
