"""Build the transaction that a delivery is, and read its answer entry by entry. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import Response
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import OURS, Names
from fhirbridge.fhir.references import is_id, literal_references, version_in
from fhirbridge.outbox.contents import Identity

NOT_THERE = "0"  # If-Match W/"0": only where the EHR has no version of it, measured on HAPI 8.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A version of ours that the EHR has or may have: which one, and what it says."""

    resource: str
    digest: str
    sequence: int  # of the delivery that carried it
    body: dict[str, Any]
    decided: int | None = None  # up to which decision about the EHR's own it was written
    there: Names | None = None  # as the EHR named things then; None: as it does now


@dataclass(frozen=True, kw_only=True)  # without slots: what is worked out of the body is kept
class Send:
    """One resource on its way: `base` is the version the EHR must have, NOT_THERE to create.

    `body` is ours; what is sent, and what the EHR holds, names things as it does (`there`).
    """

    position: int
    identity: Identity
    resource: str
    digest: str
    body: dict[str, Any]
    base: str
    retracts: bool = False
    takes_back: bool = False  # it is new, and says of what is there that it is taken back
    known: tuple[Known, ...] = ()  # what it may still have of ours, the ledger's version first
    new_by_none: bool = False  # a create is guarded by If-None-Match: *
    there: Names = OURS

    @property
    def ehr_id(self) -> str:
        """Return its id there, or "" where the EHR is still to give it one."""
        return self.there.id_of(self.identity)

    @property
    def reference(self) -> str:
        """Return its `Type/id` there."""
        return f"{self.identity.type}/{self.ehr_id}"

    @cached_property
    def written(self) -> bytes:
        """The body as it goes: named as the EHR names things."""
        return codec.encode(self.there.written(self.body))

    @cached_property
    def named(self) -> tuple[Identity, ...]:
        """What the body points to."""
        return tuple(Identity(*found) for found in literal_references(self.body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What the EHR says it did with one resource."""

    identity: Identity
    version: str
    created: bool
    ehr_id: str


def transaction(sends: Sequence[Send]) -> bytes:
    """Write the transaction Bundle: PUT by our own id, each entry guarded."""
    return _written("transaction", sends)


def batch(sends: Sequence[Send]) -> bytes:
    """Write the batch Bundle: the same entries, each for itself."""
    return _written("batch", sends)


def _written(kind: str, sends: Sequence[Send]) -> bytes:
    begin = codec.encode({"resourceType": "Bundle", "type": kind})
    return b'%s,"entry":[%s]}' % (begin.removesuffix(b"}"), b",".join(map(_entry, sends)))


def _entry(send: Send) -> bytes:
    url = f"{send.identity.type}/{send.identity.id}"
    request = codec.encode({"method": "PUT", "url": url, **guard(send)})
    return b'{"resource":%s,"request":%s}' % (send.written, request)


def guard(send: Send) -> dict[str, str]:
    """Return the condition under which it may be written, as an entry's request names it."""
    if send.base == NOT_THERE and send.new_by_none:
        return {"ifNoneMatch": "*"}
    return {"ifMatch": f'W/"{send.base}"'}


def landed(sends: Sequence[Send], answer: dict[str, Any]) -> tuple[Landed, ...] | None:
    """Read a transaction's answer by position and id; None where it leaves an entry out."""
    entries = answer.get("entry")
    if not isinstance(entries, list) or len(entries) != len(sends):
        return None
    found = [_landed(send, entry) for send, entry in zip(sends, entries, strict=True)]
    return tuple(one for one in found if one is not None) if None not in found else None


def answers(sends: Sequence[Send], answer: dict[str, Any]) -> tuple[Response, ...]:
    """Take a batch's answer apart: what was said of each resource, as if it had gone alone.

    By position; where entries are left out, by the ids that they name. One of which nothing is
    said has an answer that names nothing.
    """
    entries = answer.get("entry")
    found = entries if isinstance(entries, list) else []
    if len(found) == len(sends):
        return tuple(_as_if_alone(entry) for entry in found)
    alone = [_as_if_alone(entry) for entry in found]
    left_out = _as_if_alone(None)
    return tuple(next((one for one in alone if _names(send, one)), left_out) for send in sends)


def _as_if_alone(entry: Any) -> Response:
    said = entry.get("response") if isinstance(entry, dict) else None
    response = said if isinstance(said, dict) else {}
    status = str(response.get("status", ""))[:3]
    named = {name: response.get(name) for name in ("location", "etag")}
    body = response.get("outcome") or (entry.get("resource") if said else None)
    known = status.isascii() and status.isdigit()
    return Response(
        status=int(status) if known else HTTPStatus.OK,
        headers={name: one for name, one in named.items() if isinstance(one, str)},
        body=codec.encode(body) if isinstance(body, dict) and known else b"",
    )


def _names(send: Send, answer: Response) -> bool:
    path = answer.headers.get("location", "").partition("/_history/")[0]
    expected = f"{send.identity.type}/{send.identity.id}"
    return path == expected or path.endswith("/" + expected)


def landed_alone(send: Send, answer: Response, body: dict[str, Any] | None) -> Landed | None:
    """Read the answer to one PUT or POST; None where it is not for the type and id of it."""
    shown = body or {}
    place = answer.headers.get("location") or answer.headers.get("content-location", "")
    path, _, in_place = place.partition("/_history/")
    own = send.ehr_id or _given(send, path, shown)
    is_ours = (shown.get("resourceType"), shown.get("id")) == (send.identity.type, own)
    if shown and shown.get("resourceType") != "OperationOutcome" and not is_ours:
        return None
    expected = f"{send.identity.type}/{own}"
    if place and path != expected and not path.endswith("/" + expected):
        return None
    meta = shown.get("meta") if is_ours else None
    in_body = str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    version = in_place or version_in(answer.headers.get("etag", "")) or in_body
    if not (is_id(version) and is_id(own)):
        return None
    created = answer.status == HTTPStatus.CREATED
    return Landed(identity=send.identity, version=version, created=created, ehr_id=own)


def was_there(send: Send, answer: Response) -> bool:
    """Say whether a create found one under our key, of which it is not known what it says."""
    return not send.ehr_id and answer.status != HTTPStatus.CREATED


def _given(send: Send, path: str, shown: dict[str, Any]) -> str:
    """Return the id that the EHR gave, from its Location, else from the resource it shows."""
    before, _, own = path.rpartition("/")
    if before.rpartition("/")[2] == send.identity.type:
        return own
    return str(shown.get("id", "")) if shown.get("resourceType") == send.identity.type else ""


def _landed(send: Send, entry: Any) -> Landed | None:
    """Success is a 2xx for the type and id that were sent, with a version."""
    response = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(response, dict):
        return None
    status = str(response.get("status", ""))[:3]
    version = _version(send, str(response.get("location", "")), str(response.get("etag", "")))
    if status not in ("200", "201") or not version:
        return None
    return Landed(
        identity=send.identity,
        version=version,
        created=status == "201",
        ehr_id=send.identity.id,
    )


def _version(send: Send, location: str, etag: str) -> str:
    """Take the version from `[base/]Type/id/_history/n`; another type or id there is no success."""
    path, separator, version = location.rpartition("/_history/")
    expected = f"{send.identity.type}/{send.identity.id}"
    if separator and (path == expected or path.endswith("/" + expected)):
        return version if is_id(version) else ""
    tag = version_in(etag)
    return tag if not location and is_id(tag) else ""


def foreign_patients(sends: Sequence[Send], subject: str) -> bool:
    """Say whether anything in these bodies is, or points to, another patient than `subject`.

    An empty subject is nobody: then any patient is another one.
    """
    for send in sends:
        if send.identity.type == "Patient" and send.identity.id != subject:
            return True
        if any(named.type == "Patient" and named.id != subject for named in send.named):
            return True
    return False
