"""What a facade can do, as a CapabilityStatement: made of the table that search goes by. Pure."""

from typing import Any

from fhirbridge.facade.parameters import REVERSE, TYPES, Shown
from fhirbridge.facade.query import COUNT, MOST

DATE = "2026-11-30"  # of the last change of what it says
INTERACTIONS = ("read", "vread", "history-instance", "history-type", "search-type")
LIMITS = (
    "Read-only. A search of what stands in charts names one patient (patient or subject), _id or "
    "identifier; a Patient is also found by a whole birthdate; a Provenance by its target. "
    "Without any of these a type can be paged through, with _lastUpdated, and by nothing else. "
    f"A page has {COUNT} matches, at most {MOST}, and fewer where they are large: follow the next "
    "link. Pages show what stood when the first one was asked for; matches come in the order in "
    "which they were put there, and cannot be sorted. A parameter that is not named here is "
    "ignored and left out of the self link, or refused with Prefer: handling=strict; where "
    "ignoring it could show other patients it is always refused. Dates without a time zone are "
    "those of the clinic. Strings are compared without case and accents, from their beginning."
)
EVERYTHING = (
    "A whole chart, with what it names of staff and places: _count, _since, _type, start, end."
)
EXPORT = (
    "Bulk Data Access 2.0, by GET or POST: _type, _since, _typeFilter (by the parameters of a "
    "search), _elements, _outputFormat{more}. There are no groups."
)
_BULK = "http://hl7.org/fhir/uv/bulkdata"
_OF_ALL = (
    ("_id", "token", "Ids, with commas between them."),
    ("_lastUpdated", "date", "When it was put here; one value each, all but ne."),
)


def statement() -> dict[str, Any]:
    """Return the CapabilityStatement; it names no version of ours, and no clinic."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "implementation": {"description": "fhirbridge: what was translated of session records"},
        "instantiates": [f"{_BULK}/CapabilityStatement/bulk-data"],
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": LIMITS,
                "security": {"description": "A bearer token of the role reader."},
                "resource": [_resource(kind, shown) for kind, shown in TYPES.items()],
                "operation": [_operation("export", "export", EXPORT.format(more=""))],
            }
        ],
    }


def _resource(kind: str, shown: Shown) -> dict[str, Any]:
    asked = [
        {"name": name, "type": how, "documentation": words} for name, how, words in _OF_ALL
    ] + [{"name": name, "type": one.kind.value} for name, one in shown.parameters.items()]
    followed = [f"{kind}:{name}" for name in shown.includes]
    said: dict[str, Any] = {
        "type": kind,
        "interaction": [{"code": one} for one in INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalRead": "full-support",
    }
    if followed:
        said["searchInclude"] = followed
    said |= {"searchRevInclude": list(REVERSE), "searchParam": asked}
    if kind == "Patient":
        of_r4 = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
        charts = EXPORT.format(more=", and by POST patient")
        said["operation"] = [
            {"name": "everything", "definition": of_r4, "documentation": EVERYTHING},
            _operation("export", "patient-export", charts),
        ]
    return said


def _operation(name: str, definition: str, words: str) -> dict[str, Any]:
    where = f"{_BULK}/OperationDefinition/{definition}"
    return {"name": name, "definition": where, "documentation": words}
