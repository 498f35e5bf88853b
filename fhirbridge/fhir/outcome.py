"""Read what a server says went wrong, without repeating what may hold a patient's data. Pure."""

from typing import Any

# R4 issue-type: the closed set, so that a code from a server is safe to log.
ISSUE_TYPES = frozenset(
    {
        "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown",
        "expired", "forbidden", "suppressed", "processing", "not-supported", "duplicate",
        "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
        "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store",
        "exception", "timeout", "incomplete", "throttled", "informational",
    }
)  # fmt: skip
FAILING = frozenset({"fatal", "error"})


def issue_codes(resource: Any) -> tuple[str, ...]:
    """Return the issue types of an OperationOutcome's errors; () for anything else."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return ()
    issues = resource.get("issue")
    found = [
        issue.get("code")
        for issue in (issues if isinstance(issues, list) else [])
        # Compared as text: a server may send anything, and a list has no hash.
        if isinstance(issue, dict) and str(issue.get("severity")) in FAILING
    ]
    return tuple(code if code in ISSUE_TYPES else "unknown" for code in map(str, found))
