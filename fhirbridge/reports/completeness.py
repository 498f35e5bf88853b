"""Every record version with its resources and what each EHR has of them; the counts add up. Pure.

Opaque ids, types, times and codes: nothing of a patient.
"""

from collections import Counter
from collections.abc import Sequence

from fhirbridge.reconcile.read_only import Seen
from fhirbridge.reports.completeness_rows import Found, Line
from fhirbridge.reports.fates import Fate
from fhirbridge.reports.table import Period, Report, Row, Table, facts, numbers, texts

TITLE = "Completeness: what came in, and where it is"
ONCE = (
    "Record versions are those received in these UTC days. Each resource of each is counted "
    "once for each destination; a record version of which nothing was made is one line. The "
    "EHR's id, version and content digest are those of the last delivery or reading back."
)
KEYED = "The digest is keyed: the same content has the same digest in this installation only."
NOTES = (ONCE, KEYED)
LIVE_NOTE = "The EHRs were read while this report was made; nothing was sent or noted."
WHAT = {
    Fate.SENT: "sent",
    Fate.RETRACTED: "taken back",
    Fate.WAITING: "waiting",
    Fate.HELD: "held for a person",
    Fate.PARKED: "parked",
    Fate.WITHHELD: "withheld (consent, or held by the check)",
    Fate.LOST: "lost by the EHR, which went back",
    Fate.SKIPPED: "not sent as itself",
    Fate.THEIRS: "left as the EHR has it",
    Fate.REPLACED: "replaced by something newer",
    Fate.NOTHING: "nothing to send",
    Fate.NOT_OWED: "not owed",
    Fate.UNEXPLAINED: "NOT EXPLAINED",
}


def report(found: Found, period: Period, seen: Sequence[Seen] | None = None) -> Report:
    """Return the report; `seen` is what EHRs showed, None where they were not asked."""
    unexplained = [one for one in found.lines if one.verdict.fate is Fate.UNEXPLAINED]
    wrong = [one for one in seen or () if not one.is_right]
    tables = [_summary(found, seen, wrong), _by_destination(found.lines)]
    tables.append(_unexplained(found, unexplained))
    if seen is not None:
        tables += [_seen("differs", "What an EHR does not show as the ledger says", wrong)]
        tables += [_seen("live", "As the EHRs showed it", seen)]
    tables.append(_lines(found.lines))
    return Report(
        name="completeness",
        title=TITLE,
        period=period,
        tables=tuple(tables),
        notes=NOTES if seen is None else (*NOTES, LIVE_NOTE),
        difference=len(unexplained) + len(found.unmatched) + len(wrong),
    )


def _summary(found: Found, seen: Sequence[Seen] | None, wrong: Sequence[Seen]) -> Table:
    fates = Counter(one.verdict.fate for one in found.lines)
    rows = [
        ("record versions accepted, by the evidence", found.received),
        ("record versions stored", found.stored),
        ("refused before they were stored", found.refused),
        ("lines: resources of these, for each destination", len(found.lines)),
        *((words, fates[fate]) for fate, words in WHAT.items()),
        ("difference: lines without an explanation", fates[Fate.UNEXPLAINED]),
        ("difference: record versions without evidence, or the reverse", len(found.unmatched)),
    ]
    if seen is not None:
        rows += [
            ("read at the EHRs now", len(seen)),
            ("of these not as they should be", len(wrong)),
        ]
    return facts("summary", "Summary", rows)


def _by_destination(lines: Sequence[Line]) -> Table:
    counts = Counter((one.destination, one.verdict.fate) for one in lines)
    totals = Counter(one.destination for one in lines)
    rows: list[Row] = [
        (name, totals[name], *(counts[name, fate] for fate in WHAT)) for name in sorted(totals)
    ]
    named = [(fate.value, words.capitalize()) for fate, words in WHAT.items()]
    columns = (*texts(("destination", "Destination")), *numbers(("lines", "Lines"), *named))
    return Table(name="by-destination", title="By destination", columns=columns, rows=tuple(rows))


def _unexplained(found: Found, unexplained: Sequence[Line]) -> Table:
    rows = [(record, "", "", why) for record, why in found.unmatched]
    rows += [(one.record, one.destination, _name(one), one.verdict.reason) for one in unexplained]
    columns = texts(
        ("record", "Record version"),
        ("destination", "Destination"),
        ("resource", "Resource"),
        ("why", "What is missing"),
    )
    return Table(
        name="not-explained", title="What does not add up", columns=columns, rows=tuple(rows)
    )


def _name(line: Line) -> str:
    return "" if line.identity is None else f"{line.identity.type}/{line.identity.id}"


def _seen(name: str, title: str, seen: Sequence[Seen]) -> Table:
    rows = [
        (
            one.destination,
            f"{one.identity.type}/{one.identity.id}",
            one.ehr_id,
            one.expected,
            one.version,
            one.kind,
            " ".join(one.elements),
        )
        for one in seen
    ]
    columns = texts(
        ("destination", "Destination"),
        ("resource", "Resource"),
        ("ehr_id", "Id in the EHR"),
        ("expected", "Version, by the ledger"),
        ("version", "Version, as shown"),
        ("shown", "How it compares"),
        ("elements", "Elements that differ"),
    )
    return Table(name=name, title=title, columns=columns, rows=tuple(rows))


def _lines(lines: Sequence[Line]) -> Table:
    rows = [
        (
            one.record,
            one.version,
            one.received_at,
            one.destination,
            _name(one),
            one.purpose,
            one.verdict.fate.value,
            one.verdict.reason,
            one.verdict.delivery,
            one.ehr_id,
            one.ehr_version if one.is_newest else "",
            one.digest if one.is_newest else "",
            one.delivered_at,
            one.read_back_at,
            "yes" if one.is_newest else "no: a newer one is there",
        )
        for one in lines
    ]
    columns = (
        *texts(("record", "Record")),
        *numbers(("version", "Version")),
        *texts(
            ("received_at", "Received"),
            ("destination", "Destination"),
            ("resource", "Resource"),
            ("purpose", "As"),
            ("state", "State"),
            ("reason", "Reason"),
            ("delivery", "Delivery"),
            ("ehr_id", "Id in the EHR"),
            ("ehr_version", "Version in the EHR"),
            ("digest", "Content digest"),
            ("delivered_at", "Delivered"),
            ("read_back_at", "Read back"),
            ("is_newest", "Is what the EHR has"),
        ),
    )
    return Table(name="lines", title="Line by line", columns=columns, rows=tuple(rows))
