"""Stock documents: checked, stored sealed with their evidence in one commit. None is delivered."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, insert, select, update

from fhirbridge.audit.log import Action, Entry
from fhirbridge.fhir import codec
from fhirbridge.intake import refused
from fhirbridge.intake.once import Answer, Message, Once
from fhirbridge.intake.rooms import Rooms
from fhirbridge.records import stock
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.history import VersionTakenError
from fhirbridge.records.stock import CheckedStock
from fhirbridge.rng import new_id
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import stock as table
from fhirbridge.translate import identity

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReceipt:
    """What was taken in. `id` is opaque; `findings` name fields, never values."""

    id: str
    version: int
    state: str  # current | older | repeated
    findings: tuple[Finding, ...]


def accept(rooms: Rooms, raw: bytes, *, actor: str) -> StockReceipt:
    """Take in one version of a stock document.

    Raises NotJsonError, InvalidRecordError or VersionTakenError after the refused bytes were put
    in quarantine, and StoreBusyError where nothing could be written.
    """
    return _take_in(rooms, raw, lambda _tx, keep: keep(), once=None, actor=actor)


def accept_once(
    rooms: Rooms,
    raw: bytes,
    message: Message,
    shape: Callable[[StockReceipt], Answer],
    *,
    actor: str,
) -> Answer:
    """Take in the document of a message; a repeat is answered as the first one was.

    Raises OtherBodyError as well, and what `accept` raises.
    """
    once = Once(rooms, message)
    return _take_in(
        rooms,
        raw,
        lambda tx, keep: once.within(tx, lambda: shape(keep())),
        once=once,
        actor=actor,
    )


def _take_in(
    rooms: Rooms,
    raw: bytes,
    within: Callable[[Connection, Callable[[], StockReceipt]], Kept],
    *,
    once: Once | None,
    actor: str,
) -> Kept:
    rooms.disk.check()
    try:
        checked = stock.load(raw)
        with rooms.store.begin() as tx:
            return within(tx, lambda: _keep(tx, rooms, checked, actor))
    except (codec.NotJsonError, InvalidRecordError, VersionTakenError) as error:
        refused.put_aside(rooms, raw, error, actor=actor, once=once)
        raise


def every(tx: Connection) -> list[dict[str, Any]]:
    """Return what is stored, in the order in which it came; nothing of the content."""
    chosen = select(table).order_by(table.c.received_at, table.c.id)
    return [_about(row) for row in tx.execute(chosen)]


def view(tx: Connection, vault: Vault, stock_id: str) -> dict[str, Any] | None:
    """Return one version with its findings and its document, or None."""
    row = tx.execute(select(table).where(table.c.id == stock_id)).one_or_none()
    if row is None:
        return None
    opened = codec.decode(vault.unseal(vault.key(tx, row.id), row.sealed, f"stock:{row.id}"))
    return {**_about(row), **opened}


def _about(row: Row[Any]) -> dict[str, Any]:
    names = ("id", "version", "state", "in_error", "received_at", "warnings", "held")
    return {name: getattr(row, name) for name in names}


def _keep(tx: Connection, rooms: Rooms, checked: CheckedStock, actor: str) -> StockReceipt:
    key = identity.opaque(rooms.site, "stock", checked.clinic_id, checked.stock_id)
    digest = rooms.vault.digest(checked.content_hash)
    versions = tx.execute(select(table).where(table.c.stock_key == key)).all()
    same = next((row for row in versions if row.version == checked.version), None)
    if same is not None and same.digest != digest:
        raise VersionTakenError(
            f"/version: this stock document already has version {checked.version} with other"
            " content",
            hint="send the change as the next version",
        )
    if same is not None:
        made, state = same.id, "repeated"
    else:
        made, state = _store(tx, rooms, checked, key=key, digest=digest, versions=versions)
    _note(tx, rooms, checked, made, state=state, actor=actor)
    return StockReceipt(id=made, version=checked.version, state=state, findings=checked.findings)


def _store(
    tx: Connection,
    rooms: Rooms,
    checked: CheckedStock,
    *,
    key: str,
    digest: str,
    versions: Any,
) -> tuple[str, str]:
    """Store a new version; return its id and whether it counts now."""
    current = next((row for row in versions if row.state == "current"), None)
    older = current is not None and current.version > checked.version
    if current is not None and not older:
        tx.execute(update(table).where(table.c.id == current.id).values(state="superseded"))
    made, state = new_id(rooms.rng), "older" if older else "current"
    content = {
        "document": checked.document,
        "findings": [asdict(finding) for finding in checked.findings],
        "zone_applied": list(checked.zone_applied),
    }
    sealed = rooms.vault.seal(rooms.vault.new_key(tx, made), codec.encode(content), f"stock:{made}")
    values = {
        "id": made,
        "stock_key": key,
        "version": checked.version,
        "state": state,
        "in_error": checked.document.get("status") == "entered-in-error",
        "received_at": moment.to_text(rooms.clock.now()),
        "recorded_at": moment.from_record(checked.document["recorded_at"]),
        "digest": digest,
        **_counts(checked),
    }
    tx.execute(insert(table).values(**values, sealed=sealed))
    return made, state


def _note(
    tx: Connection, rooms: Rooms, checked: CheckedStock, made: str, *, state: str, actor: str
) -> None:
    action = Action.STOCK_REPEATED if state == "repeated" else Action.STOCK_ACCEPTED
    detail = {"stock": made, "version": checked.version, **_counts(checked)}
    rooms.audit.append(tx, Entry(actor=actor, action=action, outcome=state, detail=detail))


def _counts(checked: CheckedStock) -> dict[str, int]:
    levels = [finding.level for finding in checked.findings]
    return {"warnings": levels.count(Level.WARNING), "held": levels.count(Level.HELD)}
