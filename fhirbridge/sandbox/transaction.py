"""Bundles that are run: a transaction is all or nothing, a batch is each for itself."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fhirbridge.sandbox import bundles, calls, holdings, references
from fhirbridge.sandbox.calls import Call, Reply
from fhirbridge.sandbox.definitions import RESOURCE_TYPES
from fhirbridge.sandbox.holdings import Holdings
from fhirbridge.sandbox.outcome import Issue, RefusedError, bad_request
from fhirbridge.sandbox.storage import Version

Serve = Callable[[Call], Reply]
ConditionalKey = tuple[str, tuple[tuple[str, str], ...]]

_VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"})
# PATCH is planned only to be refused.
_WRITES = ("POST", "PUT", "PATCH")
_READS = ("GET", "HEAD")
_CONDITIONS = {
    "ifMatch": "if-match",
    "ifNoneExist": "if-none-exist",
    "ifNoneMatch": "if-none-match",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a Bundle, as the request that it stands for."""

    index: int
    call: Call
    full_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A write with its id decided; `held` is what a conditional create found and leaves alone."""

    entry: Entry
    type: str
    id: str
    resource: dict[str, Any]
    if_match: int | None = None
    key: ConditionalKey | None = None
    held: Version | None = None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


def run(call: Call, store: Holdings, serve: Serve) -> Reply:
    """Run a posted Bundle; `serve` answers a single request. Raises RefusedError."""
    bundle = call.resource("Bundle")
    kind = bundle.get("type")
    entries = _entries(bundle, call.base)
    shown = "return=representation" in call.headers.get("prefer", "")
    if kind == "batch":
        answers = _batch(entries, serve, representation=shown)
        return Reply(
            status=HTTPStatus.OK, resource=bundles.responses("batch", answers, base=call.base)
        )
    if kind != "transaction":
        raise bad_request("the Bundle's type is not transaction or batch")
    answers = _Transaction(store, entries, serve).run(representation=shown)
    return Reply(
        status=HTTPStatus.OK, resource=bundles.responses("transaction", answers, base=call.base)
    )


def _batch(entries: list[Entry], serve: Serve, *, representation: bool) -> list[dict[str, Any]]:
    # As HAPI: reads come last, and so show what the same batch wrote.
    reads_last = sorted(entries, key=lambda entry: entry.call.method in _READS)
    answers = {
        entry.index: _alone(entry, serve, representation=representation) for entry in reads_last
    }
    return [answers[entry.index] for entry in entries]


class _Transaction:
    """One transaction under way: deletes, then plans, then writes, then the check, then reads."""

    def __init__(self, store: Holdings, entries: list[Entry], serve: Serve) -> None:
        self._store = store
        self._entries = entries
        self._serve = serve
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed: list[Version] = []
        self._placeholders: dict[str, str] = {}
        self._conditional: dict[ConditionalKey, str] = {}

    def run(self, *, representation: bool) -> list[dict[str, Any]]:
        _refuse_twins(entry.full_url for entry in self._entries if entry.full_url)
        with self._store.storage.atomically():
            for entry in self._of("DELETE"):
                self._delete(entry)
            planned = self._plan()
            for plan, settled in self._settle(planned):
                reply = self._write(plan, settled)
                self._answers[plan.entry.index] = bundles.done(reply, representation=representation)
            self._store.check(self._changed)
            self._refuse_doubled(planned)
        for entry in self._of(*_READS):
            self._answers[entry.index] = _alone(entry, self._serve, representation=True)
        return [self._answers[entry.index] for entry in self._entries]

    def _of(self, *methods: str) -> list[Entry]:
        return [entry for entry in self._entries if entry.call.method in methods]

    def _delete(self, entry: Entry) -> None:
        with _naming(entry):
            resource_type, resource_id = _instance(entry)
            deleted = self._store.delete(resource_type, resource_id)
        if deleted is not None and deleted.changed:
            self._changed.append(deleted.version)
        self._answers[entry.index] = bundles.done(holdings.deletion(deleted), representation=False)

    def _plan(self) -> list[Planned]:
        plans = [self._planned(entry) for method in _WRITES for entry in self._of(method)]
        _refuse_twins(plan.reference for plan in plans if plan.held is None)
        _refuse_twins(str(plan.key) for plan in plans if plan.key is not None)
        for plan in plans:
            self._placeholders.update(_names(plan))
            if plan.key is not None:
                self._conditional[plan.key] = plan.reference
        return plans

    def _planned(self, entry: Entry) -> Planned:
        with _naming(entry):
            resource_type = _type(entry)
            resource = calls.checked(entry.call.document, resource_type)
            if entry.call.method == "PUT" and len(entry.call.parts) > 1:
                return self._own_id(entry, resource)
            return self._server_id(entry, resource)

    def _own_id(self, entry: Entry, resource: dict[str, Any]) -> Planned:
        resource_type, resource_id = _instance(entry)
        self._store.refuse_id(resource_type, resource_id)
        return Planned(
            entry=entry,
            type=resource_type,
            id=resource_id,
            resource=resource,
            if_match=calls.if_match(entry.call.headers.get("if-match")),
        )

    def _server_id(self, entry: Entry, resource: dict[str, Any]) -> Planned:
        (resource_type, *rest) = entry.call.parts
        if rest:
            raise bad_request("the request.url is not one that POST takes")
        create = entry.call.method == "POST"
        query = entry.call.headers.get("if-none-exist") if create else entry.call.query
        if query is None:
            new_id = self._store.new_id()
            return Planned(entry=entry, type=resource_type, id=new_id, resource=resource)
        found = self._store.match(resource_type, query)
        if found is None:
            holdings.refuse_unfit(resource_type, query, resource, self._store.clock)
        return Planned(
            entry=entry,
            type=resource_type,
            id=self._store.new_id() if found is None else found.id,
            resource=resource,
            key=_key(resource_type, query),
            held=found if create else None,
        )

    def _settle(self, plans: list[Planned]) -> list[tuple[Planned, dict[str, Any]]]:
        # Before the first write: as in HAPI, a conditional reference does not see what this
        # transaction makes, except by the same conditional URL.
        settled = []
        for plan in plans:
            with _naming(plan.entry):
                settled.append((plan, references.rewrite(plan.resource, self._resolve)))
        return settled

    def _resolve(self, path: str, reference: str) -> str:
        if reference in self._placeholders:
            return self._placeholders[reference]
        if references.is_conditional(reference):
            resource_type, _, query = reference.partition("?")
            made = self._conditional.get(_key(resource_type, query))
            if made is not None:
                return made
        return self._store.resolve(path, reference)

    def _write(self, plan: Planned, settled: dict[str, Any]) -> Reply:
        if plan.held is not None:
            return calls.written(plan.held, created=False, diagnostics="found, not changed")
        with _naming(plan.entry):
            result = self._store.write(plan.type, plan.id, settled, if_match=plan.if_match)
        if result.changed:
            self._changed.append(result.version)
        return result.reply()

    def _refuse_doubled(self, plans: list[Planned]) -> None:
        # As HAPI: what another entry made must not satisfy this entry's conditional URL as well.
        for plan in plans:
            if plan.key is not None:
                resource_type, pairs = plan.key
                try:
                    self._store.match(resource_type, urlencode(pairs))
                except RefusedError as error:
                    raise bad_request(f"entry {plan.entry.index}: {error.message}") from error


def _entries(bundle: Mapping[str, Any], base: str) -> list[Entry]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise bad_request("Bundle.entry is not a list", issue=Issue.STRUCTURE)
    return [_entry(index, entry, base) for index, entry in enumerate(entries)]


def _entry(index: int, entry: object, base: str) -> Entry:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise bad_request(f"entry {index} has no request", issue=Issue.STRUCTURE)
    method, url = request.get("method"), request.get("url")
    if method not in _VERBS or not isinstance(url, str):
        raise bad_request(f"entry {index} has no request.method or url", issue=Issue.STRUCTURE)
    headers = {header: request[name] for name, header in _CONDITIONS.items() if name in request}
    full_url = entry.get("fullUrl", "")
    if not all(isinstance(text, str) for text in (full_url, *headers.values())):
        raise bad_request(f"entry {index} has a text that is not a string", issue=Issue.STRUCTURE)
    # A missing resource becomes {}, which no resource type accepts.
    document = entry.get("resource", {})
    read = calls.call(method, url, headers, b"", base=base)
    return Entry(index=index, call=replace(read, document=document), full_url=full_url)


def _alone(entry: Entry, serve: Serve, *, representation: bool) -> dict[str, Any]:
    try:
        with _naming(entry):
            if not entry.call.parts:
                raise bad_request("a Bundle inside a Bundle is not run")
            return bundles.done(serve(entry.call), representation=representation)
    except RefusedError as error:
        return bundles.refused(error)


def _type(entry: Entry) -> str:
    resource_type = entry.call.parts[0] if entry.call.parts else ""
    if entry.call.method == "PATCH" or resource_type not in RESOURCE_TYPES:
        raise bad_request("it is a PATCH, or its request.url names no R4 resource type")
    return resource_type


def _instance(entry: Entry) -> tuple[str, str]:
    resource_type = _type(entry)
    if len(entry.call.parts) != 2:  # noqa: PLR2004 - Type/id
        raise bad_request("the request.url is not Type/id")
    return resource_type, entry.call.parts[1]


def _names(plan: Planned) -> Iterator[tuple[str, str]]:
    """Yield what other entries may call this one: its fullUrl, and the Type/id at the end of it."""
    full_url = plan.entry.full_url
    if not full_url:
        return
    yield full_url, plan.reference
    tail = "/".join(full_url.split("/")[-2:])
    if references.target(tail) is not None:
        yield tail, plan.reference


def _key(resource_type: str, query: str) -> ConditionalKey:
    text = query.removeprefix(f"{resource_type}?")
    return resource_type, tuple(sorted(parse_qsl(text, keep_blank_values=True)))


def _refuse_twins(names: Iterable[str]) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise bad_request("two entries of the transaction are for one resource")
        seen.add(name)


@contextmanager
def _naming(entry: Entry) -> Iterator[None]:
    """Say in a refusal which entry it is about."""
    try:
        yield
    except RefusedError as error:
        raise RefusedError(
            error.http_status,
            error.issue,
            f"entry {entry.index}: {error.message}",
            hint=error.hint,
            location=error.location,
        ) from error
