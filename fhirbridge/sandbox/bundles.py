"""The Bundles that the sandbox answers with. Pure."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from fhirbridge.sandbox.calls import Reply
from fhirbridge.sandbox.outcome import Issue, RefusedError, outcome
from fhirbridge.sandbox.storage import Version

Link = tuple[str, str]


def searchset(
    versions: Iterable[Version], *, base: str, total: int, links: Sequence[Link]
) -> dict[str, Any]:
    """Return a page of search results; `total` counts all pages."""
    entries = [
        {
            "fullUrl": f"{base}/{version.reference}",
            "resource": version.resource,
            "search": {"mode": "match"},
        }
        for version in versions
    ]
    return _bundle("searchset", entries, links, total=total)


def history(
    versions: Iterable[Version], *, base: str, total: int, links: Sequence[Link]
) -> dict[str, Any]:
    """Return a page of versions, in the order given; a deletion has no resource."""
    entries = [_past(version, base) for version in versions]
    return _bundle("history", entries, links, total=total)


def responses(kind: str, entries: list[dict[str, Any]], *, base: str) -> dict[str, Any]:
    """Return the answer to a transaction or batch."""
    return _bundle(f"{kind}-response", entries, [("self", base)])


def done(reply: Reply, *, representation: bool) -> dict[str, Any]:
    """Return the entry of what was done; a write shows its resource only where `representation`."""
    read = reply.resource is not None and not reply.written
    deleted = reply.resource is None and reply.status == HTTPStatus.OK
    response: dict[str, Any] = {
        "status": _status(HTTPStatus.NO_CONTENT if deleted else reply.status)
    }
    # As HAPI: what was read says its version in the resource alone.
    if reply.version is not None and not read:
        response["location"] = reply.version.location
        # HAPI writes the bare number here, though R4 shows W/"1": a client must read both.
        response["etag"] = str(reply.version.number)
        response["lastModified"] = _instant(reply.version)
    if reply.diagnostics:
        response["outcome"] = outcome("information", Issue.INFORMATIONAL, reply.diagnostics)
    shown = reply.resource is not None and (read or representation)
    return {"resource": reply.resource, "response": response} if shown else {"response": response}


def refused(error: RefusedError) -> dict[str, Any]:
    """Return the entry of what was not done."""
    return {"response": {"status": _status(error.http_status), "outcome": error.outcome()}}


def _past(version: Version, base: str) -> dict[str, Any]:
    first = version.number == 1
    method = "POST" if first else "PUT"
    entry: dict[str, Any] = {"fullUrl": f"{base}/{version.reference}"}
    if version.resource is None:
        method = "DELETE"
    else:
        entry["resource"] = version.resource
    entry["request"] = {"method": method, "url": version.location}
    entry["response"] = {
        "status": _status(HTTPStatus.CREATED if first else HTTPStatus.OK),
        "etag": f'W/"{version.number}"',
        "lastModified": _instant(version),
    }
    return entry


def _bundle(
    kind: str, entries: list[dict[str, Any]], links: Sequence[Link], *, total: int | None = None
) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = [{"relation": relation, "url": url} for relation, url in links]
    if entries:
        bundle["entry"] = entries
    return bundle


def _status(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"


def _instant(version: Version) -> str:
    return version.updated.isoformat(timespec="milliseconds")
