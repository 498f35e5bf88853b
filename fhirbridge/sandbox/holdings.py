"""What the sandbox holds and how it changes: the rules of versions, guards and references.

Mirrors HAPI 8.8 as measured: a stale `If-Match` is 409, `W/"0"` is an atomic create that a deletion
also stops, an equal update makes no version, tags and security labels are never lost by an update.
HAPI ignores `If-Match` on a conditional update and on DELETE, and so does this.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fhirbridge.clock import Clock
from fhirbridge.fhir import codec
from fhirbridge.sandbox import calls, references, search
from fhirbridge.sandbox.calls import Reply
from fhirbridge.sandbox.outcome import Issue, RefusedError, bad_request, not_found
from fhirbridge.sandbox.storage import Storage, Version

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_LABELS = ("security", "tag")
_SERVER_META = ("versionId", "lastUpdated")
_BUNDLES_TO_RUN = frozenset({"transaction", "batch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write came to: `created` where nothing lived, `changed` where a version was made."""

    version: Version
    created: bool = False
    changed: bool = True

    def reply(self) -> Reply:
        """Return what to answer."""
        said = "created" if self.created else "updated" if self.changed else "no change"
        return calls.written(self.version, created=self.created, diagnostics=said)


class Holdings:
    """Reads and writes over a storage. Writes belong inside `storage.atomically()`."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        stale_status: HTTPStatus,
        assigns_ids: bool,
        ignores_if_match: bool,
    ) -> None:
        """Answer a stale `If-Match` with `stale_status`: 409 as HAPI does, or 412 as R4 says."""
        self.storage = storage
        self.clock = clock
        self.assigns_ids = assigns_ids
        self._stale_status = stale_status
        self._ignores_if_match = ignores_if_match

    def read(self, resource_type: str, resource_id: str) -> Version:
        """Return the current version; raises RefusedError 404, 410."""
        version = self.storage.latest(resource_type, resource_id)
        if version is None:
            raise not_found(f"{resource_type} of this id is not known")
        return _alive(version)

    def read_version(self, resource_type: str, resource_id: str, number: str) -> Version:
        """Return one version; raises RefusedError 404, 410."""
        for version in self.storage.versions(resource_type, resource_id):
            if str(version.number) == number:
                return _alive(version)
        raise not_found(f"{resource_type} of this id has no such version")

    def write(
        self,
        resource_type: str,
        resource_id: str,
        resource: Mapping[str, Any],
        *,
        if_match: int | None = None,
    ) -> Written:
        """Create or update under an id, whatever id the body has; its references are settled.

        Raises RefusedError 409 (or 412) for a stale guard, 422 for a Bundle that is to be run.
        """
        latest = self.storage.latest(resource_type, resource_id)
        self._guard(latest, if_match)
        _refuse_stored_bundle(resource)
        content = _content(resource, resource_id, self._last_labels(resource_type, resource_id))
        if latest is not None and latest.resource is not None and _equal(latest.resource, content):
            return Written(version=latest, changed=False)
        version = self._version(resource_type, resource_id, latest, content)
        self.storage.add(version)
        return Written(version=version, created=latest is None or latest.resource is None)

    def delete(self, resource_type: str, resource_id: str) -> Written | None:
        """Delete; not `changed` where it was deleted before, None where it never was."""
        latest = self.storage.latest(resource_type, resource_id)
        if latest is None:
            return None
        if latest.resource is None:
            return Written(version=latest, changed=False)
        version = self._version(resource_type, resource_id, latest, None)
        self.storage.add(version)
        return Written(version=version)

    def match(self, resource_type: str, query: str) -> Version | None:
        """Return the one resource that a conditional URL selects; raises RefusedError 400, 412."""
        criteria = search.match_url(resource_type, query)
        found = [v for v in self.storage.living(resource_type) if search.fits(v, criteria)]
        if len(found) > 1:
            raise RefusedError(
                HTTPStatus.PRECONDITION_FAILED,
                Issue.MULTIPLE_MATCHES,
                f"a conditional URL of {resource_type} matches {len(found)} resources",
            )
        return found[0] if found else None

    def settled(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return a resource with its references as they are stored.

        Raises RefusedError 400, 404, 412, 422.
        """
        return references.rewrite(resource, self.resolve)

    def resolve(self, path: str, reference: str) -> str:
        """Return a reference as it is stored; a conditional one is looked up (404, 412)."""
        if not references.is_conditional(reference):
            return references.settled(path, reference)
        resource_type, _, query = reference.partition("?")
        found = self.match(resource_type, query)
        if found is None:
            raise not_found(f"{path} holds a conditional reference that matches nothing")
        return found.reference

    def check(self, changed: Iterable[Version]) -> None:
        """Refuse dangling references once all is written; raises RefusedError 400, 409."""
        for version in changed:
            latest = self.storage.latest(version.type, version.id)
            if latest is None or latest.resource is None:
                self._refuse_referenced(version)
            else:
                self._refuse_dangling(latest)

    def refuse_id(self, resource_type: str, resource_id: str) -> None:
        """Refuse an id that R4 does not allow, and a new one that is not a client's to choose."""
        known = self.storage.latest(resource_type, resource_id) is not None
        if _ID.fullmatch(resource_id) is None:
            raise bad_request("the id is not a FHIR id", hint="use 1 to 64 of A-Z a-z 0-9 - .")
        if not known and self.assigns_ids:
            raise not_found("no resource has this id, and a client chooses none here")
        if not known and _NUMBER.fullmatch(resource_id):
            raise bad_request("a client's id must not be a number", hint="add a letter")

    def new_id(self) -> str:
        """Return an id of the server's own."""
        return str(self.storage.next_number())

    def _guard(self, latest: Version | None, if_match: int | None) -> None:
        if self._ignores_if_match:
            return
        # As HAPI: any If-Match creates what never was; after that only the newest version will do.
        if latest is None or if_match is None or latest.number == if_match:
            return
        raise RefusedError(
            self._stale_status,
            Issue.CONFLICT,
            f"{latest.type} is at version {latest.number}, not at {if_match} as If-Match says",
            hint="read it again",
        )

    def _last_labels(self, resource_type: str, resource_id: str) -> Mapping[str, Any]:
        for version in reversed(self.storage.versions(resource_type, resource_id)):
            if version.resource is not None:
                meta = version.resource["meta"]
                assert isinstance(meta, dict)
                return meta
        return {}

    def _version(
        self,
        resource_type: str,
        resource_id: str,
        latest: Version | None,
        content: dict[str, Any] | None,
    ) -> Version:
        number = 1 if latest is None else latest.number + 1
        now = self.clock.now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        stamp = {"versionId": str(number), "lastUpdated": now.isoformat(timespec="milliseconds")}
        if content is not None:
            content = {**content, "meta": {**stamp, **content["meta"]}}
        return Version(
            type=resource_type, id=resource_id, number=number, updated=now, resource=content
        )

    def _refuse_dangling(self, version: Version) -> None:
        for path, reference in references.find(version.resource or {}):
            target = references.target(reference)
            if target is None:
                continue
            held = self.storage.latest(target.type, target.id)
            if held is None or held.resource is None:
                raise bad_request(
                    f"{path} points at a {target.type} that is not held here",
                    hint="send it first, or in the same transaction",
                )

    def _refuse_referenced(self, version: Version) -> None:
        for other in self.storage.living():
            for path, reference in references.find(other.resource or {}):
                if reference == version.reference:
                    raise RefusedError(
                        HTTPStatus.CONFLICT,
                        Issue.CONFLICT,
                        f"{version.type} cannot be deleted: {path} of another resource names it",
                    )


