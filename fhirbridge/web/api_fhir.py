"""Readers pull: FHIR R4 below `/fhir`, read-only. A reader's token says which facade it reads."""

from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import parse_qsl

from flask import Response, request
from werkzeug.http import http_date, parse_date

from fhirbridge.access.tokens import Role
from fhirbridge.facade import capability, desk
from fhirbridge.facade.desk import Asked, Shown
from fhirbridge.facade.errors import FacadeError, NotAcceptableError
from fhirbridge.facade.query import MOST_PAIRS, Pairs
from fhirbridge.fhir import codec
from fhirbridge.web import exchange
from fhirbridge.web.exchange import PATH, bridge
from fhirbridge.web.fhir_outcomes import MEDIA
from fhirbridge.web.fhir_schemas import FhirBundle, FhirOutcome, FhirResource
from fhirbridge.web.guard import caller
from fhirbridge.web.routes import PUBLIC, Operation, only

FORM = "application/x-www-form-urlencoded"
FORMATS = ("json", "application/json", codec.FHIR_JSON, "application/fhir json")  # an unescaped +
TAKEN = [codec.FHIR_JSON, "application/json", "text/json"]


def metadata() -> Response:
    """Say what can be read and how: a CapabilityStatement, the same for all."""
    _check_format(asked())
    return _written(Shown(body=capability.statement()))


def read(kind: str, own: str) -> Response:
    """Show one resource as it is now. 304 where the reader has that version."""
    _check_format(asked())
    return _unless_known(bridge().facade_resource(caller(), kind, own))


def vread(kind: str, own: str, version: str) -> Response:
    """Show one version of a resource."""
    _check_format(asked())
    return _unless_known(bridge().facade_resource(caller(), kind, own, version))


def search(kind: str) -> Response:
    """Search one type; a page at a time.

    What is looked for stands in the address: where it says something of a patient, search by POST.
    """
    return _page(desk.SEARCH, kind, "", asked())


def search_by_post(kind: str) -> Response:
    """Search one type by a form, so that no address says what was looked for."""
    form = exchange.body(FORM)
    return _page(desk.SEARCH, kind, "", [*asked(), *_pairs(form)])


def history(kind: str, own: str) -> Response:
    """Show the versions of one resource, the newest first."""
    return _page(desk.HISTORY, kind, own, asked())


def history_of_type(kind: str) -> Response:
    """Show the versions of all resources of a type, the newest first."""
    return _page(desk.HISTORY, kind, "", asked())


def everything(own: str) -> Response:
    """Show a patient's whole chart, with what it names of staff and places."""
    return _page(desk.EVERYTHING, "Patient", own, asked())


def _page(way: str, kind: str, own: str, pairs: Pairs) -> Response:
    _check_format(pairs)
    strict = "handling=strict" in preferences()
    page = Asked(way=way, kind=kind, own=own, pairs=pairs, strict=strict)
    return _written(bridge().facade_page(caller(), page))


def preferences() -> list[str]:
    """Return what the reader would rather have, such as `handling=strict`."""
    preferred = request.headers.get("Prefer", "").replace(" ", "").lower()
    return preferred.replace(";", ",").split(",")


def asked() -> Pairs:
    """Return the parameters in the address. Raises FacadeError."""
    return _pairs(request.query_string)


def _pairs(raw: bytes) -> Pairs:
    try:
        # One more than may be, so that too many are told in our words.
        return parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PAIRS + 1,
        )
    except (UnicodeError, ValueError):
        raise FacadeError(
            "the parameters cannot be read",
            hint=f"write them as name=value, percent-encoded UTF-8, at most {MOST_PAIRS} of them",
        ) from None


def _check_format(pairs: Pairs) -> None:
    """Refuse who takes no JSON. `_format` counts more than the header, as R4 has it."""
    named = [value for name, value in pairs if name == "_format"]
    if named:
        taken = named[-1].partition(";")[0].strip() in FORMATS
    else:
        taken = not request.accept_mimetypes or bool(request.accept_mimetypes.best_match(TAKEN))
    if not taken:
        raise NotAcceptableError("answers are JSON", hint=f"send Accept: {codec.FHIR_JSON}")


