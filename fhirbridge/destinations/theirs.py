"""What an EHR has itself besides patients, so that none of ours is ever made there."""

from collections.abc import Mapping

from sqlalchemy import Connection, update

from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.registry import URI, Patients, Policy, get
from fhirbridge.fhir import codec
from fhirbridge.store.tables import destination

NPI = "http://hl7.org/fhir/sid/us-npi"
# Each with the system of the numbers by which it is searched where none is named; "" for none.
TYPES: Mapping[str, str] = {
    "Encounter": "",
    "Appointment": "",
    "MedicationRequest": "",
    "Practitioner": NPI,
    "Organization": NPI,
    "Location": "",
}
NOTHING: Mapping[str, str] = {}
OF_A_PATIENT = ("Encounter", "Appointment", "MedicationRequest")
NO_NUMBERS = ("Appointment", "Location")  # no number in what ours points to it with


def system_of(theirs: Mapping[str, str], kind: str) -> str:
    """Return the system of the numbers of a type at an EHR, or "" where it is not searched."""
    return theirs.get(kind, "") or TYPES[kind]


def checked(theirs: Mapping[str, str], patients: Patients) -> dict[str, str]:
    """Refuse what cannot be the EHR's own, or not be searched so. Raises DestinationError."""
    for kind, system in theirs.items():
        if kind not in TYPES:
            raise DestinationError(
                "only some types can be the EHR's own", hint=f"these: {', '.join(TYPES)}"
            )
        if kind in OF_A_PATIENT and patients.policy is Policy.OURS:
            raise DestinationError(
                f"where we make the patients, the EHR has no {kind} of theirs",
                hint="first: fhirbridge destination set NAME --patients match",
            )
        if system and kind in NO_NUMBERS:
            raise DestinationError(
                f"a {kind} is not searched by a number", hint=f"give {kind} without a system"
            )
        if system and not URI.fullmatch(system):
            raise DestinationError(
                f"the system of the numbers of {kind} is a URI",
                hint="such as urn:oid:2.16.840.1.113883.19.5 or https://ehr.example.org/visit",
            )
    return dict(theirs)


def choose(tx: Connection, name: str, theirs: Mapping[str, str]) -> None:
    """Set what else than patients an EHR has itself. Raises DestinationError."""
    said = codec.canonical(checked(theirs, get(tx, name).patients)).decode()
    tx.execute(update(destination).where(destination.c.name == name).values(theirs=said))
