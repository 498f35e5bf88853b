"""Infusions: sums that disagree, segments that overlap or stick out, an end that is missing."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.draft import Draft, Path, rows_in
from fhirbridge.records.moments import at
from fhirbridge.records.rules import given

ENDED = ("completed", "stopped")
VISIT_OVER = ("completed", "stopped-early")


def check(draft: Draft) -> None:
    """Warn; an infusion that was never closed is named and never closed here."""
    for path, row in draft.rows("administrations"):
        _warn_of_sum(draft, path, row)
        _warn_of_segments(draft, path, row)
        if given.is_of(row, "route", *vocabulary.read("bounds.json")["infusion_routes"]):
            _warn_of_open(draft, path, row)


def _warn_of_sum(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    if not row.get("rates") or row.get("status") not in ENDED:
        return
    mass, summed = given.dose(row), given.infused(row)
    tolerance = Fraction(vocabulary.read("bounds.json")["rate_times_time_tolerance"])
    if mass is not None and summed is not None and abs(summed - mass) > tolerance * mass:
        text = "rate times time is not the dose, by more than 5 %; check rates, pauses and dose"
        draft.warn((*path, "dose"), "R306", text)


def _warn_of_segments(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    start, end = at(row.get("start")), at(row.get("end"))
    before: datetime | None = None
    timed = [
        (place, segment) for place, segment in rows_in(row, "rates", path) if "start" in segment
    ]
    for place, segment in sorted(timed, key=lambda each: datetime.fromisoformat(each[1]["start"])):
        since, until = at(segment.get("start")), at(segment.get("end"))
        if (since and start and since < start) or (until and end and until > end):
            draft.warn(place, "R314", "this rate runs outside its administration")
        if since and before and since < before:
            draft.warn(place, "R315", "this rate runs while another does")
        before = until or before


def _warn_of_open(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    if row.get("end") or row.get("status") not in ("in-progress", *ENDED):
        return
    start, recorded = at(row.get("start")), at(draft.document.get("recorded_at"))
    longest = timedelta(hours=int(vocabulary.read("bounds.json")["open_infusion_hours"]))
    visit_over = draft.part("visit").get("status") in VISIT_OVER
    if visit_over or row["status"] in ENDED or (start and recorded and recorded - start > longest):
        draft.warn((*path, "end"), "R308", "this infusion has no end; write down when it stopped")
