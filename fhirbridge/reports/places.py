"""Registered locations and vials, as the stock documents name them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fhirbridge.records import units
from fhirbridge.reports import substances
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.substances import MASS, VOLUME, Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Vial:
    """One container, as the newest stock document knows it."""

    clinic: str
    number: str
    drug: str
    place: str
    lot: str
    state: str
    strength: Fraction | None  # mg/mL
    source: str

    def worked_out(self, amount: Amount | None) -> Amount | None:
        """Return what a volume taken from it holds."""
        if amount is None or amount.unit != VOLUME or self.strength is None:
            return amount
        return Amount(value=amount.value * self.strength, unit=MASS)


class Places:
    """Where things are kept, of all stock documents, the oldest first."""

    def __init__(self, documents: Iterable[Kept]) -> None:
        self._vials: dict[tuple[str, str], Vial] = {}
        self._lots: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self._known: dict[str, set[str]] = defaultdict(set)
        self._named: dict[tuple[str, str], str] = {}
        self.drugs: set[str] = set()
        for kept in documents:
            self._read(kept)

    def _read(self, kept: Kept) -> None:
        clinic = kept.clinic
        for row in kept.document.get("locations", ()):
            place = _label(row)
            self._known[clinic].add(place)
            for word in (row.get("name"), row.get("registration")):
                if word:
                    self._named[clinic, word] = place
        for part in ("vials", "receipts", "returns", "counts", "losses"):
            for row in kept.document.get(part, ()):
                drug, place = substances.name(row.get("drug")), self.of_row(kept.document, row)
                self.drugs.add(drug)
                if row.get("lot"):
                    self._lots[clinic, drug, row["lot"]].add(place)
        for row in kept.document.get("vials", ()):
            self._vials[clinic, row["number"]] = Vial(
                clinic=clinic,
                number=row["number"],
                drug=substances.name(row.get("drug")),
                place=self.of_row(kept.document, row),
                lot=row.get("lot", ""),
                state=row.get("state", ""),
                strength=units.measured(row.get("concentration"), "concentration"),
                source=kept.id,
            )

    def vials(self) -> Iterable[Vial]:
        """Return every vial."""
        return self._vials.values()

    def of_vial(self, clinic: str, number: str) -> Vial | None:
        """Return a vial by its number, or None where no stock document names it."""
        return self._vials.get((clinic, number))

    def of_row(self, document: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        """Return the location that a row of a stock document names."""
        rows = {one["id"]: one for one in document.get("locations", ())}
        found = rows.get(row.get("location"))
        return _label(found) if found else ""

    def of_session(self, document: Mapping[str, Any], vial: str, lot: str, drug: str) -> str:
        """Return the location that something came from; "" where that is not certain.

        The vial says it, else the clinic's own location, else the lot, else there is only one.
        """
        clinic = document.get("clinic", {})
        own = clinic.get("id", "")
        known = self.of_vial(own, vial)
        if known is not None:
            return known.place
        named = self._named.get((own, clinic.get("location", "")))
        if named:
            return named
        for some in (self._lots.get((own, drug, lot), set()), self._known.get(own, set())):
            if len(some) == 1:
                return next(iter(some))
        return ""


def _label(row: Mapping[str, Any]) -> str:
    words = (row.get("registration"), row.get("name"))
    return " · ".join(word for word in words if word) or row["id"]
