"""Doses, rates and durations outside the usual range: sent with a warning, never held."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from fhirbridge.records import units, vocabulary
from fhirbridge.records.draft import Draft, Path, rows_in
from fhirbridge.records.rules import given

WORDS = {
    "R303": "dose is outside the usual range for this route; it is sent as it is",
    "R304": "rate is outside the usual range for this route; it is sent as it is",
    "R305": "the infusion is shorter or longer than usual; it is sent as it is",
}


def check(draft: Draft) -> None:
    """Warn of what is outside the usual range or above its cap, or does not fit the weight."""
    for path, row in draft.rows("administrations"):
        if row.get("status") in given.GIVEN:
            _warn_of_range(draft, path, row)
            _warn_of_weight(draft, path, row)
            _warn_of_cap(draft, path, row)


def _warn_of_range(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    for bounds in vocabulary.read("bounds.json")["doses"]:
        if given.is_of(row, "drug", bounds["drug"]) and given.is_of(
            row, "route", *bounds["routes"]
        ):
            for place, value in _values(path, row, bounds["of"]):
                if not Fraction(bounds["least"]) <= value <= Fraction(bounds["most"]):
                    draft.warn(place, bounds["code"], WORDS[bounds["code"]])


def _values(path: Path, row: dict[str, Any], kind: str) -> Iterator[tuple[Path, Fraction]]:
    if kind == "rate-per-weight":
        body = given.weight(row)
        for place, segment in rows_in(row, "rates", path):
            hourly = given.rate(row, segment)
            if hourly is not None and body:
                yield (*place, "rate"), hourly / body
        return
    value = given.dose_per_weight(row) if kind == "dose-per-weight" else given.minutes(row)
    if value is not None:
        yield (*path, "dose" if kind == "dose-per-weight" else "end"), value


def _warn_of_weight(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    stated = units.measured(row.get("dose_per_weight"), "mass-per-weight")
    mass, body = given.dose(row), given.weight(row)
    tolerance = Fraction(vocabulary.read("bounds.json")["dose_per_weight_tolerance"])
    # A dose that was stopped early is rightly less than the one per weight.
    if stated and mass is not None and body and row.get("status") == "completed":
        meant = stated * body
        if abs(meant - mass) > tolerance * meant:
            text = "dose_per_weight times weight_used is more than 5 % off the dose; check them"
            draft.warn((*path, "dose"), "R311", text)


def _warn_of_cap(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    orders = {order.get("id"): order for _, order in draft.rows("orders")}
    cap = units.measured(orders.get(row.get("order"), {}).get("dose_cap"), "mass")
    mass = given.dose(row)
    if cap is not None and mass is not None and mass > cap:
        draft.warn((*path, "dose"), "R312", "dose is above the cap of its order")
