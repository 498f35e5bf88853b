"""Bulk Data Access 2.0 below `/fhir`: what a facade shows, as NDJSON."""

import zlib
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Response, request
from werkzeug.http import http_date

from fhirbridge.access.tokens import Role
from fhirbridge.exports import bulk
from fhirbridge.exports.bulk import Wanted
from fhirbridge.facade.errors import FacadeError
from fhirbridge.fhir import codec
from fhirbridge.web import exchange
from fhirbridge.web.api_fhir import REFUSALS, asked, preferences
from fhirbridge.web.exchange import PATH, answer, bridge
from fhirbridge.web.fhir_schemas import FhirManifest, FhirOutcome, FhirResource
from fhirbridge.web.guard import caller
from fhirbridge.web.routes import Operation, only

LINES = "application/fhir+ndjson"
MEDIA = (codec.FHIR_JSON, exchange.JSON)
GZIP = 31  # of zlib: with gzip's header, in which no time is written


def export() -> Response:
    """Begin an export of all that the facade shows.

    `Prefer: respond-async`; `_type`, `_since`, `_typeFilter`, `_elements`, `_outputFormat`. 202,
    and where it is asked for.
    """
    return _begun(bulk.SYSTEM, "$export")


def export_patients() -> Response:
    """Begin an export of what stands in patients' charts. As above."""
    return _begun(bulk.PATIENT, "Patient/$export")


def export_by_post() -> Response:
    """Begin an export of all that the facade shows; what is asked stands in a Parameters."""
    return _posted(bulk.SYSTEM, "$export")


def export_patients_by_post() -> Response:
    """Begin an export of what stands in patients' charts, of all or of each `patient` named.

    What is asked stands in a Parameters, so that no address names a patient.
    """
    return _posted(bulk.PATIENT, "Patient/$export")


def export_status(export_id: str) -> Response:
    """Say which files an export has. They can be read for a day."""
    said, until = bridge().bulk_manifest(caller(), export_id)
    return answer(said, Expires=http_date(datetime.fromisoformat(until)))


def export_file(export_id: str, name: str) -> Response:
    """Read one file: a resource a line. Holds PHI; noted before it is read.

    Whoever was cut off goes on by `Range` and `If-Range`. Written as gzip to who takes that.
    """
    file = bridge().bulk_file(caller(), export_id, name)
    pressed = request.accept_encodings.best_match(["identity", "gzip"]) == "gzip"

    def read() -> Iterator[bytes]:
        return _gzip(file.read()) if pressed else file.read()

    response = Response(read(), content_type=LINES)
    response.vary.add("Accept-Encoding")
    response.accept_ranges = "bytes"
    response.set_etag(f"{file.tag}-{zlib.ZLIB_RUNTIME_VERSION}-gzip" if pressed else file.tag)
    if pressed:
        response.content_encoding = "gzip"
    # How long it is can be known only by reading all of it, which who asks for all is spared.
    asked = request.range
    part = asked is not None and asked.units == "bytes" and len(asked.ranges) == 1
    length = sum(len(one) for one in read()) if part else None
    response.make_conditional(request, accept_ranges=True, complete_length=length)
    return response


def _gzip(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Press; the same lines give the same bytes, since no time stands in them."""
    press = zlib.compressobj(level=6, wbits=GZIP)
    for line in lines:
        if made := press.compress(line):
            yield made
    yield press.flush()


def end_export(export_id: str) -> Response:
    """End an export: its files are there no more."""
    bridge().end_bulk(caller(), export_id)
    return Response(status=HTTPStatus.ACCEPTED)


def _begun(level: str, path: str) -> Response:
    _check_is_async()
    wanted = bulk.read(level, asked(), lenient=_is_lenient())
    return _accepted(wanted, path, request.query_string.decode("ascii"))


def _posted(level: str, path: str) -> Response:
    _check_is_async()
    pairs = bulk.parameters(codec.decode(exchange.body(*MEDIA)))
    wanted = bulk.read(level, [*asked(), *pairs], lenient=_is_lenient(), posted=True)
    return _accepted(wanted, path, "")


def _check_is_async() -> None:
    if "respond-async" not in preferences():
        raise FacadeError("an export is not answered at once", hint="send Prefer: respond-async")


def _is_lenient() -> bool:
    return "handling=lenient" in preferences()


def _accepted(wanted: Wanted, path: str, query: str) -> Response:
    where = bridge().begin_bulk(caller(), wanted, path, query)
    return Response(status=HTTPStatus.ACCEPTED, headers={"Content-Location": where})


BEGINNING: dict[HTTPStatus, str] = {
    status: text
    for status, text in REFUSALS.items()
    if status not in (HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE)
}
GONE: dict[HTTPStatus, str] = {
    HTTPStatus.NOT_FOUND: "there is no such export for this reader, or not any more"
}
BEGUN = {HTTPStatus.ACCEPTED: "it is begun: Content-Location says where it is asked for"}
KEPT: dict[HTTPStatus, str] = BEGINNING | GONE
KEPT.pop(HTTPStatus.BAD_REQUEST)
EXPORT = {**PATH, "name": "export_id", "description": "the id of an export"}
NAME = {**PATH, "name": "name", "description": "of a file, as the manifest has it"}


def _operation(rule: str, view: object, **more: object) -> Operation:
    told = {
        "room": "fhir",
        "method": "GET",
        "access": only(Role.READER),
        "answers": {},
        "refusals": KEPT,
        "refusal": (FhirOutcome, codec.FHIR_JSON),
    }
    return Operation(rule=rule, view=view, **{**told, **more})  # type: ignore[arg-type]


POSTED: dict[str, Any] = {
    "method": "POST",
    "empty": BEGUN,
    "body": {
        "required": True,
        "content": {codec.FHIR_JSON: {"schema": {"type": "object"}}},
    },
    "refusals": {
        **BEGINNING,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is larger than this service takes",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "it is no JSON",
    },
}
STATUS = "/fhir/$export-status/<export_id>"
OPERATIONS = (
    _operation("/fhir/$export", export, empty=BEGUN, refusals=BEGINNING),
    _operation("/fhir/Patient/$export", export_patients, empty=BEGUN, refusals=BEGINNING),
    _operation("/fhir/$export", export_by_post, **POSTED),
    _operation("/fhir/Patient/$export", export_patients_by_post, **POSTED),
    _operation(STATUS, export_status, parameters=(EXPORT,), answers={HTTPStatus.OK: FhirManifest}),
    _operation(
        STATUS,
        end_export,
        method="DELETE",
        parameters=(EXPORT,),
        empty={HTTPStatus.ACCEPTED: "it is ended"},
    ),
    _operation(
        "/fhir/$export-file/<export_id>/<name>",
        export_file,
        parameters=(EXPORT, NAME),
        answers={HTTPStatus.OK: FhirResource},
        empty={
            HTTPStatus.NOT_MODIFIED: "the reader has these bytes",
            HTTPStatus.PARTIAL_CONTENT: "the part of it that Range names",
        },
        refusals={**KEPT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "it has no such part"},
        media=LINES,
    ),
)
