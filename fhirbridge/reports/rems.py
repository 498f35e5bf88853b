"""The monitoring of nasal esketamine, treatment by treatment, in the fields of the REMS form. Pure.

Holds what is known of patients.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from fhirbridge.reports import rems_fields
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.table import Period, Report, Row, Table, texts

TITLE = "Esketamine monitoring, for the REMS patient monitoring form"
NOTE = (
    "The fields are those of the form of {dated}, as far as it was seen: this is no form and sends "
    "nothing. Compare it with the form in force, and submit that. What a record does not say is "
    "left empty and listed as missing; a person answers it."
)
DUE = (
    "A form is due within {days} days of the session. A form counts as submitted once somebody "
    "said so (fhirbridge record submitted)."
)
OVERDUE, OPEN, SUBMITTED, NOT_ASKED = "OVERDUE", "due", "submitted", "not asked: inpatient"


def report(
    sessions: Iterable[Kept], submitted: Mapping[str, str], period: Period, *, today: date
) -> Report:
    """Return the report; `submitted` has the day on which each session's form went, by session."""
    form = rems_fields.form()
    rows: list[Row] = []
    left_out: list[Row] = []
    for kept in sessions:
        doses = [
            dose
            for dose in rems_fields.treatments(kept.document)
            if period.has(rems_fields.began(dose).date())
        ]
        if doses and kept.left_out:
            left_out.append((kept.id, kept.left_out))
        elif doses:
            rows += [_row(kept, dose, submitted, today) for dose in doses]
    names = [(one["name"], one["title"]) for one in form["fields"]]
    columns = texts(*HEAD, *names, *TAIL)
    where = len(HEAD) + len(names)
    overdue = [(*row[: len(HEAD)], row[where + 1]) for row in rows if row[where + 3] == OVERDUE]
    tables = (
        Table(name="treatments", title="Treatments", columns=columns, rows=tuple(rows)),
        Table(
            name="overdue",
            title="Overdue",
            columns=texts(*HEAD, ("submit_by", "Submit by")),
            rows=tuple(overdue),
        ),
        _form_table(),
        Table(
            name="not-counted",
            title="Not counted",
            columns=texts(("record", "Record"), ("why", "Why")),
            rows=tuple(left_out),
        ),
    )
    notes = (NOTE.format(dated=form["dated"]), DUE.format(days=form["within_days"]))
    return Report(name="rems", title=TITLE, period=period, tables=tables, notes=notes)


HEAD = (
    ("record", "Record"),
    ("row", "Row in it"),
    ("day", "Day"),
    ("patient", "Patient (the clinic's id)"),
    ("rems_id", "REMS id"),
    ("site", "REMS site"),
)
TAIL = (
    ("missing", "Missing"),
    ("submit_by", "Submit by"),
    ("submitted_on", "Submitted on"),
    ("standing", "Standing"),
)


def _row(kept: Kept, dose: Mapping[str, object], submitted: Mapping[str, str], today: date) -> Row:
    form, document = rems_fields.form(), kept.document
    day = rems_fields.began(dose).date()
    found = rems_fields.fields(document, dose)
    asked = document.get("visit", {}).get("class") not in form["not_for"]
    due = day + timedelta(days=int(form["within_days"]))
    on = submitted.get(kept.session, "")
    standing = SUBMITTED if on else OVERDUE if today > due else OPEN
    return (
        kept.id,
        f"administrations/{dose['id']}",
        day.isoformat(),
        document["patient"]["id"],
        document["patient"].get("rems_id"),
        document["clinic"].get("rems_site"),
        *(found[one["name"]] for one in form["fields"]),
        "; ".join(rems_fields.missing(found)),
        due.isoformat() if asked else None,
        on or None,
        standing if asked else NOT_ASKED,
    )


def _form_table() -> Table:
    rows = [
        (one["title"], "yes" if one["required"] else "no", one["verified"])
        for one in rems_fields.form()["fields"]
    ]
    columns = texts(("field", "Field"), ("required", "Required"), ("verified", "Verified"))
    return Table(
        name="form", title="How far each field was verified", columns=columns, rows=tuple(rows)
    )
