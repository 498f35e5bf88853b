"""Which scope a refused request would have needed (SMART App Launch, versions 1 and 2). Pure."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from fhirbridge.egress.exchange import Request, Response
from fhirbridge.fhir import codec

MOST_NAMED = 5

_VERSION_1 = re.compile(r"(?:system|user|patient)/(\*|[A-Za-z]+)\.(read|write|\*)")
_VERSION_2 = re.compile(r"(?:system|user|patient)/(\*|[A-Za-z]+)\.(c?r?u?d?s?)")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ASKED = re.compile(r'scope="([!#-\[\]-~ ]{1,400})"')
_ACTIONS = {"GET": "r", "HEAD": "r", "POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}

Need = tuple[str, str]  # a type and c, r, u, d or s


def not_granted(asked: str, granted: str) -> tuple[str, ...]:
    """Return the scopes that were asked for and not granted, each as asked."""
    given = set(granted.split())
    return tuple(
        one for one in dict.fromkeys(asked.split()) if one not in given and not _covers(given, one)
    )


def missing(request: Request, base_url: str, answer: Response, granted: str) -> str:
    """Name the scopes that a refused request lacked, as far as can be told; else nothing."""
    said = _ASKED.search(answer.headers.get("www-authenticate", ""))
    if said is not None and said[1].strip():
        return " ".join(said[1].split()[:MOST_NAMED])
    lacked = [need for need in _needs(request, base_url) if not _allowed(granted, need)]
    newer = any(_VERSION_2.fullmatch(one.partition("?")[0]) for one in granted.split())
    named = [_named(need, newer=newer) for need in lacked]
    return " ".join([*dict.fromkeys(named)][:MOST_NAMED])


def _covers(given: set[str], wanted: str) -> bool:
    """Say whether a scope of the same or a wider kind was granted."""
    kind, actions = _read(wanted)
    return bool(actions) and all(_allowed(" ".join(given), (kind, one)) for one in actions)


def _allowed(granted: str, need: Need) -> bool:
    kind, action = need
    return any(
        named in ("*", kind) and action in actions
        for named, actions in map(_read, granted.split())
        if actions
    )


def _read(scope: str) -> tuple[str, str]:
    """Return the type and the letters of what it allows; no letters: it is about something else."""
    old = _VERSION_1.fullmatch(scope)
    if old is not None:
        return old[1], {"read": "rs", "write": "cud", "*": "cruds"}[old[2]]
    new = _VERSION_2.fullmatch(scope.partition("?")[0])
    return (new[1], new[2]) if new is not None else ("", "")


def _named(need: Need, *, newer: bool) -> str:
    kind, action = need
    if newer:
        return f"system/{kind}.{action}"
    return f"system/{kind}.{'read' if action in 'rs' else 'write'}"


def _needs(request: Request, base_url: str) -> list[Need]:
    """Return what a request does to which types; an interaction of the whole server has none."""
    below = request.url.removeprefix(base_url)
    if below == request.url:
        return []
    if below in ("", "/"):
        return [*_of_bundle(request.body or b"")]
    return [*_need(request.method, below)]


def _of_bundle(body: bytes) -> Iterator[Need]:
    try:
        bundle = codec.decode(body)
    except codec.NotJsonError:
        return
    for entry in _objects(bundle.get("entry") if isinstance(bundle, dict) else None):
        asked = entry.get("request")
        if isinstance(asked, dict):
            yield from _need(str(asked.get("method")), str(asked.get("url")))


def _need(method: str, address: str) -> Iterator[Need]:
    kind, _, rest = urlsplit(address).path.strip("/").partition("/")
    action = "s" if rest == "_search" or (method == "GET" and not rest) else _ACTIONS.get(method)
    if action and _TYPE.fullmatch(kind):
        yield (kind, action)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
