"""Read what a server says of itself, and whether that is still so. Writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import Response
from fhirbridge.ehr import capability
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec

SANDBOX_SOFTWARE = "fhirbridge sandbox EHR"
FHIR_VERSIONS = ("4.0.1", "4.0.0")
LETS_IN = (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class NotAnEhrError(BridgeError):
    """What answers there is not a FHIR R4 server."""

    code = "E402"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a server was seen to do with resources of type Patient. None: not tried."""

    software: str
    sandbox: bool
    own_ids: bool | None = None  # PUT makes a resource under an id of ours
    create_guard: bool | None = None  # PUT with If-Match W/"0" creates once, never overwrites
    create_none_match: bool | None = None  # PUT with If-None-Match: * does so
    conditional_create: bool | None = (
        None  # POST with If-None-Exist makes no second one, leaves the first
    )
    tag_create: bool | None = None  # and with one that names a tag
    versions: bool | None = None  # a write makes a new version, which a read names
    version_guard: bool | None = None  # a stale If-Match is refused
    update: bool | None = None  # a PUT of what is there is not refused as such
    transaction: bool | None = None  # it is all or nothing, and each entry's guard holds
    batch: bool | None = None  # the guard of each entry holds for that entry
    search: bool | None = None  # by identifier, of what was just written
    decimals: bool | None = None  # 72.50 stays 72.50
    history: bool | None = None
    delete: bool | None = None
    agreed: bool | None = None  # somebody there says what of it was not tried
    claims: dict[str, bool] = field(default_factory=dict)  # of these, what it says of itself
    left_behind: tuple[str, ...] = ()  # of the probe, not seen to be gone
    profiles: tuple[str, ...] = ()  # those that its CapabilityStatement lists, sorted
    capability: str = ""  # digest of what its CapabilityStatement promises


def look(ehr: Ehr) -> Traits:
    """Read the CapabilityStatement; write nothing. Raises NotAnEhrError."""
    outcome = ehr.metadata()
    if not isinstance(outcome, Response):
        raise NotAnEhrError(
            f"no answer from {ehr.base_url}/metadata: {outcome.reason}",
            hint="check the address; a private network must be named with --network",
        )
    statement = body_of(outcome)
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
        claims=capability.claims(statement),
        profiles=capability.profiles(statement),
        capability=codec.content_hash(capability.promised(statement)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What a look at a server found; None where it was not found out. `reason` is our words."""

    answers: bool
    reason: str = ""
    signed_in: bool | None = None
    unchanged: bool | None = None  # it promises what it did when it was probed
    server_time: datetime | None = None  # of its Date header
    why: str = ""  # no answer came, as the transport says it
    status: int = 0  # of the answer to the read

    @property
    def good(self) -> bool:
        """Say whether nothing speaks against sending to it."""
        return self.answers and self.signed_in is True and self.unchanged is not False


def test(ehr: Ehr, known: Mapping[str, Any]) -> Tested:
    """See whether a server answers, lets us in, and is what `known` traits say. Reads only."""
    # Nobody has this id: a server that lets us in says so, others refuse before they look.
    outcome = ehr.read("Patient/fhirbridge-test")
    if not isinstance(outcome, Response):
        reason = f"a read got no answer: {outcome.reason}"
        return Tested(answers=False, reason=reason, why=outcome.reason)
    told = Tested(
        answers=True,
        reason=f"a read answered {outcome.status}" + (f"; {outcome.note}" if outcome.note else ""),
        status=outcome.status,
        signed_in=outcome.status in LETS_IN,
        server_time=date_of(outcome),
    )
    if not told.signed_in:
        return told
    try:
        found = look(ehr)
    except NotAnEhrError as error:
        return replace(told, answers=False, reason=error.message)
    before = known.get("capability", "")
    return replace(told, unchanged=found.capability == before if before else None)


def date_of(outcome: Response) -> datetime | None:
    """Return the EHR's own time; None where its Date header names no moment."""
    try:
        found = parsedate_to_datetime(outcome.headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo else None


def body_of(outcome: Outcome) -> dict[str, Any]:
    if not isinstance(outcome, Response):
        return {}
    try:
        value = codec.decode(outcome.body)
    except codec.NotJsonError:
        return {}
    return value if isinstance(value, dict) else {}
