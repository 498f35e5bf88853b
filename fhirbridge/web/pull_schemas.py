"""The shapes of events, and of what EHRs know of a patient."""

from marshmallow import fields

from fhirbridge.events.log import Kind, Subkind
from fhirbridge.pull.contraindications import Reading
from fhirbridge.web.schemas import Closed, _count, _text, _texts

SUBKINDS = ("", *Subkind)


class Happened(Closed):
    """Thin: who may see more asks for it by `patient` or `detail.drift`."""

    sequence = _count("rises by one; ask after the last one that you have seen to")
    id = _text("opaque; the same event always has the same")
    at = _text()
    kind = _text("stable, for programs", *Kind)
    subkind = _text("what changed in an EHR; empty for other kinds; new ones may come", *SUBKINDS)
    destination = _text("of which EHR, or empty")
    patient = _text(
        "our opaque name of the patient, or empty; see /api/v1/patients/{patient_id}/ehr"
    )
    detail = fields.Dict(
        required=True,
        metadata={
            "description": "ehr.changed: type; then version, added, changed, removed, of what is "
            "the EHR's own; or drift, found, elements, of what we sent and somebody there changed; "
            "or link. delivery.*: delivery, record, state, reason. record.warning: record, "
            "version, and how many warnings and held elements. reconcile.repaired: deliveries, and "
            "how many resources. export.ready: export, and how many resources"
        },
    )
    patient_sequence = _count("one more with each event of this patient; 0: of nobody")


class Events(Closed):
    events = fields.List(
        fields.Nested(Happened), required=True, metadata={"description": "the oldest first"}
    )
    last = _count("ask after this one next")
    more = fields.Boolean(required=True, metadata={"description": "there are more already"})


class OfType(Closed):
    type = _text("FHIR type")
    ended = _text("how the last asking ended: ok or why not; empty: it was not asked")
    words = _text("what may be said: not asked, refused, the EHR has none, or how many it has")
    as_of = _text("when it was last read whole, or empty: it never was")
    asked_at = _text()
    version = _count("one more with each change; 0: never read whole")
    theirs = _count("resources of the EHR's own")
    ours = _count("resources that we sent: not repeated here")
    left_out = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "what of the answer could not be used, and why"},
    )


class Flag(Closed):
    """One code of the table of contraindications that stands in the EHR."""

    resource = _text("Type/id in the EHR")
    contraindication = _text("key of the clinic's list, as in a consultation")
    system = _text()
    code = _text()
    display = _text("as the table has it")
    severity = _text("as the table grades it; not graded: no clinician has yet")
    verified = _text("in how many publications the code was seen: once or twice")
    source = _text("which ones")
    note = _text()
    status = _text("clinical status: active, not active, not said")
    verification = _text("verificationStatus, or not said: a refuted one is no finding")


class TheirResource(Closed):
    resource = _text("Type/id in the EHR")
    reading = _text("what its codes allow to be said", *Reading)
    body = fields.Dict(
        required=True,
        metadata={"description": "as the EHR has it, without narrative; not trusted; holds PHI"},
    )


class AtDestination(Closed):
    destination = _text()
    why = _text("why it is not asked about this patient, or empty")
    words = _text("the same for people")
    types = fields.List(fields.Nested(OfType), required=True)
    flags = fields.List(fields.Nested(Flag), required=True)
    never_found = _texts("contraindications for which the table has no code: read for them")
    note = _text("what flags do not say")
    resources = fields.List(fields.Nested(TheirResource), required=True)


class PatientEhr(Closed):
    patient = _text("our opaque name")
    clinic_patient = _text("the clinic's own id of the patient; PHI")
    sessions = _texts("ids of the receipts of this patient's records")
    destinations = fields.List(fields.Nested(AtDestination), required=True)
