"""One EHR over FHIR REST: builds requests, hands back what came of them. Decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.fhir import codec

DEADLINE_SECONDS = 30.0
# HAPI answers searches and counts from a cache for a minute unless it is told not to.
FRESH = {"Cache-Control": "no-cache"}

READ = (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)

Outcome = Response | NotSent | Unknown


class Ehr:
    """A FHIR server at `base_url`, reached through `transport`."""

    def __init__(
        self,
        *,
        base_url: str,
        transport: Transport,
        deadline_seconds: float = DEADLINE_SECONDS,
        batches: bool = True,
    ) -> None:
        """`batches`: it takes several reads in one Bundle."""
        self.base_url = base_url
        self._batches = batches
        self._transport = transport
        self._deadline = deadline_seconds

    def through(self, wrap: Callable[[Transport], Transport]) -> "Ehr":
        """Return the same EHR behind another transport, made from this one's."""
        return Ehr(
            base_url=self.base_url,
            transport=wrap(self._transport),
            deadline_seconds=self._deadline,
            batches=self._batches,
        )

    def bundle(self, body: bytes) -> Outcome:
        """POST a transaction or batch Bundle, exactly these bytes."""
        return self._send("POST", "", body=body)

    def read_many(self, references: Sequence[str]) -> Outcome:
        """Read `Type/id` references; the answer is a batch's, with entries in the order asked.

        Where the server takes no batch it is made of single GETs: the first that does not say what
        is there is the answer to all.
        """
        if self._batches:
            return self.bundle(codec.encode(batch_of_reads(references)))
        entries = []
        headers: Mapping[str, str] = {}
        for reference in references:
            outcome = self.read(reference)
            entry = _as_entry(outcome)
            if not isinstance(outcome, Response) or entry is None:
                return outcome
            entries.append(entry)
            headers = outcome.headers
        answer = {"resourceType": "Bundle", "type": "batch-response", "entry": entries}
        return Response(status=HTTPStatus.OK, headers=headers, body=codec.encode(answer))

    def read(self, reference: str) -> Outcome:
        """GET one resource."""
        return self._send("GET", f"/{reference}")

    def put(
        self, reference: str, body: bytes, *, if_match: str = "", if_none_match: str = ""
    ) -> Outcome:
        """PUT one resource under its id, guarded by `If-Match` or `If-None-Match`."""
        guards = {"If-Match": if_match, "If-None-Match": if_none_match}
        extra = {name: value for name, value in guards.items() if value}
        return self._send("PUT", f"/{reference}", body=body, extra=extra)

    def create(self, kind: str, body: bytes, *, if_none_exist: str) -> Outcome:
        """POST one resource, unless what the query `if_none_exist` names is there; the probe's."""
        extra = {"If-None-Exist": if_none_exist}
        return self._send("POST", f"/{kind}", body=body, extra=extra)

    def delete(self, reference: str) -> Outcome:
        """DELETE one resource; only the probe removes what it made itself."""
        return self._send("DELETE", f"/{reference}")

    def history(self, path: str, **query: str) -> Outcome:
        """GET the history of `Type` or `Type/id`, asked afresh."""
        return self._send("GET", f"/{path}/_history?{urlencode(query)}", extra=FRESH)

    def search(self, kind: str, **criteria: str) -> Outcome:
        """POST a search, so that no URL says what was looked for; asked afresh."""
        headers = {**FRESH, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(criteria).encode("ascii")
        return self._send("POST", f"/{kind}/_search", body=body, extra=headers)

    def match(self, body: bytes) -> Outcome:
        """POST the Parameters of `Patient/$match`, asked afresh."""
        return self._send("POST", "/Patient/$match", body=body, extra=FRESH)

    def next_page(self, url: str) -> Outcome | None:
        """GET a further page of an answer; None where its link leads away from this EHR."""
        below = url.removeprefix(self.base_url)
        if below == url or not below.startswith(("/", "?")):
            return None
        return self._send("GET", below, extra=FRESH)

    def metadata(self) -> Outcome:
        """GET the CapabilityStatement."""
        return self._send("GET", "/metadata")

    def _send(
        self, method: str, path: str, body: bytes | None = None, extra: dict[str, str] | None = None
    ) -> Outcome:
        headers = {"Accept": codec.FHIR_JSON}
        if body is not None:
            headers["Content-Type"] = codec.FHIR_JSON
        headers |= extra or {}
        request = Request(method=method, url=self.base_url + path, headers=headers, body=body)
        return self._transport.send(request, deadline_seconds=self._deadline)


def batch_of_reads(references: Sequence[str]) -> dict[str, Any]:
    """Build the batch Bundle that reads these references."""
    entries = [{"request": {"method": "GET", "url": reference}} for reference in references]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def _as_entry(outcome: Outcome) -> dict[str, Any] | None:
    """Return what a batch would say of this read; None where it does not say what is there."""
    if not isinstance(outcome, Response) or outcome.status not in READ:
        return None
    response = {"response": {"status": str(int(outcome.status))}}
    if outcome.status != HTTPStatus.OK:
        return response
    try:
        return {**response, "resource": codec.decode(outcome.body)}
    except codec.NotJsonError:
        return None


def is_loopback(base_url: str) -> bool:
    """Say whether an address names this machine itself."""
    return urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
