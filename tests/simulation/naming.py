"""An EHR that gives ids of its own, which differ from ours in a known way.

Behind it the model stores under our ids, so that whoever judges a seed finds ours by them.
"""

import re
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import TAG_SYSTEM
from tests.fakes import SandboxTransport

OUR_ID = rb"k[a-z2-7]{52}"
GIVEN = re.compile(rb"n-(" + OUR_ID + rb")")
OURS = re.compile(rb'((?:/|"id":")' + rb")(" + OUR_ID + rb")(?![a-z2-7])")
NEW = 'W/"0"'


class NamingTransport(SandboxTransport):
    """A way to such an EHR where it `names`, to an ordinary one where not."""

    names = False

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        return super().send(self.asked(request), deadline_seconds=deadline_seconds)

    def asked(self, request: Request) -> Request:
        """Return a request as it is about our ids; a create already says under which."""
        if not self.names:
            return request
        url = GIVEN.sub(rb"\1", request.url.encode()).decode()
        body = GIVEN.sub(rb"\1", request.body) if request.body else request.body
        if "If-None-Exist" in request.headers:
            whole = codec.decode(body or b"")
            body = codec.encode({**whole, "id": _wanted(request)})
        return replace(request, url=url, body=body)

    def _serve(self, request: Request) -> Response:
        if not self.names:
            return super()._serve(request)
        answer = self._created(request) if "If-None-Exist" in request.headers else None
        answer = answer or super()._serve(request)
        headers = {k: _given(v.encode()).decode() for k, v in answer.headers.items()}
        return replace(answer, headers=headers, body=_given(answer.body))

    def _created(self, request: Request) -> Response:
        """Make what is not there; what is, is named and left alone."""
        url = f"{request.url}/{_wanted(request)}"
        read = Request(method="GET", url=url, headers={}, body=None)
        there = super()._serve(read)
        if there.status == HTTPStatus.OK:
            own = f"{url}/_history/{codec.decode(there.body)['meta']['versionId']}"
            return replace(there, headers={**there.headers, "location": own})
        headers = {k: v for k, v in request.headers.items() if k != "If-None-Exist"}
        return super()._serve(replace(request, method="PUT", url=url, headers=headers))


def _wanted(request: Request) -> str:
    return unquote(request.headers["If-None-Exist"]).rpartition("|")[2]


def _given(raw: bytes) -> bytes:
    return OURS.sub(rb"\1n-\2", raw)


def untagged(resource: dict[str, Any]) -> dict[str, Any]:
    """Return what was sent or is held without the tag that finds it there."""
    meta = dict(resource.get("meta", {}))
    tags = [one for one in meta.pop("tag", ()) if one.get("system") != TAG_SYSTEM]
    left = {**meta, "tag": tags} if tags else meta
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return {**rest, "meta": left} if left else rest
