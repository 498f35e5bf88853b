"""Each FHIR interaction that the sandbox serves, from a request to a reply."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlencode

from fhirbridge.sandbox import (
    bundles,
    calls,
    capability,
    dates,
    holdings,
    pages,
    search,
    transaction,
)
from fhirbridge.sandbox.calls import Call, Reply
from fhirbridge.sandbox.definitions import RESOURCE_TYPES
from fhirbridge.sandbox.holdings import Holdings
from fhirbridge.sandbox.outcome import Issue, RefusedError, bad_request, not_found
from fhirbridge.sandbox.storage import Version

ANY = "*"
_BESIDE_TYPES = frozenset({"metadata", "_history"})


class Interactions:
    """Serves one request at a time; raises RefusedError for what it refuses."""

    def __init__(self, store: Holdings) -> None:
        self._store = store
        self._pages = pages.Pages()
        # The first line that fits serves: a fixed word stands before ANY.
        self._routes: Sequence[tuple[str, tuple[str, ...], Callable[[Call], Reply]]] = (
            ("GET", (), self._page),
            ("POST", (), self._bundle),
            ("GET", ("metadata",), self._metadata),
            ("GET", ("_history",), self._history),
            ("GET", (ANY,), self._search),
            ("POST", (ANY,), self._create),
            ("PUT", (ANY,), self._conditional_update),
            ("GET", (ANY, "_search"), self._search),
            ("POST", (ANY, "_search"), self._search),
            ("GET", (ANY, "_history"), self._history),
            ("GET", (ANY, ANY), self._read),
            ("PUT", (ANY, ANY), self._update),
            ("DELETE", (ANY, ANY), self._delete),
            ("GET", (ANY, ANY, "_history"), self._history),
            ("GET", (ANY, ANY, "_history", ANY), self._read_version),
        )

    def serve(self, call: Call) -> Reply:
        """Answer one request; raises RefusedError."""
        if call.parts and call.parts[0] not in RESOURCE_TYPES | _BESIDE_TYPES:
            raise not_found("the URL names no R4 resource type")
        methods = set()
        for method, pattern, interaction in self._routes:
            if _leads_to(pattern, call.parts):
                if method == call.method:
                    return interaction(call)
                methods.add(method)
        if not methods:
            raise not_found("the sandbox has nothing at this URL")
        raise RefusedError(
            HTTPStatus.METHOD_NOT_ALLOWED,
            Issue.NOT_SUPPORTED,
            f"the sandbox answers {', '.join(sorted(methods))} here",
        )

    def _metadata(self, call: Call) -> Reply:
        now = self._store.clock.now()
        statement = capability.statement(
            base=call.base, now=now, own_ids=not self._store.assigns_ids
        )
        return Reply(status=HTTPStatus.OK, resource=statement)

    def _bundle(self, call: Call) -> Reply:
        return transaction.run(call, self._store, self.serve)

    def _read(self, call: Call) -> Reply:
        version = self._store.read(*call.parts)
        if call.headers.get("if-none-match", "").strip() == f'W/"{version.number}"':
            return Reply(status=HTTPStatus.NOT_MODIFIED, version=version)
        return Reply(status=HTTPStatus.OK, resource=version.resource, version=version)

    def _read_version(self, call: Call) -> Reply:
        resource_type, resource_id, _, number = call.parts
        version = self._store.read_version(resource_type, resource_id, number)
        return Reply(status=HTTPStatus.OK, resource=version.resource, version=version)

    def _create(self, call: Call) -> Reply:
        (resource_type,) = call.parts
        resource = call.resource(resource_type)
        query = call.headers.get("if-none-exist")
        with self._store.storage.atomically():
            found = None if query is None else self._store.match(resource_type, query)
            if found is not None:
                return calls.written(found, created=False, diagnostics="found, not changed")
            if query is not None:
                holdings.refuse_unfit(resource_type, query, resource, self._store.clock)
            return self._write(resource_type, self._store.new_id(), resource)

    def _update(self, call: Call) -> Reply:
        resource_type, resource_id = call.parts
        resource = call.resource(resource_type)
        self._store.refuse_id(resource_type, resource_id)
        if resource.get("id") != resource_id:
            raise bad_request("the body's id is not the id in the URL", issue=Issue.STRUCTURE)
        if_match = calls.if_match(call.headers.get("if-match"))
        with self._store.storage.atomically():
            return self._write(resource_type, resource_id, resource, if_match=if_match)

    def _conditional_update(self, call: Call) -> Reply:
        (resource_type,) = call.parts
        resource = call.resource(resource_type)
        with self._store.storage.atomically():
            found = self._store.match(resource_type, call.query)
            if found is None:
                holdings.refuse_unfit(resource_type, call.query, resource, self._store.clock)
            resource_id = self._store.new_id() if found is None else found.id
            return self._write(resource_type, resource_id, resource)

    def _write(
        self,
        resource_type: str,
        resource_id: str,
        resource: Mapping[str, object],
        *,
        if_match: int | None = None,
    ) -> Reply:
        settled = self._store.settled(resource)
        written = self._store.write(resource_type, resource_id, settled, if_match=if_match)
        if written.changed:
            self._store.check([written.version])
        return written.reply()

    def _delete(self, call: Call) -> Reply:
        with self._store.storage.atomically():
            deleted = self._store.delete(*call.parts)
            if deleted is not None and deleted.changed:
                self._store.check([deleted.version])
        return holdings.deletion(deleted)

    def _search(self, call: Call) -> Reply:
        resource_type = call.parts[0]
        posted = call.form() if call.method == "POST" else []
        wanted = search.parse(resource_type, [*call.pairs, *posted])
        found = wanted.select(self._store.storage.living(resource_type))
        # A posted search shows none of its parameters in the link: they may be a name or an MRN.
        link = "/".join([call.base, *call.parts])
        if call.method == "GET" and call.query:
            link = f"{link}?{urlencode(call.pairs)}"
        links = [("self", link)]
        if 0 < wanted.count < len(found):
            number = self._pages.keep(found)
            next_page = pages.url(call.base, number, offset=wanted.count, count=wanted.count)
            links.append(("next", next_page))
        bundle = bundles.searchset(
            found[: wanted.count], base=call.base, total=len(found), links=links
        )
        return Reply(status=HTTPStatus.OK, resource=bundle)

    def _page(self, call: Call) -> Reply:
        query = dict(call.pairs)
        if "_getpages" not in query:
            raise bad_request(
                "this is the base URL of a FHIR server", hint="try /metadata, or a resource type"
            )
        found = self._pages.get(query["_getpages"])
        count = max(1, search.count_of(query.get("_count")))
        offset = _whole(query.get("_getpagesoffset", "0"), "_getpagesoffset")
        links = [("self", f"{call.base}?{urlencode(call.pairs)}")]
        if offset + count < len(found):
            after = pages.url(call.base, query["_getpages"], offset=offset + count, count=count)
            links.append(("next", after))
        versions = [self._store.storage.latest(*key) for key in found[offset : offset + count]]
        living = [version for version in versions if version and version.resource is not None]
        bundle = bundles.searchset(living, base=call.base, total=len(found), links=links)
        return Reply(status=HTTPStatus.OK, resource=bundle)

    def _history(self, call: Call) -> Reply:
        query = dict(call.pairs)
        found = self._past(call.parts[:-1])
        if "_since" in query:
            since = dates.parse(query["_since"], name="_since").low
            found = [version for version in found if version.updated >= since]
        count = max(1, search.count_of(query.get("_count")))
        offset = _whole(query.get("_offset", "0"), "_offset")
        here = "/".join([call.base, *call.parts])
        links = [("self", f"{here}?{urlencode(query)}" if query else here)]
        if offset + count < len(found):
            after = {**query, "_count": count, "_offset": offset + count}
            links.append(("next", f"{here}?{urlencode(after)}"))
        bundle = bundles.history(
            found[offset : offset + count], base=call.base, total=len(found), links=links
        )
        return Reply(status=HTTPStatus.OK, resource=bundle)

    def _past(self, parts: tuple[str, ...]) -> list[Version]:
        match parts:
            case (resource_type, resource_id):
                versions = list(self._store.storage.versions(resource_type, resource_id))
                if not versions:
                    raise not_found(f"{resource_type} of this id is not known")
            case (resource_type,):
                log = self._store.storage.log()
                versions = [version for version in log if version.type == resource_type]
            case _:
                versions = list(self._store.storage.log())
        versions.reverse()
        return versions


def _leads_to(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return len(pattern) == len(parts) and all(
        wanted in {ANY, part} for wanted, part in zip(pattern, parts, strict=True)
    )


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):  # noqa: PLR2004 - fits an int
        raise bad_request(f"{name} is not a whole number")
    return int(text)
