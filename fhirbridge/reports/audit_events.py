"""Rows of the evidence as FHIR R4 AuditEvents: opaque ids, codes and times, as the rows hold them.

Pure. Codes are those of R4's own value sets; no profile is claimed.
"""

from typing import Any, NamedTuple, Protocol

from fhirbridge.audit.log import Action
from fhirbridge.fhir import codec

DICOM = "http://dicom.nema.org/resources/ontology/DCM"
REST = "http://terminology.hl7.org/CodeSystem/audit-event-type"
OURS = "urn:fhirbridge"
SUCCESS, MINOR = "0", "4"
BAD = frozenset({"refused", "not found", "compromised", "unproven", "failed", "lost"})


class EvidenceRow(Protocol):
    """What is asked of a row of the evidence."""

    id: Any
    at: Any
    actor: Any
    action: Any
    outcome: Any
    record_id: Any
    delivery_id: Any
    destination: Any
    detail: Any
    payload_digest: Any
    leaf: Any


class Kind(NamedTuple):
    """What an AuditEvent says of one kind of row: type, and one of C, R, U, D, E."""

    system: str
    code: str
    display: str
    action: str


def _dicom(code: str, display: str, action: str) -> Kind:
    return Kind(DICOM, code, display, action)


ACTIVITY = _dicom("110100", "Application Activity", "E")
LOG_USED = _dicom("110101", "Audit Log Used", "R")
EXPORT = _dicom("110106", "Export", "R")
IMPORT = _dicom("110107", "Import", "C")
QUERY = _dicom("110112", "Query", "R")
SECURITY = _dicom("110113", "Security Alert", "E")
SENT = Kind(REST, "rest", "RESTful Operation", "E")
CHANGED = ACTIVITY._replace(action="U")
MADE = SECURITY._replace(action="C")
ENDED = SECURITY._replace(action="D")
READ = ACTIVITY._replace(action="R")

KINDS: dict[str, Kind] = {
    Action.RECORD_ACCEPTED: IMPORT,
    Action.RECORD_REPEATED: IMPORT._replace(action="R"),
    Action.RECORD_REFUSED: IMPORT._replace(action="E"),
    Action.RECORD_TRANSLATED: CHANGED,
    Action.RECORD_READ: READ,
    Action.RECORD_RETRACTED: CHANGED,
    Action.RECORD_LIFTED: CHANGED,
    Action.RECORD_PURGED: ACTIVITY._replace(action="D"),
    Action.HOLD_PLACED: ACTIVITY._replace(action="C"),
    Action.HOLD_LIFTED: ACTIVITY._replace(action="D"),
    Action.HOLDS_READ: READ,
    Action.INCIDENT_READ: READ,
    Action.INCIDENT_PACKED: EXPORT,
    Action.STOCK_ACCEPTED: IMPORT,
    Action.STOCK_REPEATED: IMPORT._replace(action="R"),
    Action.STOCK_READ: READ,
    Action.DELIVERY_QUEUED: ACTIVITY._replace(action="C"),
    Action.DELIVERY_STARTED: SENT,
    Action.DELIVERY_ANSWERED: SENT,
    Action.EHR_PULLED: QUERY,
    Action.EHR_READ: READ,
    Action.DIFFERENCES_READ: READ,
    Action.DRIFT_READ: READ,
    Action.FACADE_READ: READ,
    Action.RESOURCES_EXPORTED: EXPORT,
    Action.PATIENT_READ: READ,
    Action.THEIRS_READ: READ,
    Action.CROSSWALK_READ: READ,
    Action.REASONS_READ: READ,
    Action.DESTINATION_EXPORTED: EXPORT,
    Action.DATABASE_BACKED_UP: EXPORT,
    Action.REPORT_MADE: EXPORT,
    Action.EVIDENCE_EXPORTED: LOG_USED,
    Action.TOKEN_MADE: MADE,
    Action.TOKEN_REVOKED: ENDED,
    Action.SOURCE_ADDED: MADE,
    Action.SOURCE_ROTATED: SECURITY._replace(action="U"),
    Action.SOURCE_REVOKED: ENDED,
    Action.ENDPOINT_ADDED: MADE,
    Action.ENDPOINT_ROTATED: SECURITY._replace(action="U"),
    Action.ENDPOINT_REMOVED: ENDED,
    Action.SUBSCRIPTION_ASKED: MADE,
    Action.SUBSCRIPTION_ENDED: ENDED,
    Action.SIGN_IN_SET: SECURITY._replace(action="U"),
    Action.SIGN_IN_KEY: SECURITY._replace(action="U"),
    Action.EVIDENCE_KEY: SECURITY._replace(action="U"),
    Action.ACCESS_REFUSED: SECURITY,
    Action.MESSAGE_CONFLICT: SECURITY,
}


def audit_event(row: EvidenceRow, *, origin: str) -> dict[str, Any]:
    """Return one row as an AuditEvent; `origin` names the log, as its checkpoints do."""
    kind = KINDS.get(row.action, CHANGED)
    return {
        "resourceType": "AuditEvent",
        "id": row.id,
        "type": {"system": kind.system, "code": kind.code, "display": kind.display},
        "subtype": [{"system": f"{OURS}:action", "code": row.action}],
        "action": kind.action,
        "recorded": row.at,
        "outcome": _outcome(row),
        "outcomeDesc": row.outcome,
        "agent": _agents(row),
        "source": {"site": origin, "observer": {"display": "fhirbridge"}},
        "entity": _entities(row),
    }


def _outcome(row: EvidenceRow) -> str:
    if row.action == Action.DELIVERY_ANSWERED:
        return SUCCESS if row.outcome == "ok" else MINOR
    return MINOR if row.outcome in BAD else SUCCESS


def _agents(row: EvidenceRow) -> list[dict[str, Any]]:
    """Name who did it, and the EHR where one took part."""
    agents: list[dict[str, Any]] = [{"who": {"display": row.actor}, "requestor": True}]
    if row.destination:
        identifier = _identifier("destination", row.destination)
        agents.append({"who": {"identifier": identifier}, "requestor": False})
    return agents


def _entities(row: EvidenceRow) -> list[dict[str, Any]]:
    detail = codec.decode(row.detail.encode())
    facts = [(name, _text(value)) for name, value in sorted(detail.items())]
    facts += [("leaf", row.leaf), ("payload_digest", row.payload_digest)]
    said = [{"type": name, "valueString": text} for name, text in facts if text.strip()]
    entities: list[dict[str, Any]] = [
        {"what": {"identifier": _identifier("evidence", row.id)}, "detail": said}
    ]
    for name, own in (("record", row.record_id), ("delivery", row.delivery_id)):
        if own:
            entities.append({"what": {"identifier": _identifier(name, own)}})
    return entities


def _text(value: Any) -> str:
    return value if isinstance(value, str) else codec.canonical(value).decode()


def _identifier(kind: str, own: str) -> dict[str, Any]:
    return {"system": f"{OURS}:{kind}", "value": own}
