"""A refusal below `/fhir` is an OperationOutcome: the same as elsewhere, in R4's words."""

from http import HTTPStatus
from typing import Any

from fhirbridge.fhir import codec

BELOW = "/fhir"
MEDIA = f"{codec.FHIR_JSON}; charset=utf-8"
ISSUES = {
    HTTPStatus.UNAUTHORIZED: "login",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not-supported",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-long",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not-supported",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "value",
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
    HTTPStatus.INTERNAL_SERVER_ERROR: "exception",
    HTTPStatus.SERVICE_UNAVAILABLE: "transient",
}


def is_fhir(path: str) -> bool:
    """Say whether an address is one at which FHIR is spoken."""
    return path == BELOW or path.startswith(f"{BELOW}/")


def outcome(problem: dict[str, Any], issue: str) -> dict[str, Any]:
    """Return a problem as an OperationOutcome; its `issue` where the error itself says none."""
    said = [problem["detail"], problem.get("hint", "")]
    named = [problem.get("code", ""), problem["instance"]]
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": issue or ISSUES.get(HTTPStatus(problem["status"]), "invalid"),
                "details": {"text": ". Next: ".join(one for one in said if one)},
                "diagnostics": " ".join(one for one in named if one),
            }
        ],
    }
