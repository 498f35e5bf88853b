"""Which mapping set translated from when to when, and what was refused. No patient data."""

from sqlalchemy import Connection, func, select

from fhirbridge.intake.live import LIVE, REFUSED
from fhirbridge.reports.table import Period, Report, Row, Table, numbers, texts
from fhirbridge.store import moment
from fhirbridge.store.tables import mapping_set, record

TITLE = "Which mappings were live"
NOTE = (
    "A set translates from the moment at which it was made live until the next one is. Times are "
    "UTC. The files of each set are kept: fhirbridge map explain --record FILE names the line "
    "behind each element."
)


def report(tx: Connection, period: Period) -> Report:
    """Return each set that was live on any day of the period, and each that was refused in it."""
    since, until = map(moment.to_text, period.moments())
    columns = (mapping_set.c.sequence, mapping_set.c.digest, mapping_set.c.at, mapping_set.c.actor)
    chosen = select(*columns, mapping_set.c.state, mapping_set.c.mistakes)
    rows = tx.execute(chosen.order_by(mapping_set.c.sequence)).all()
    of_set = select(record.c.set_digest, func.count()).where(
        record.c.received_at >= since, record.c.received_at < until
    )
    counts = {row[0]: row[1] for row in tx.execute(of_set.group_by(record.c.set_digest))}
    were = [row for row in rows if row.state == LIVE]
    live: list[Row] = []
    for row, following in zip(were, [*were[1:], None], strict=True):
        end = following.at if following is not None else ""
        if row.at < until and (not end or end > since):
            live.append((row.at, end or None, row.digest, row.actor, counts.get(row.digest, 0)))
    refused = [
        (row.at, row.digest, row.actor, row.mistakes)
        for row in rows
        if row.state == REFUSED and since <= row.at < until
    ]
    tables = (
        Table(
            name="live",
            title="Live",
            columns=(
                *texts(("from", "From"), ("until", "Until")),
                *texts(("digest", "Digest of the set"), ("by", "By")),
                *numbers(("records", "Record versions of the period that it translated")),
            ),
            rows=tuple(live),
        ),
        Table(
            name="refused",
            title="Refused",
            columns=texts(
                ("at", "At"), ("digest", "Digest"), ("by", "By"), ("mistakes", "Mistakes")
            ),
            rows=tuple(refused),
        ),
    )
    return Report(name="mappings", title=TITLE, period=period, tables=tables, notes=(NOTE,))
