"""One EHR over FHIR REST: builds requests, hands back what came of them. Decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import Key
from fhirbridge.fhir.references import version_in

DEADLINE_SECONDS = 30.0
MOST_PAGES = 3  # of a history: within a lease
# HAPI answers searches and counts from a cache for a minute unless it is told not to.
FRESH = {"Cache-Control": "no-cache"}

NEW = 'W/"0"'  # of If-Match: no version is there; where this is honoured, it guards a create
READ = (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.PRECONDITION_FAILED)

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
        guards: bool = True,
    ) -> None:
        """`batches`: it takes several reads in one Bundle. `guards`: updates heed `If-Match`."""
        self.base_url = base_url
        self._batches = batches
        self._guards = guards
        self._transport = transport
        self._deadline = deadline_seconds

    def through(self, wrap: Callable[[Transport], Transport]) -> "Ehr":
        """Return the same EHR behind another transport, made from this one's."""
        return Ehr(
            base_url=self.base_url,
            transport=wrap(self._transport),
            deadline_seconds=self._deadline,
            batches=self._batches,
            guards=self._guards,
        )

    def bundle(self, body: bytes) -> Outcome:
        """POST a transaction or batch Bundle, exactly these bytes."""
        return self._send("POST", "", body=body)

    def read_many(self, wanted: Sequence[str | Key], *, since: datetime | None = None) -> Outcome:
        """Read `Type/id` references; the answer is a batch's, with entries in the order asked.

        What the EHR named, and nobody heard how, is found by its key. Then, and where the server
        takes no batch, it is made of single requests: the first that does not say what is there is
        the answer to all.
        """
        references = [one for one in wanted if isinstance(one, str)]
        if self._batches and len(references) == len(wanted):
            return self.bundle(codec.encode(batch_of_reads(references)))
        entries = []
        headers: Mapping[str, str] = {}
        for one in wanted:
            outcome = self.read(one) if isinstance(one, str) else self.find(one, since=since)
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

    def find(self, key: Key, *, since: datetime | None = None) -> Outcome:
        """Search the one resource that bears a key: answered as a GET of it would be.

        412 where several bear it, as R4 has it for a condition that more than one meets. What no
        search finds yet, or any more, may stand in what happened `since`.
        """
        outcome = self.search(key.type, **{key.parameter: key.token})
        if not isinstance(outcome, Response) or outcome.status not in READ:
            return outcome
        found = _searched(outcome) if outcome.status == HTTPStatus.OK else None
        if found is None:
            return Unknown(reason="a search was answered with something that is not its result")
        bearing = [one for one in found if key.is_of(one)]
        if not bearing:
            absent = replace(outcome, status=HTTPStatus.NOT_FOUND, body=b"")
            return absent if since is None else self._happened(key, since) or absent
        if len(bearing) > 1:
            return replace(outcome, status=HTTPStatus.PRECONDITION_FAILED, body=b"")
        return replace(outcome, body=codec.encode(bearing[0]))

    def _happened(self, key: Key, since: datetime) -> Outcome | None:
        """Read by its id what the history of its type shows under a key, or None: it shows none.

        Where it was removed since, the 410's Location names which version of it was there.
        """
        text = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        outcome: Outcome | None = self.history(key.type, _since=text, _count="200", _offset="0")
        for _ in range(MOST_PAGES):
            if not isinstance(outcome, Response) or outcome.status != HTTPStatus.OK:
                return None if isinstance(outcome, Response) else outcome
            answer = _decoded(outcome) or {}
            for one in _resources(answer):
                if key.is_of(one):
                    return _where_it_was(one, self.read(f"{key.type}/{one.get('id')}"))
            onward = _next(answer)
            outcome = self.next_page(onward) if onward else None
        return None

    def put(
        self,
        reference: str,
        body: bytes,
        *,
        if_match: str = "",
        if_none_match: str = "",
        key: Key | None = None,
    ) -> Outcome:
        """PUT one resource under its id, guarded by `If-Match` or `If-None-Match`.

        With a `key` it is read first, and only what bears that is written over; where the server
        heeds no `If-Match`, only what has that version. Both requests share one deadline.
        """
        guards = {"If-Match": if_match, "If-None-Match": if_none_match}
        extra = {name: value for name, value in guards.items() if value}
        seconds = self._deadline
        if key is not None or (if_match not in ("", NEW) and not self._guards):
            seconds = self._deadline / 2
            seen = self._send("GET", f"/{reference}", extra=FRESH, seconds=seconds)
            against = _against(seen, key, if_match)
            deleted = isinstance(seen, Response) and seen.status == HTTPStatus.GONE
            if against is not None and not (deleted and self._guards):
                return against
        return self._send("PUT", f"/{reference}", body=body, extra=extra, seconds=seconds)

    def create(self, kind: str, body: bytes, *, if_none_exist: str) -> Outcome:
        """POST one resource, unless what the query `if_none_exist` names is there."""
        extra = {"If-None-Exist": if_none_exist}
        return self._send("POST", f"/{kind}", body=body, extra=extra)

    def delete(self, reference: str) -> Outcome:
        """DELETE one resource of ours that is of nobody: of a probe, or a Subscription."""
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
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        extra: dict[str, str] | None = None,
        seconds: float | None = None,
    ) -> Outcome:
        headers = {"Accept": codec.FHIR_JSON}
        if body is not None:
            headers["Content-Type"] = codec.FHIR_JSON
        headers |= extra or {}
        request = Request(method=method, url=self.base_url + path, headers=headers, body=body)
        return self._transport.send(request, deadline_seconds=seconds or self._deadline)


