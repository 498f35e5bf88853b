"""Times that do not fit together: a dose outside its visit, a reading later than its record."""

from datetime import timedelta

from fhirbridge.records import vocabulary
from fhirbridge.records.draft import Draft, Path
from fhirbridge.records.moments import at

TIMED = ("vitals", "assessments", "labs", "waste", "sedation", "dissociation", "contacts")
NOT_YET = ("planned", "not-done")


def check(draft: Draft) -> None:
    """Warn."""
    start, end = (at(draft.part("visit").get(name)) for name in ("start", "end"))
    for path, row in draft.rows("administrations"):
        since, until = at(row.get("start")), at(row.get("end"))
        outside = (start and since and since < start) or (end and (until or since or end) > end)
        if outside and row.get("setting") == "clinic" and row.get("status") not in NOT_YET:
            draft.warn(path, "R307", "this dose was given in the clinic and lies outside the visit")
        if row.get("status") != "planned":
            _warn_of_future(draft, path, "start", row.get("start"))
    for part in TIMED:
        for path, row in draft.rows(part):
            _warn_of_future(draft, path, "time", row.get("time"))


def _warn_of_future(draft: Draft, path: Path, name: str, value: object) -> None:
    time, recorded = at(value), at(draft.document.get("recorded_at"))
    slack = timedelta(minutes=int(vocabulary.read("bounds.json")["late_minutes"]))
    if time and recorded and time > recorded + slack:
        draft.warn((*path, name), "R316", f"{name} is later than recorded_at; check the clocks")
