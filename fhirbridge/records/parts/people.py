"""Who: the clinic, the patient, the staff, the signature."""

from fhirbridge.records.fields import Choice, Day, Moment, PartialDate, RowRef, Word, Zone
from fhirbridge.records.parts.shapes import (
    Address,
    Part,
    PersonName,
    Row,
    Rows,
    Strict,
    coded,
    measure,
    rows,
)


class Signed(Strict):
    """Whether the record is signed; EHRs hide or refuse what nobody signed."""

    state = Choice("preliminary", "final", "amended", required=True)
    by = RowRef("staff")
    at = Moment()


class PressureLimits(Strict):
    """The pressure above which the clinic wants a word before a dose."""

    systolic = measure("pressure")
    diastolic = measure("pressure")


class Clinic(Strict):
    """The clinic, and the zone of its local times."""

    id = Word(required=True)
    name = Word(required=True)
    npi = Word()
    rems_site = Word()
    location = Word()
    address = Part(Address)
    phone = Word()
    zone = Zone()
    limits = Part(PressureLimits)


class PatientIdentifier(Row):
    """A number that others know the patient by."""

    system = Word(required=True)
    type = coded("identifier-type")
    value = Word(required=True)
    assigner = Word()
    start = PartialDate()
    end = PartialDate()


class Telecom(Row):
    """A phone number or mail address."""

    system = Choice("phone", "email", "fax", "pager", "url", "sms", "other", required=True)
    use = Choice("home", "work", "temp", "old", "mobile")
    value = Word(required=True)


class PatientAddress(Row, Address):
    """An address of the patient."""

    use = Choice("home", "work", "temp", "old", "billing")


class Patient(Row):
    """The patient as of a moment; the newest wins, whatever visit brings it."""

    as_of = Moment(required=True)
    identifiers = rows(PatientIdentifier)
    name = Part(PersonName, required=True)
    birth_date = PartialDate()
    gender = Choice("female", "male", "other", "unknown", required=True)
    deceased_on = Day()
    telecom = rows(Telecom)
    address = rows(PatientAddress)
    language = Word()
    race = Rows(Part(coded().nested))
    ethnicity = coded()
    rems_id = Word()


class StaffMember(Row):
    """Someone who takes part."""

    name = Part(PersonName, required=True)
    npi = Word()
    credentials = Word()
    role = Choice("ordering", "administering", "monitoring", "consulting", "witness", required=True)