def batch_of_reads(references: Sequence[str]) -> dict[str, Any]:
    """Build the batch Bundle that reads these references."""
    entries = [{"request": {"method": "GET", "url": reference}} for reference in references]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def _as_entry(outcome: Outcome) -> dict[str, Any] | None:
    """Return what a batch would say of this read; None where it does not say what is there."""
    if not isinstance(outcome, Response) or outcome.status not in READ:
        return None
    response = {"status": str(int(outcome.status))}
    if outcome.status == HTTPStatus.GONE and "location" in outcome.headers:
        response["location"] = outcome.headers["location"]
    if outcome.status != HTTPStatus.OK:
        return {"response": response}
    body = _decoded(outcome)
    return None if body is None else {"response": response, "resource": body}


def _where_it_was(was: dict[str, Any], seen: Outcome) -> Outcome:
    """Say in a 410 which version of it the history showed."""
    if not isinstance(seen, Response) or seen.status != HTTPStatus.GONE:
        return seen
    version = _object(was.get("meta")).get("versionId")
    location = f"{was.get('resourceType')}/{was.get('id')}/_history/{version}"
    return replace(seen, headers={**seen.headers, "location": location})


def _against(seen: Outcome, key: Key | None, if_match: str) -> Outcome | None:
    """Return what speaks against writing over what was seen, as the server would; None: nothing."""
    if not isinstance(seen, Response):
        return NotSent(reason=f"it could not be read before it was to be written: {seen.reason}")
    if seen.status == HTTPStatus.GONE:
        last = seen.headers.get("location", "").rpartition("/_history/")[2]
        return None if last and last == version_in(if_match) else seen
    if seen.status != HTTPStatus.OK:
        return seen
    there = _decoded(seen)
    if there is None or there.get("resourceType") == "OperationOutcome":
        return NotSent(reason="what was to be written over could not be read")
    if key is not None and not key.is_of(there):
        return replace(seen, status=HTTPStatus.GONE, body=b"")
    meta = there.get("meta")
    version = str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    same = bool(version) and version == version_in(if_match)
    return None if same else replace(seen, status=HTTPStatus.PRECONDITION_FAILED, body=b"")


def _searched(outcome: Response) -> list[dict[str, Any]] | None:
    """Return what a search found; None where that is not all, or no result of a search."""
    answer = _decoded(outcome) or {}
    whole = answer.get("type") == "searchset" and not _next(answer)
    return _resources(answer) if whole else None


def _resources(answer: dict[str, Any]) -> list[dict[str, Any]]:
    entries = answer.get("entry")
    found = [_object(one).get("resource") for one in entries] if isinstance(entries, list) else []
    return [one for one in found if isinstance(one, dict)]


def _next(answer: dict[str, Any]) -> str:
    links = answer.get("link")
    found = [_object(one) for one in links] if isinstance(links, list) else []
    return next((str(one.get("url", "")) for one in found if one.get("relation") == "next"), "")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _decoded(outcome: Response) -> dict[str, Any] | None:
    try:
        value = codec.decode(outcome.body)
    except codec.NotJsonError:
        return None
    return value if isinstance(value, dict) else None


def is_loopback(base_url: str) -> bool:
    """Say whether an address names this machine itself."""
    return urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
