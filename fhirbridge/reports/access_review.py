"""Who may come in, who is told, where charts go, who did, which keys changed. No patient data."""

from typing import Any

from sqlalchemy import Connection, func, select

from fhirbridge.access import tokens
from fhirbridge.access.sources import Source
from fhirbridge.audit import checkpoints
from fhirbridge.audit.log import Action
from fhirbridge.reports.table import Cell, Period, Report, Table, numbers, texts
from fhirbridge.store import moment
from fhirbridge.store.hook_tables import webhook_source
from fhirbridge.store.tables import destination, evidence
from fhirbridge.store.webhook_tables import webhook_endpoint

TITLE = "Access review"
NOTE = (
    "Last seen is the last row of the evidence by that name, whenever that was; reading what "
    "holds no patient data leaves no row. Whoever has a shell on the machine acts as cli, and the "
    "machine's own log says who that was."
)
CHANGES = (
    Action.TOKEN_MADE,
    Action.TOKEN_REVOKED,
    Action.SOURCE_ADDED,
    Action.SOURCE_ROTATED,
    Action.SOURCE_REVOKED,
    Action.ENDPOINT_ADDED,
    Action.ENDPOINT_ROTATED,
    Action.ENDPOINT_DISABLED,
    Action.ENDPOINT_ENABLED,
    Action.ENDPOINT_REMOVED,
    Action.DESTINATION_ADDED,
    Action.DESTINATION_REMOVED,
    Action.SIGN_IN_SET,
    Action.SIGN_IN_KEY,
    Action.EVIDENCE_KEY,
    Action.DATABASE_RESTORED,
)


def report(tx: Connection, period: Period, *, now: str) -> Report:
    """Return who may come in now, and what changed and was refused in the period."""
    since, until = map(moment.to_text, period.moments())
    within = (evidence.c.at >= since, evidence.c.at < until)
    seen = _last_seen(tx)
    counts = select(evidence.c.actor, func.count()).where(*within).group_by(evidence.c.actor)
    acted = {row[0]: row[1] for row in tx.execute(counts)}
    changed = select(evidence).where(*within, evidence.c.action.in_([*CHANGES]))
    refused = select(evidence.c.actor, evidence.c.detail, func.count()).where(
        *within, evidence.c.action == Action.ACCESS_REFUSED
    )
    tables = (
        Table(
            name="tokens",
            title="API tokens",
            columns=texts(
                ("name", "Name"),
                ("role", "Role"),
                ("rooms", "Only"),
                ("facade", "Reads the facade"),
                ("made_at", "Made"),
                ("expires_at", "Expires"),
                ("revoked_at", "Revoked"),
                ("standing", "Standing"),
                ("last_seen", "Last seen"),
            ),
            rows=tuple(_token(one, seen, now) for one in tokens.every(tx)),
        ),
        Table(
            name="sources",
            title="Senders of signed messages",
            columns=texts(
                ("name", "Name"),
                ("added_at", "Added"),
                ("revoked_at", "Revoked"),
                ("last_seen", "Last seen"),
            ),
            rows=tuple(
                (
                    row.name,
                    row.added_at,
                    row.revoked_at or None,
                    seen.get(Source(id=row.id, name=row.name).actor),
                )
                for row in tx.execute(select(webhook_source).order_by(webhook_source.c.name))
            ),
        ),
        Table(
            name="endpoints",
            title="Who is told by webhooks",
            columns=texts(
                ("name", "Name"),
                ("address", "Address"),
                ("added_at", "Added"),
                ("removed_at", "Removed"),
                ("disabled_at", "Disabled"),
            ),
            rows=tuple(
                (row.name, row.url, row.added_at, row.removed_at or None, row.disabled_at or None)
                for row in tx.execute(
                    select(webhook_endpoint).order_by(webhook_endpoint.c.added_at)
                )
            ),
        ),
        Table(
            name="destinations",
            title="Where charts go",
            columns=texts(
                ("name", "Name"),
                ("address", "Address"),
                ("added_at", "Added"),
                ("removed_at", "Removed"),
                ("paused", "Paused"),
            ),
            rows=tuple(
                (row.name, row.base_url, row.created_at, row.removed_at or None, row.paused or None)
                for row in tx.execute(select(destination).order_by(destination.c.created_at))
            ),
        ),
        Table(
            name="changes",
            title="Changes of access and keys",
            columns=texts(
                ("at", "At"),
                ("by", "By"),
                ("what", "What"),
                ("outcome", "Outcome"),
                ("destination", "Destination"),
                ("detail", "Detail"),
            ),
            rows=tuple(
                (row.at, row.actor, row.action, row.outcome, row.destination, row.detail)
                for row in tx.execute(changed.order_by(evidence.c.at, evidence.c.id))
            ),
        ),
        Table(
            name="acted",
            title="Who acted, by the evidence",
            columns=(*texts(("by", "By")), *numbers(("rows", "Rows of evidence"))),
            rows=tuple(sorted(acted.items())),
        ),
        Table(
            name="refused",
            title="Turned away",
            columns=(*texts(("by", "By"), ("detail", "Why")), *numbers(("times", "Times"))),
            rows=tuple(
                (row[0], row[1], row[2])
                for row in tx.execute(
                    refused.group_by(evidence.c.actor, evidence.c.detail).order_by(
                        evidence.c.actor, evidence.c.detail
                    )
                )
            ),
        ),
        Table(
            name="evidence-keys",
            title="Keys that sign the evidence",
            columns=texts(
                ("id", "Id"),
                ("since", "From"),
                ("until", "Until"),
                ("compromised_at", "Compromised"),
            ),
            rows=tuple(
                (one.verifier.id, one.since, one.until or None, one.compromised_at or None)
                for one in checkpoints.keys(tx)
            ),
        ),
    )
    return Report(name="access", title=TITLE, period=period, tables=tables, notes=(NOTE,))


def _last_seen(tx: Connection) -> dict[str, str]:
    chosen = select(evidence.c.actor, func.max(evidence.c.at)).group_by(evidence.c.actor)
    return {row[0]: row[1] for row in tx.execute(chosen)}


def _token(one: dict[str, Any], seen: dict[str, str], now: str) -> tuple[Cell, ...]:
    over = "revoked" if one["revoked_at"] else "expired" if one["expires_at"] <= now else ""
    return (
        one["name"],
        one["role"],
        one["rooms"] or None,
        one["facade"] or None,
        one["created_at"],
        one["expires_at"],
        one["revoked_at"] or None,
        over or "good",
        seen.get(f"token:{one['name']}"),
    )
