"""What two versions of a session differ in: its record, and what was made of it. Holds PHI."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge.audit.log import Action
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import differences
from fhirbridge.outbox import contents
from fhirbridge.outbox.contents import Contents
from fhirbridge.records import history
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import evidence, record

Made = Mapping[tuple[str, str, str], Row[Any]]  # type, our id, overlay


class UnknownVersionError(BridgeError):
    """A session has no such version, or there is no record of that id."""

    code = "E247"
    http_status = HTTPStatus.NOT_FOUND


def versions(
    tx: Connection, record_id: str, before: int | None, after: int | None
) -> tuple[Row[Any], Row[Any]]:
    """Find two versions of the session that any of its records names, by their numbers.

    Without `after`: the named record itself; without `before`: the last one earlier than `after`.
    Raises UnknownVersionError.
    """
    named = history.find(tx, record_id)
    if named is None:
        raise UnknownVersionError("no record has this id", hint="ingest prints the id of each")
    chosen = select(record).where(record.c.session_key == named.session_key)
    known = {row.version: row for row in tx.execute(chosen)}
    last = named.version if after is None else after
    first = before
    if first is None:
        first = max((number for number in known if number < last), default=None)
    if first is None:
        raise UnknownVersionError(
            f"this session has no version before {last}", hint="name one with --from"
        )
    for number in (first, last):
        if number not in known:
            there = ", ".join(map(str, sorted(known)))
            raise UnknownVersionError(
                f"this session has no version {number}", hint=f"it has {there}"
            )
    return known[first], known[last]


def between(
    tx: Connection, vault: Vault, kept: Contents, before: Row[Any], after: Row[Any]
) -> dict[str, Any]:
    """Say what `after` changes, element by element: `record` and `resources`.

    `path` names elements and the ids of rows; where a side has none, `before` or `after` is absent.
    Raises ShreddedError where a version was erased.
    """
    documents = [history.content(tx, vault, row.id)["document"] for row in (before, after)]
    return {
        "from": _version(tx, before),
        "to": _version(tx, after),
        "record": list(_elements(*documents)),
        "resources": list(_resources(tx, kept, _made(tx, before), _made(tx, after))),
    }


def _version(tx: Connection, row: Row[Any]) -> dict[str, Any]:
    """Say who sent a version, when, and by which mappings it was translated; no PHI."""
    said = (
        select(evidence.c.at, evidence.c.actor)
        .where(evidence.c.record_id == row.id, evidence.c.action == Action.RECORD_ACCEPTED)
        .order_by(evidence.c.at, evidence.c.id)
        .limit(1)
    )
    sent = tx.execute(said).one_or_none()
    return {
        "id": row.id,
        "version": row.version,
        "state": row.state,
        "actor": "" if sent is None else sent.actor,
        "received_at": row.received_at,
        "recorded_at": row.recorded_at,
        "in_error": row.in_error,
        "translation": row.translation,
        "mapping_set": row.set_digest,
    }


def _made(tx: Connection, row: Row[Any]) -> Made:
    """Return what counts of a version: what was made last of each resource."""
    found = contents.of_record(tx, row.id)
    return {(one.type, one.resource_id, one.overlay): one for one in found}


def _resources(
    tx: Connection, kept: Contents, before: Made, after: Made
) -> Iterator[dict[str, Any]]:
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and old.digest == new.digest:
            continue
        bodies = [{} if one is None else kept.body(tx, one.id) for one in (old, new)]
        kind, own, overlay = key
        yield {
            "resource": f"{kind}/{own}",
            "overlay": overlay,
            "change": "removed" if new is None else "added" if old is None else "changed",
            "mapping": {
                side: {"name": one.mapping, "set": one.set_digest}
                for side, one in (("from", old), ("to", new))
                if one is not None
            },
            "elements": list(_elements(*bodies)),
        }


def _elements(before: Any, after: Any) -> Iterator[dict[str, Any]]:
    for one in differences.between(_by_row(before), _by_row(after)):
        sides = {"before": one.before, "after": one.after}
        shown = {
            side: _plain(said) for side, said in sides.items() if said is not differences.NOTHING
        }
        yield {"path": one.path.replace(".[", "[").removeprefix("."), **shown}


def _by_row(value: Any) -> Any:
    """Name rows by their ids, so that one more does not shift all that follow."""
    if isinstance(value, dict):
        return {key: _by_row(inner) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    names = [one.get("id") for one in value if isinstance(one, dict)]
    if len(names) < len(value) or None in names or len(set(names)) < len(names):
        return [_by_row(one) for one in value]
    return _Rows({f"[{one['id']}]": _by_row(one) for one in value})


class _Rows(dict[str, Any]):
    """A list of rows, by their ids."""


def _plain(value: Any) -> Any:
    """Give rows back as the list that they were."""
    if isinstance(value, _Rows):
        return [_plain(one) for one in value.values()]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
