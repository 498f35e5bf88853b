"""Read what a server says went wrong, without repeating what may hold a patient's data. Pure."""

import re
from dataclasses import dataclass
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
MOST_READ = 2000
ENTRY = re.compile(r"Bundle\.entry\[(\d{1,6})\]")
X_ENTRY = re.compile(r"Bundle/f:entry\[(\d{1,6})\]")  # XPath counts from one
# What servers write between the steps of a path.
ASIDE = re.compile(r"/\*.*?\*/|\.ofType\([A-Za-z0-9]+\)|\[x\]|\bf:")
STEP = r"[a-z][A-Za-z0-9]{0,63}(?:\[\d{1,6}\])?"
TYPED = re.compile(rf"[A-Z][A-Za-z]{{1,63}}\.({STEP}(?:\.{STEP})*)")
IN_ENTRY = re.compile(
    rf"Bundle\.entry\[\d{{1,6}}\]\.resource\.(?:[A-Z][A-Za-z]{{1,63}}\.)?({STEP}(?:\.{STEP})*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one error is about, as the server says: words of its own, never to be shown or kept."""

    entry: int | None = None  # of the Bundle that was sent
    path: str = ""  # "value.code", below the resource


def issue_codes(resource: Any) -> tuple[str, ...]:
    """Return the issue types of an OperationOutcome's errors; () for anything else."""
    found = [str(issue.get("code")) for issue in _errors(resource)]
    return tuple(code if code in ISSUE_TYPES else "unknown" for code in found)


def places(resource: Any) -> tuple[Place, ...]:
    """Return what each error of an OperationOutcome is about; an empty Place where it is unsaid."""
    return tuple(_place(issue) for issue in _errors(resource))


def _errors(resource: Any) -> list[dict[str, Any]]:
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return []
    issues = resource.get("issue")
    return [
        issue
        for issue in (issues if isinstance(issues, list) else [])
        # Compared as text: a server may send anything, and a list has no hash.
        if isinstance(issue, dict) and str(issue.get("severity")) in FAILING
    ]


def _place(issue: dict[str, Any]) -> Place:
    said = [text for name in ("expression", "location") for text in _texts(issue.get(name))]
    said += _texts(issue.get("diagnostics"))
    entries = [entry for text in said if (entry := _entry(text)) is not None]
    paths = [path for text in said if (path := _path(text))]
    return Place(entry=entries[0] if entries else None, path=paths[0] if paths else "")


def _texts(value: Any) -> list[str]:
    """Return the texts of a list, or one text; cut, since a server may send any amount."""
    many = value if isinstance(value, list) else [value]
    return [one[:MOST_READ] for one in many if isinstance(one, str)]


def _entry(text: str) -> int | None:
    if found := ENTRY.search(text):
        return int(found[1])
    found = X_ENTRY.search(text)
    return int(found[1]) - 1 if found and int(found[1]) else None


def _path(text: str) -> str:
    """Return the path at the start of a text, below the resource that it is about."""
    plain = ASIDE.sub("", text).lstrip("/").replace("/", ".")
    found = IN_ENTRY.match(plain) or TYPED.match(plain)
    return found[1] if found and not found[1].startswith("entry[") else ""
