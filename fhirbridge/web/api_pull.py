"""Clinic systems hear what changed in EHRs, and ask what an EHR knows of a patient."""

import re
from dataclasses import asdict
from http import HTTPStatus

from flask import Response, request

from fhirbridge.access.tokens import Role
from fhirbridge.errors import BridgeError
from fhirbridge.web import pull_schemas
from fhirbridge.web.api_records import REFUSALS
from fhirbridge.web.api_status import BUSY, FAULT
from fhirbridge.web.exchange import answer, bridge
from fhirbridge.web.guard import caller
from fhirbridge.web.routes import Operation, only

SEQUENCE = re.compile(r"[0-9]{1,15}", re.ASCII)


class NoSequenceError(BridgeError):
    """What is to be asked after is no number."""

    code = "E916"
    http_status = HTTPStatus.BAD_REQUEST


def after() -> Response:
    """Show what happened after an event, the oldest first, at most 200 at a time. No PHI.

    Begin with after=0; then ask after `last`. Nothing is missed, nothing comes twice, the order is
    that in which it was stored. What is told is told for good: events are never changed or removed.
    """
    said = request.args.get("after", "0")
    if not SEQUENCE.fullmatch(said):
        raise NoSequenceError(
            "after must be the sequence of an event", hint="begin with after=0, then ask after last"
        )
    return answer(asdict(bridge().events(int(said))))


def show(patient_id: str) -> Response:
    """Show what every EHR that is asked said of one patient, as it was last read.

    Holds PHI; each reading is noted in the evidence log before it is answered. Nothing is asked of
    an EHR now: as_of says when it was. That nothing is flagged does not say that there is nothing.
    """
    return answer(bridge().patient_ehr(patient_id, actor=caller().actor))


OPERATIONS = (
    Operation(
        room="events",
        method="GET",
        rule="/api/v1/events",
        view=after,
        access=only(Role.INTEGRATOR, Role.OPERATOR, Role.AUDITOR, Role.ADMIN),
        parameters=(
            {
                "in": "query",
                "name": "after",
                "required": False,
                "schema": {"type": "integer", "minimum": 0, "default": 0},
                "description": "sequence of the last event that you have seen to; 0: none",
            },
        ),
        answers={HTTPStatus.OK: pull_schemas.Events},
        refusals={
            HTTPStatus.UNAUTHORIZED: "no valid token",
            HTTPStatus.FORBIDDEN: "the token's role may not use this",
            **FAULT,
            **BUSY,
            HTTPStatus.BAD_REQUEST: "no event was told under that sequence",
        },
    ),
    Operation(
        room="patients",
        method="GET",
        rule="/api/v1/patients/<patient_id>/ehr",
        view=show,
        access=only(Role.INTEGRATOR, Role.AUDITOR, Role.ADMIN),
        parameters=({"in": "path", "name": "patient_id", "description": "`patient` of an event"},),
        answers={HTTPStatus.OK: pull_schemas.PatientEhr},
        refusals={**REFUSALS, HTTPStatus.NOT_FOUND: "no record is of this patient"},
    ),
)
