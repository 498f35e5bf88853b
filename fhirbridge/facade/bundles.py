"""Write what was found as R4 Bundles and resources. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fhirbridge.facade.held import Version
from fhirbridge.facade.search import Found, Page

Links = Mapping[str, str]  # relation to address


def resource(found: Found) -> dict[str, Any]:
    """Return a resource with its number and time."""
    version = found.version
    meta = {
        **found.body.get("meta", {}),
        "versionId": str(version.number),
        "lastUpdated": instant(version.at),
    }
    first = {name: found.body[name] for name in ("resourceType", "id")}
    return {**first, "meta": meta, **{k: v for k, v in found.body.items() if k != "meta"}}


def searchset(page: Page, base: str, links: Links, *, at: datetime) -> dict[str, Any]:
    """Write one page of a search."""
    shown = [(one, "match") for one in page.matches] + [(one, "include") for one in page.included]
    entries = [
        {
            "fullUrl": _address(base, one.version),
            "resource": resource(one),
            "search": {"mode": mode},
        }
        for one, mode in shown
    ]
    total = {} if page.total is None else {"total": page.total}
    return _bundle("searchset", total, entries, links, at)


def history(page: Page, base: str, links: Links, *, at: datetime) -> dict[str, Any]:
    """Write one page of a history, the newest first."""
    entries = [_happened(one, base) for one in page.matches]
    return _bundle("history", {}, entries, links, at)


def _happened(one: Found, base: str) -> dict[str, Any]:
    version = one.version
    return {
        "fullUrl": _address(base, version),
        "resource": resource(one),
        "request": {"method": "PUT", "url": f"{version.identity.type}/{version.identity.id}"},
        "response": {
            "status": "201" if version.is_first else "200",
            "etag": etag(version),
            "lastModified": instant(version.at),
        },
    }


def _bundle(
    kind: str, total: dict[str, Any], entries: list[dict[str, Any]], links: Links, at: datetime
) -> dict[str, Any]:
    named = [{"relation": relation, "url": url} for relation, url in links.items()]
    return {
        "resourceType": "Bundle",
        "meta": {"lastUpdated": instant(at)},
        "type": kind,
        **total,
        "link": named,
        **({"entry": entries} if entries else {}),  # R4 knows no empty list
    }


def _address(base: str, version: Version) -> str:
    return f"{base}/{version.identity.type}/{version.identity.id}"


def etag(version: Version) -> str:
    """Return a version's ETag; weak, since the JSON may be written in many ways."""
    return f'W/"{version.number}"'


def instant(at: datetime) -> str:
    """Write a time as R4's instant."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
