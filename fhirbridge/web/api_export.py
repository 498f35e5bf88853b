"""Bulk Data Access 2.0 below `/fhir`: what a facade shows, as NDJSON."""

from datetime import datetime
from http import HTTPStatus

from flask import Response, request
from werkzeug.http import http_date

from fhirbridge.access.tokens import Role
from fhirbridge.exports import bulk
from fhirbridge.facade.errors import FacadeError
from fhirbridge.fhir import codec
from fhirbridge.web.api_fhir import REFUSALS, asked, preferences
from fhirbridge.web.exchange import PATH, answer, bridge
from fhirbridge.web.fhir_schemas import FhirManifest, FhirOutcome, FhirResource
from fhirbridge.web.guard import caller
from fhirbridge.web.routes import Operation, only

LINES = "application/fhir+ndjson"


def export() -> Response:
    """Begin an export of all that the facade shows.

    `Prefer: respond-async`; `_type`, `_since`, `_outputFormat`. 202, and where it is asked for.
    """
    return _begun(bulk.SYSTEM, "$export")


def export_patients() -> Response:
    """Begin an export of what stands in patients' charts. As above."""
    return _begun(bulk.PATIENT, "Patient/$export")


def export_status(export_id: str) -> Response:
    """Say which files an export has. They can be read for a day."""
    said, until = bridge().bulk_manifest(caller(), export_id)
    return answer(said, Expires=http_date(datetime.fromisoformat(until)))


def export_file(export_id: str, name: str) -> Response:
    """Read one file: a resource a line. Holds PHI; noted before it is read."""
    return Response(bridge().bulk_file(caller(), export_id, name), content_type=LINES)


def end_export(export_id: str) -> Response:
    """End an export: its files are there no more."""
    bridge().end_bulk(caller(), export_id)
    return Response(status=HTTPStatus.ACCEPTED)


def _begun(level: str, path: str) -> Response:
    wishes = preferences()
    if "respond-async" not in wishes:
        raise FacadeError("an export is not answered at once", hint="send Prefer: respond-async")
    pairs = asked()
    wanted = bulk.read(level, pairs, lenient="handling=lenient" in wishes)
    named = request.query_string.decode("ascii")
    where = bridge().begin_bulk(caller(), wanted, f"{path}?{named}" if named else path)
    return Response(status=HTTPStatus.ACCEPTED, headers={"Content-Location": where})


GONE = {HTTPStatus.NOT_FOUND: "there is no such export for this reader, or not any more"}
BEGUN = {HTTPStatus.ACCEPTED: "it is begun: Content-Location says where it is asked for"}
EXPORT = {**PATH, "name": "export_id", "description": "the id of an export"}
NAME = {**PATH, "name": "name", "description": "of a file, as the manifest has it"}


def _operation(rule: str, view: object, **more: object) -> Operation:
    told = {
        "room": "fhir",
        "method": "GET",
        "access": only(Role.READER),
        "answers": {},
        "refusals": {**REFUSALS, **GONE},
        "refusal": (FhirOutcome, codec.FHIR_JSON),
    }
    return Operation(rule=rule, view=view, **{**told, **more})  # type: ignore[arg-type]


STATUS = "/fhir/$export-status/<export_id>"
OPERATIONS = (
    _operation("/fhir/$export", export, empty=BEGUN),
    _operation("/fhir/Patient/$export", export_patients, empty=BEGUN),
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
        media=LINES,
    ),
)
