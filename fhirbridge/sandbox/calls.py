"""One request and one answer of the sandbox, as values without a web framework."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from fhirbridge.fhir import codec
from fhirbridge.sandbox.outcome import Issue, RefusedError, bad_request, outcome
from fhirbridge.sandbox.search import Pairs
from fhirbridge.sandbox.storage import Version

FORM = "application/x-www-form-urlencoded"
LARGEST_BODY = 16 * 1024 * 1024
_JSON = re.compile(
    r"(application/fhir\+json|application/json|text/json)"
    r"(\s*;\s*(charset=\"?utf-8\"?|fhirVersion=4\.0))*\s*",
    re.IGNORECASE,
)
_IF_MATCH = re.compile(r"(?:W/)?(\"?)(\d{1,18})\1", re.ASCII)


class Answer(NamedTuple):
    """What goes back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, from HTTP or from an entry of a Bundle.

    `parts` is the path below the base; `query` is the text after `?`; header names are lower case;
    `base` is the address that links start with.
    """

    method: str
    parts: tuple[str, ...]
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    document: Any = None
    base: str = ""

    @property
    def pairs(self) -> Pairs:
        return parse_qsl(self.query, keep_blank_values=True)

    def resource(self, expected: str) -> dict[str, Any]:
        """Return the body as a resource of the expected type; raises RefusedError (400, 415)."""
        document = self.document
        if document is None:
            _refuse_media_type(self.headers)
            document = codec.decode(self.body)
        return checked(document, expected)

    def form(self) -> Pairs:
        """Return the fields of a posted form; raises RefusedError (415)."""
        if self.headers.get("content-type", "").split(";")[0].strip().lower() != FORM:
            raise _unsupported(f"_search takes {FORM}")
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an interaction came to, before it is written as HTTP or as a Bundle entry."""

    status: HTTPStatus
    resource: Mapping[str, Any] | None = None
    version: Version | None = None
    written: bool = False
    diagnostics: str = ""


def call(method: str, target: str, headers: Mapping[str, str], body: bytes, *, base: str) -> Call:
    """Read a request; `target` is the path below the base, percent-encoded, with its query."""
    path, _, query = target.partition("?")
    return Call(
        method="GET" if method == "HEAD" else method,
        parts=tuple(unquote(part) for part in path.strip("/").split("/") if part),
        query=query,
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        base=base,
    )


def checked(document: object, expected: str) -> dict[str, Any]:
    """Return a JSON object of the expected type with a sane meta; raises RefusedError (400)."""
    if not isinstance(document, dict):
        raise bad_request("the body is not a JSON object", issue=Issue.STRUCTURE)
    if document.get("resourceType") != expected:
        raise bad_request(f"the body's resourceType is not {expected}", issue=Issue.STRUCTURE)
    meta = document.get("meta", {})
    if not isinstance(meta, dict):
        raise bad_request("meta is not a JSON object", issue=Issue.STRUCTURE)
    for name in ("tag", "security"):
        labels = meta.get(name, [])
        if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
            raise bad_request(f"meta.{name} is not a list of codings", issue=Issue.STRUCTURE)
    return document


def if_match(value: str | None) -> int | None:
    """Read `W/"3"`, `"3"` or `3`, as HAPI does; raises RefusedError (400), where HAPI says 500."""
    if value is None:
        return None
    match = _IF_MATCH.fullmatch(value.strip())
    if match is None:
        raise bad_request("If-Match is not a version", hint='write it as W/"3"')
    return int(match[2])


def written(version: Version, *, created: bool, diagnostics: str) -> Reply:
    """Return the reply to a write that ended at this version."""
    return Reply(
        status=HTTPStatus.CREATED if created else HTTPStatus.OK,
        resource=version.resource,
        version=version,
        written=True,
        diagnostics=diagnostics,
    )


def answer(request: Call, reply: Reply) -> Answer:
    """Write a reply as HTTP, as `Prefer` asks."""
    headers = _version_headers(request, reply)
    body = _body(request.headers.get("prefer", ""), reply)
    if body is None:
        return Answer(reply.status, headers, b"")
    headers["Content-Type"] = f"{codec.FHIR_JSON};charset=utf-8"
    return Answer(reply.status, headers, codec.encode(body))


def refusal(request: Call, error: RefusedError) -> Answer:
    """Write a refusal as HTTP."""
    headers = {"Content-Type": f"{codec.FHIR_JSON};charset=utf-8"}
    if error.location:
        headers["Location"] = f"{request.base}/{error.location}"
    return Answer(error.http_status, headers, codec.encode(error.outcome()))


def _version_headers(request: Call, reply: Reply) -> dict[str, str]:
    headers = {}
    version = reply.version
    if version is not None:
        headers["Content-Location"] = f"{request.base}/{version.location}"
        if version.resource is not None:
            headers["ETag"] = f'W/"{version.number}"'
            headers["Last-Modified"] = format_datetime(version.updated, usegmt=True)
    if reply.status == HTTPStatus.CREATED and version is not None:
        headers["Location"] = f"{request.base}/{version.location}"
    return headers


def _body(prefer: str, reply: Reply) -> Mapping[str, Any] | None:
    if reply.status == HTTPStatus.NOT_MODIFIED or (reply.written and "return=minimal" in prefer):
        return None
    if reply.resource is None or (reply.written and "return=OperationOutcome" in prefer):
        return outcome("information", Issue.INFORMATIONAL, reply.diagnostics)
    return reply.resource


def _refuse_media_type(headers: Mapping[str, str]) -> None:
    if _JSON.fullmatch(headers.get("content-type", "").strip()) is None:
        raise _unsupported(f"the sandbox takes {codec.FHIR_JSON} only")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _unsupported("the sandbox takes no compressed bodies")


def _unsupported(message: str) -> RefusedError:
    return RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Issue.NOT_SUPPORTED, message)