def _unless_known(shown: Shown) -> Response:
    """Answer with the resource, or say that the reader has it already."""
    answer = _written(shown)
    if _is_known(shown):
        answer.status_code = HTTPStatus.NOT_MODIFIED
        answer.data = b""
        del answer.headers["Content-Type"]
    return answer


def _is_known(shown: Shown) -> bool:
    known = request.headers.get("If-None-Match")
    if known is not None:
        tags = [one.strip().removeprefix("W/") for one in known.split(",")]
        return "*" in tags or shown.etag.removeprefix("W/") in tags
    since = parse_date(request.headers.get("If-Modified-Since"))
    return since is not None and shown.at is not None and _second(shown.at) <= since


def _written(shown: Shown) -> Response:
    answer = Response(codec.encode(shown.body), HTTPStatus.OK, content_type=MEDIA)
    if shown.etag:
        answer.headers["ETag"] = shown.etag
    if shown.at is not None:
        answer.headers["Last-Modified"] = http_date(_second(shown.at))
    return answer


def _second(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


REFUSALS = {
    HTTPStatus.UNAUTHORIZED: "no valid token",
    HTTPStatus.FORBIDDEN: "the token is not a reader's",
    HTTPStatus.BAD_REQUEST: "a parameter is not known, has no such value, or opens too much",
    HTTPStatus.NOT_FOUND: "there is nothing there for this reader",
    HTTPStatus.NOT_ACCEPTABLE: "only JSON is spoken",
    HTTPStatus.INTERNAL_SERVER_ERROR: "a fault inside",
    HTTPStatus.SERVICE_UNAVAILABLE: "the facade is paused, or the database does not answer",
}
PAGED = {**REFUSALS, HTTPStatus.GONE: "the link is too old: search anew"}
POSTED = {
    **PAGED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the form is larger than this service takes",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "it is no form",
}
KNOWN = {HTTPStatus.NOT_MODIFIED: "the reader has this version"}
KIND = {**PATH, "name": "kind", "description": "a resource type, such as Observation"}
OWN = {**PATH, "name": "own", "description": "the id of a resource"}
VERSION = {**PATH, "name": "version", "description": "its meta.versionId"}
ONE = "/fhir/<kind>/<own>"
FORM_BODY = {
    "required": True,
    "content": {FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}},
}


def _operation(rule: str, view: object, **more: object) -> Operation:
    told = {
        "room": "fhir",
        "method": "GET",
        "access": only(Role.READER),
        "answers": {HTTPStatus.OK: FhirBundle},
        "refusals": PAGED,
        "refusal": (FhirOutcome, codec.FHIR_JSON),
        "media": codec.FHIR_JSON,
    }
    return Operation(rule=rule, view=view, **{**told, **more})  # type: ignore[arg-type]


RESOURCE = {HTTPStatus.OK: FhirResource}
OPERATIONS = (
    _operation(
        "/fhir/metadata",
        metadata,
        access=PUBLIC,
        answers=RESOURCE,
        refusals={HTTPStatus.NOT_ACCEPTABLE: REFUSALS[HTTPStatus.NOT_ACCEPTABLE]},
    ),
    _operation("/fhir/<kind>", search, parameters=(KIND,)),
    _operation(
        "/fhir/<kind>/_search",
        search_by_post,
        method="POST",
        parameters=(KIND,),
        refusals=POSTED,
        body=FORM_BODY,
    ),
    _operation("/fhir/<kind>/_history", history_of_type, parameters=(KIND,)),
    _operation(ONE, read, parameters=(KIND, OWN), answers=RESOURCE, refusals=REFUSALS, empty=KNOWN),
    _operation(f"{ONE}/_history", history, parameters=(KIND, OWN)),
    _operation(
        f"{ONE}/_history/<version>",
        vread,
        parameters=(KIND, OWN, VERSION),
        answers=RESOURCE,
        refusals=REFUSALS,
        empty=KNOWN,
    ),
    _operation("/fhir/Patient/<own>/$everything", everything, parameters=(OWN,)),
)
