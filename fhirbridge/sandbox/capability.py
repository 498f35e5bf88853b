"""The CapabilityStatement: what this server is (a sandbox) and what it does."""

from datetime import datetime
from typing import Any

import fhirbridge
from fhirbridge.sandbox import definitions

NAME = "fhirbridge sandbox EHR"
WARNING = "A sandbox: synthetic data only, no login, nothing here is a medical record."
_INTERACTIONS = (
    "create",
    "read",
    "vread",
    "update",
    "delete",
    "search-type",
    "history-instance",
    "history-type",
)
_KINDS = {"_id": "token", "_lastUpdated": "date", "_tag": "token", "identifier": "token"}


def statement(*, base: str, now: datetime, own_ids: bool) -> dict[str, Any]:
    """Return the CapabilityStatement of a sandbox at this address; `own_ids`: of its clients."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": NAME, "version": fhirbridge.__version__},
        "implementation": {"description": f"{NAME}. {WARNING}", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": WARNING,
                "resource": [
                    _resource(name, own_ids=own_ids) for name in sorted(definitions.RESOURCE_TYPES)
                ],
                "interaction": [
                    {"code": code} for code in ("transaction", "batch", "history-system")
                ],
            }
        ],
    }


def _resource(resource_type: str, *, own_ids: bool) -> dict[str, Any]:
    return {
        "type": resource_type,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": own_ids,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": True,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "logical", "local", "enforced"],
        "searchParam": [
            {"name": name, "type": _KINDS.get(name, "reference")}
            for name in definitions.parameters(resource_type)
        ],
    }
