"""Find out what a server really honours, on one resource of our own that is removed again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec

SANDBOX_SOFTWARE = "fhirbridge sandbox EHR"
FHIR_VERSIONS = ("4.0.1", "4.0.0")
GUARD_NEW = 'W/"0"'
NO_VERSION = 'W/"none"'
ETAG = re.compile(r'(?:W/)?"[A-Za-z0-9.-]{1,64}"')  # R4 id inside
MOST_PROFILES = 2000
OK = (HTTPStatus.OK, HTTPStatus.CREATED)
LETS_IN = (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
UNPROMISED = frozenset({"date", "extension", "id", "meta", "text"})
REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)


class NotAnEhrError(BridgeError):
    """What answers there is not a FHIR R4 server."""

    code = "E402"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a server was seen to do. None: not tried."""

    software: str
    sandbox: bool
    own_ids: bool | None = None
    create_guard: bool | None = None  # PUT with If-Match W/"0" creates once and never overwrites
    version_guard: bool | None = None  # a stale If-Match is refused
    transaction: bool | None = None  # a transaction is all or nothing and honours ifMatch
    decimals: bool | None = None  # 72.50 stays 72.50
    profiles: tuple[str, ...] = ()  # those that its CapabilityStatement lists, sorted
    capability: str = ""  # digest of what its CapabilityStatement promises

    @property
    def can_transact(self) -> bool:
        """Say whether deliveries may go as guarded transactions."""
        return all(
            (self.own_ids, self.create_guard, self.version_guard, self.transaction, self.decimals)
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Name what was tried and is not honoured."""
        names = ("own_ids", "create_guard", "version_guard", "transaction", "decimals")
        return tuple(name for name in names if getattr(self, name) is False)


def look(ehr: Ehr) -> Traits:
    """Read the CapabilityStatement; write nothing. Raises NotAnEhrError."""
    outcome = ehr.metadata()
    if not isinstance(outcome, Response):
        raise NotAnEhrError(
            f"no answer from {ehr.base_url}/metadata: {outcome.reason}",
            hint="check the address; a private network must be named with --network",
        )
    statement = _json(outcome)
    if outcome.status != HTTPStatus.OK or statement.get("resourceType") != "CapabilityStatement":
        raise NotAnEhrError(
            f"{ehr.base_url}/metadata answered {outcome.status} without a CapabilityStatement",
            hint="give the FHIR base address, for example https://ehr.example.org/fhir",
        )
    if statement.get("fhirVersion") not in FHIR_VERSIONS:
        raise NotAnEhrError("the server does not speak FHIR R4", hint="ask for the R4 endpoint")
    software = statement.get("software")
    name = str(software.get("name", "")) if isinstance(software, dict) else ""
    return Traits(
        software=name[:80],
        sandbox=name == SANDBOX_SOFTWARE,
        profiles=_profiles(statement),
        capability=codec.content_hash(_promised(statement)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What a look at a server found; None where it was not found out. `reason` is our words."""

    answers: bool
    reason: str = ""
    signed_in: bool | None = None
    unchanged: bool | None = None  # it promises what it did when it was probed
    server_time: datetime | None = None  # of its Date header

    @property
    def good(self) -> bool:
        """Say whether nothing speaks against sending to it."""
        return self.answers and self.signed_in is True and self.unchanged is not False


def test(ehr: Ehr, known: Mapping[str, Any]) -> Tested:
    """See whether a server answers, lets us in, and is what `known` traits say. Reads only."""
    # Nobody has this id: a server that lets us in says so, others refuse before they look.
    outcome = ehr.read("Patient/fhirbridge-test")
    if not isinstance(outcome, Response):
        return Tested(answers=False, reason=f"a read got no answer: {outcome.reason}")
    told = Tested(
        answers=True,
        reason=f"a read answered {outcome.status}",
        signed_in=outcome.status in LETS_IN,
        server_time=_date(outcome),
    )
    if not told.signed_in:
        return told
    try:
        found = look(ehr)
    except NotAnEhrError as error:
        return replace(told, answers=False, reason=error.message)
    before = known.get("capability", "")
    return replace(told, unchanged=found.capability == before if before else None)


def _date(outcome: Response) -> datetime | None:
    try:
        found = parsedate_to_datetime(outcome.headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo else None


def _promised(value: Any) -> Any:
    """Leave out what says when and how the statement was written, or counts what is there."""
    if isinstance(value, dict):
        return {k: _promised(item) for k, item in value.items() if k not in UNPROMISED}
    return [_promised(item) for item in value] if isinstance(value, list) else value


def _profiles(statement: dict[str, Any]) -> tuple[str, ...]:
    """Return the profiles that a CapabilityStatement lists, of all its resource types."""
    found: set[str] = set()
    for rest in _objects(statement.get("rest")):
        for resource in _objects(rest.get("resource")):
            listed = resource.get("supportedProfile")
            named = [*(listed if isinstance(listed, list) else ()), resource.get("profile")]
            found |= {one for one in named if isinstance(one, str)}
    return tuple(sorted(found))[:MOST_PROFILES]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def try_writes(ehr: Ehr, seen: Traits, probe_id: str) -> Traits:
    """Try creates, guards and a transaction on `Patient/<probe_id>`, then remove it.

    Only for a sandbox or a server that was named as a test server: safety.md forbids it elsewhere.
    """
    reference = f"Patient/{probe_id}"
    try:
        created = ehr.put(reference, _patient(probe_id, "one"), if_match=GUARD_NEW)
        again = ehr.put(reference, _patient(probe_id, "two"), if_match=GUARD_NEW)
        back = ehr.read(reference)
        updated = ehr.put(reference, _patient(probe_id, "three"), if_match=_etag(back))
        stale = ehr.put(reference, _patient(probe_id, "four"), if_match=_etag(back))
        transaction = _transaction_is_atomic(ehr, probe_id)
    finally:
        ehr.delete(reference)
        ehr.delete(f"Patient/{probe_id}b")
    return replace(
        seen,
        own_ids=_status(created) in OK and _json(back).get("id") == probe_id,
        create_guard=_status(created) in OK and _status(again) in REFUSED,
        version_guard=_status(updated) in OK and _status(stale) in REFUSED,
        transaction=transaction,
        decimals=isinstance(back, Response) and b"72.50" in back.body,
    )


def _transaction_is_atomic(ehr: Ehr, probe_id: str) -> bool:
    """One good and one stale entry must be refused together; the good one alone must pass."""
    fresh = f"{probe_id}b"
    refused = ehr.bundle(_bundle((fresh, GUARD_NEW), (probe_id, GUARD_NEW)))
    absent = ehr.read(f"Patient/{fresh}")
    passed = ehr.bundle(_bundle((fresh, GUARD_NEW)))
    return (
        _status(refused) in REFUSED
        and _status(absent) in (404, 410)
        and _status(passed) == HTTPStatus.OK
    )


def _bundle(*entries: tuple[str, str]) -> bytes:
    made = [
        {
            "resource": codec.decode(_patient(identity, "bundle")),
            "request": {"method": "PUT", "url": f"Patient/{identity}", "ifMatch": guard},
        }
        for identity, guard in entries
    ]
    return codec.encode({"resourceType": "Bundle", "type": "transaction", "entry": made})


def _patient(identity: str, word: str) -> bytes:
    """Build the probe's own resource: nobody, and it says so; an extension has the decimal."""
    name = {"family": "Synthetic-Probe", "given": [word]}
    extension = {"url": "https://fhirbridge.invalid/probe", "valueDecimal": PROBE_DECIMAL}
    body = {
        "resourceType": "Patient",
        "id": identity,
        "extension": [extension],
        "active": False,
        "name": [name],
    }
    return codec.encode(body)


PROBE_DECIMAL = codec.decode(b"72.50")


def _json(outcome: Outcome) -> dict[str, Any]:
    if not isinstance(outcome, Response):
        return {}
    try:
        value = codec.decode(outcome.body)
    except codec.NotJsonError:
        return {}
    return value if isinstance(value, dict) else {}


def _status(outcome: Outcome) -> int:
    return outcome.status if isinstance(outcome, Response) else 0


def _etag(outcome: Outcome) -> str:
    """Return the version to guard by: the ETag, or meta.versionId where the server sends none.

    Where neither can stand in a header there is no version: the guard then guards nothing.
    """
    meta = _json(outcome).get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    tag = outcome.headers.get("etag", "") if isinstance(outcome, Response) else ""
    if ETAG.fullmatch(tag):
        return tag
    tag = f'W/"{version}"'
    return tag if ETAG.fullmatch(tag) else NO_VERSION
