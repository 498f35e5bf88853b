"""One request of one reader, from what was asked to what is shown and what is noted of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection

from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.facade import bundles, links, query, search
from fhirbridge.facade.errors import FacadeClosedError, FacadeError
from fhirbridge.facade.held import Held
from fhirbridge.facade.links import Mark
from fhirbridge.facade.parameters import TYPES
from fhirbridge.facade.query import Pairs, Query
from fhirbridge.facade.search import Found, Page
from fhirbridge.facade.shelf import link_owner
from fhirbridge.fhir.references import is_id
from fhirbridge.outbox import pauses
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault

LONGEST_NUMBER = 18
SEARCH, HISTORY, EVERYTHING = "search", "history", "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: `way` is one of this module's words; `own` an id, or "" for the whole type."""

    way: str
    kind: str
    own: str = ""
    pairs: Pairs = ()
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is answered, and what the evidence keeps of that: names, counts, opaque ids."""

    body: dict[str, Any]
    detail: dict[str, Any] = field(default_factory=dict)
    etag: str = ""
    at: datetime | None = None


class Desk:
    """Serves the reader of one facade, in one transaction that only reads."""

    def __init__(self, tx: Connection, vault: Vault, facade: str, *, now: datetime) -> None:
        """Open it. Raises NotThereError where it was removed, FacadeClosedError where paused."""
        self._tx = tx
        self._vault = vault
        self._destination = opened(tx, facade)
        self._held = Held(tx, vault, self._destination)
        self._now = now

    def version(self, kind: str, own: str, number: str) -> Shown:
        """Show one resource as it is now, or (`number`) one version of it."""
        digits = number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER
        if kind not in TYPES or not is_id(own) or not (digits or number == ""):
            raise search.not_there()
        found = search.version(self._held, kind, own, int(number) if number else None)
        return Shown(
            body=bundles.resource(found),
            detail=_seen([found]),
            etag=bundles.etag(found.version),
            at=found.version.at,
        )

    def page(self, asked: Asked) -> Shown:
        """Show one page of a search, a history or a chart."""
        mark = self._mark(asked)
        query = _read(mark, strict=asked.strict)
        page = self._find(mark, query)
        base = self._destination.base_url
        named = self._links(mark, query, page)
        write = bundles.history if mark.way == HISTORY else bundles.searchset
        return Shown(
            body=write(page, base, named, at=moment.from_text(mark.at)),
            detail={
                "parameters": query.names,
                "upto": page.upto,
                **_seen([*page.matches, *page.included]),
            },
        )

    def _mark(self, asked: Asked) -> Mark:
        """Say where the page begins: at the beginning, or where a link says."""
        pages = [value for name, value in asked.pairs if name == links.PARAMETER]
        if not pages:
            pairs = tuple((name, value) for name, value in asked.pairs)
            upto, _ = self._held.last()
            return Mark(
                way=asked.way,
                kind=asked.kind,
                own=asked.own,
                pairs=pairs,
                upto=upto,
                after=0,
                at=moment.to_text(self._now),
            )
        name, now = self._destination.name, self._now
        mark = links.opened(self._vault, self._key, name, pages[0], now=now)
        if (mark.way, mark.kind, mark.own) != (asked.way, asked.kind, asked.own):
            raise FacadeError("this page is of another address", hint="follow the link as it is")
        return mark

    def _find(self, mark: Mark, query: Query) -> Page:
        held, where = self._held, {"upto": mark.upto, "after": mark.after}
        if mark.way == HISTORY:
            return search.history(held, query, mark.own, **where)
        if mark.way == EVERYTHING:
            return search.everything(held, query, mark.own, **where)
        return search.search(held, query, **where)

    def _links(self, mark: Mark, query: Query, page: Page) -> dict[str, str]:
        address = f"{self._destination.base_url}/{_path(mark)}"
        itself = urlencode(query.used)
        found = {"self": f"{address}?{itself}" if itself else address}
        if page.after is not None:
            further = replace(mark, after=page.after)
            sealed = links.sealed(self._vault, self._key, self._destination.name, further)
            found["next"] = f"{address}?{links.PARAMETER}={sealed}"
        return found

    @property
    def _key(self) -> bytes:
        return self._vault.key(self._tx, link_owner(self._destination.name))


def opened(tx: Connection, name: str) -> Destination:
    """Return a facade that may be read. Raises NotThereError or FacadeClosedError."""
    known = registry.find(tx, name)
    if known is None or not known.is_facade:
        raise search.not_there()
    if known.paused or pauses.is_put(tx, name, pauses.ANY):
        raise FacadeClosedError(
            "this facade is paused", hint="ask whoever runs the service, and try again later"
        )
    return known


def _read(mark: Mark, *, strict: bool) -> Query:
    if mark.way == HISTORY:
        return query.history(mark.kind, mark.pairs, strict=strict)
    if mark.way == EVERYTHING:
        return query.everything(mark.pairs, strict=strict)
    return query.search(mark.kind, mark.pairs, strict=strict)


def _path(mark: Mark) -> str:
    below = {HISTORY: "_history", EVERYTHING: "$everything", SEARCH: ""}[mark.way]
    return "/".join(part for part in (mark.kind, mark.own, below) if part)


def _seen(found: Iterable[Found]) -> dict[str, Any]:
    versions = [one.version for one in found]
    patients = sorted({one.lane for one in versions} - {SHARED_LANE})
    numbers = [one.number for one in versions]
    return {
        "count": len(versions),
        "patients": patients,
        **({"numbers": [min(numbers), max(numbers)]} if numbers else {}),
    }
