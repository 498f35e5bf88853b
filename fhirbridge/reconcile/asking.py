"""What an EHR is asked, and how its answers are read. Knows no database; keeps nothing of others.

A search or a history only says where to look. What counts is then read by id: an index may lag.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import Response
from fhirbridge.ehr import probe
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec, names
from fhirbridge.fhir.names import Key
from fhirbridge.fhir.references import is_id, version_in
from fhirbridge.matching.merges import MOST_HOPS, replaced_by
from fhirbridge.outbox.contents import Identity
from fhirbridge.reconcile.compare import Shown, Theirs

NOT_THERE = {"404": Shown.ABSENT, "410": Shown.REMOVED}
BATCH = 50
PAGE = 200
MOST_PAGES = 2000
NO_HISTORY = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)


class NoAnswerError(BridgeError):
    """The EHR could not be asked to the end; nothing was concluded from what it said."""

    code = "E411"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """One version in a history or a search: which resource, and what it said then."""

    identity: Identity
    version: str
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be read: ours, under its id there, or by its key where that is not known.

    With a key, what does not bear it is something else, to which the EHR gave the id.
    """

    identity: Identity
    ehr_id: str
    key: Key | None = None


class Asking:
    """One EHR, asked for one run; `date` is its own clock at the first answer, once there is one.

    Every method raises NoAnswerError where an answer is missing or makes no sense.
    """

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self.date: datetime | None = None

    def ahead(self, now: datetime) -> timedelta:
        """Return how far the EHR's clock is ahead of ours, as far as it was heard."""
        return timedelta() if self.date is None else self.date - now

    def read(self, wanted: Sequence[Wanted]) -> dict[Identity, Theirs]:
        """Read what is there now, by our identities."""
        found: dict[Identity, Theirs] = {}
        for start in range(0, len(wanted), BATCH):
            part = wanted[start : start + BATCH]
            answer = self._bundle(self._ehr.read_many([_asked(one) for one in part]))
            entries = answer.get("entry")
            if not isinstance(entries, list) or len(entries) != len(part):
                raise NoAnswerError("the EHR left reads out of its answer")
            for one, entry in zip(part, entries, strict=True):
                found[one.identity] = _theirs(one, entry)
        return found

    def touched(self, kind: str, since: datetime) -> Iterator[Touched]:
        """Yield what of one type changed or went since then; oneself is among those who changed.

        Where the EHR keeps no history of a type, a search: it does not show what went.
        """
        text = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        first = self._ehr.history(kind, _since=text, _count=str(PAGE), _offset="0")
        if isinstance(first, Response) and first.status in NO_HISTORY:
            first = self._ehr.search(kind, _lastUpdated=f"ge{text}", _count=str(PAGE))
        for entry in self._entries(first):
            if (one := _touched(entry)) is not None:
                yield one

    def last_version(self, there: Identity) -> str:
        """Return the number of a removed resource's last version, or "" where none is told."""
        path = f"{there.type}/{there.id}"
        outcome = self._ehr.history(path, _count="1", _offset="0")
        if isinstance(outcome, Response) and outcome.status in NO_HISTORY:
            return ""
        entry = next(self._entries(outcome), {})
        return _version(entry)

    def owners(self, kind: str, tokens: Sequence[str]) -> dict[str, list[str]] | None:
        """Return, for identifiers `system|value`, the ids that have them; None where it cannot."""
        found: dict[str, list[str]] = {}
        for start in range(0, len(tokens), BATCH):
            part = tokens[start : start + BATCH]
            wanted = ",".join(part)
            first = self._ehr.search(kind, identifier=wanted, _count=str(PAGE))
            if isinstance(first, Response) and first.status in NO_HISTORY:
                return None
            for entry in self._entries(first):
                for token in _tokens(entry.get("resource")):
                    found.setdefault(token, []).append(str(entry["resource"].get("id", "")))
        return found

    def merged_into(self, patient: Identity, body: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Read the patients that replace this one, a few hops far; by reference."""
        chain = {f"{patient.type}/{patient.id}": body}
        ahead = list(replaced_by(body))
        for _ in range(MOST_HOPS):
            new = [one for one in ahead if one not in chain and one.startswith("Patient/")]
            if not new:
                break
            ids = [one.partition("/")[2] for one in new]
            shown = self.read(
                [Wanted(identity=Identity("Patient", one), ehr_id=one) for one in ids]
            )
            bodies = {f"{i.type}/{i.id}": t.body for i, t in shown.items() if t.body is not None}
            chain |= bodies
            ahead = [far for one in bodies.values() for far in replaced_by(one)]
        return chain

    def _entries(self, first: Outcome) -> Iterator[dict[str, Any]]:
        """Yield the entries of all pages."""
        outcome: Outcome | None = first
        for _ in range(MOST_PAGES):
            if outcome is None:
                raise NoAnswerError("the EHR's next page lies at another address than the EHR")
            answer = self._bundle(outcome)
            entries = answer.get("entry", [])
            yield from (one for one in entries if isinstance(one, dict))
            onward = _next(answer)
            if not onward:
                return
            outcome = self._ehr.next_page(onward)
        raise NoAnswerError(f"the EHR's answer has more than {MOST_PAGES} pages")

    def _bundle(self, outcome: Outcome) -> dict[str, Any]:
        if not isinstance(outcome, Response):
            raise NoAnswerError(f"no certain answer from the EHR: {outcome.reason}")
        if self.date is None:
            self.date = probe.date_of(outcome)
        if outcome.status != HTTPStatus.OK:
            raise NoAnswerError(f"the EHR answered {outcome.status}")
        try:
            value = codec.decode(outcome.body)
        except codec.NotJsonError:
            value = None
        if not isinstance(value, dict) or value.get("resourceType") != "Bundle":
            raise NoAnswerError("the EHR answered 200 with something that is not a Bundle")
        return value


def _asked(wanted: Wanted) -> str | Key:
    if wanted.ehr_id or wanted.key is None:
        return f"{wanted.identity.type}/{wanted.ehr_id}"
    return wanted.key


def _theirs(wanted: Wanted, entry: Any) -> Theirs:
    if not isinstance(entry, dict) or not isinstance(entry.get("response"), dict):
        return Theirs(shown=Shown.UNSAID)
    status = str(entry["response"].get("status", ""))[:3]
    if status in NOT_THERE:
        return Theirs(shown=NOT_THERE[status])
    body = entry.get("resource")
    if status != "200" or not isinstance(body, dict):
        return Theirs(shown=Shown.UNSAID)
    version, own = _version(entry), str(body.get("id", ""))
    expected = (wanted.identity.type, wanted.ehr_id or own)
    if (body.get("resourceType"), own) != expected or not (own and version):
        return Theirs(shown=Shown.UNSAID)
    if wanted.key is not None and not wanted.key.is_of(body):
        return Theirs(shown=Shown.ABSENT)
    return Theirs(shown=Shown.THERE, version=version, updated=_updated(body), body=body)


def _touched(entry: dict[str, Any]) -> Touched | None:
    body = entry.get("resource")
    if isinstance(body, dict):
        identity = Identity(str(body.get("resourceType")), str(body.get("id")))
        return Touched(identity=identity, version=_version(entry), body=body)
    request = entry.get("request")
    url = str(request.get("url", "")) if isinstance(request, dict) else ""
    parts = url.partition("/_history")[0].split("/")[-2:]
    if len(parts) != 2:  # noqa: PLR2004  Type/id
        return None
    return Touched(identity=Identity(*parts), version=_version(entry), body=None)


def _version(entry: dict[str, Any]) -> str:
    """Take a version from meta, or from the response's etag."""
    body, response = entry.get("resource"), entry.get("response")
    meta = body.get("meta") if isinstance(body, dict) else None
    version = str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    if not version and isinstance(response, dict):
        version = version_in(str(response.get("etag", "")))
    return version if is_id(version) else ""


def _updated(body: dict[str, Any]) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(body["meta"]["lastUpdated"]))
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def _next(answer: dict[str, Any]) -> str:
    links = answer.get("link", [])
    found = [one for one in links if isinstance(one, dict) and one.get("relation") == "next"]
    return str(found[0].get("url", "")) if found else ""


def _tokens(body: Any) -> list[str]:
    """Return the identifiers of a resource, as a search names them."""
    held = body.get("identifier", []) if isinstance(body, dict) else []
    rows = held if isinstance(held, list) else [held]
    return [token(one) for one in rows if isinstance(one, dict)]


def token(identifier: dict[str, Any]) -> str:
    """Write an identifier as a search parameter's value."""
    return names.token(str(identifier.get("system", "")), str(identifier.get("value", "")))