def deletion(deleted: Written | None) -> Reply:
    """Return what to answer to a DELETE."""
    if deleted is None:
        return Reply(status=HTTPStatus.OK, diagnostics="there was nothing to delete")
    said = "deleted" if deleted.changed else "was deleted before"
    return Reply(status=HTTPStatus.OK, version=deleted.version, diagnostics=said)


def refuse_unfit(resource_type: str, query: str, resource: Mapping[str, Any], clock: Clock) -> None:
    """Refuse a conditional write whose own resource its URL would not find again."""
    version = Version(type=resource_type, id="", number=1, updated=clock.now(), resource=resource)
    if not search.fits(version, search.match_url(resource_type, query)):
        raise bad_request(f"the {resource_type} does not satisfy its own conditional URL")


def _alive(version: Version) -> Version:
    if version.resource is None:
        raise RefusedError(
            HTTPStatus.GONE,
            Issue.DELETED,
            f"{version.type} was deleted at {version.updated.isoformat(timespec='milliseconds')}",
            location=version.location,
        )
    return version


def _refuse_stored_bundle(resource: Mapping[str, Any]) -> None:
    kind = resource.get("type")
    if resource.get("resourceType") == "Bundle" and kind in _BUNDLES_TO_RUN:
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            Issue.INVALID,
            "a transaction or batch is not stored",
            hint="POST it to the base URL",
        )


def _content(
    resource: Mapping[str, Any], resource_id: str, last_meta: Mapping[str, Any]
) -> dict[str, Any]:
    sent = resource.get("meta", {})
    meta = {name: value for name, value in sent.items() if name not in _SERVER_META}
    for name in _LABELS:
        labels = _union(last_meta.get(name, []), sent.get(name, []))
        if labels:
            meta[name] = labels
    rest = {k: v for k, v in resource.items() if k not in {"resourceType", "id", "meta"}}
    return {
        "resourceType": resource["resourceType"],
        "id": resource_id,
        "meta": meta,
        **rest,
    }


def _union(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = [(label.get("system"), label.get("code")) for label in old]
    return [*old, *(n for n in new if (n.get("system"), n.get("code")) not in keys)]


def _equal(held: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    # `source` differs at each request to HAPI (it adds the request id), and so never counts.
    return codec.canonical(_compared(held)) == codec.canonical(_compared(content))


def _compared(resource: Mapping[str, Any]) -> dict[str, Any]:
    ignored = {*_SERVER_META, "source"}
    meta = {name: value for name, value in resource["meta"].items() if name not in ignored}
    return {**resource, "meta": meta}
