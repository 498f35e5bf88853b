"""What is asked of an EHR about its own: worked out of our resources and their records."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge.destinations import theirs
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import codec
from fhirbridge.fhir.pointing import Named
from fhirbridge.matching import kept as patients
from fhirbridge.matching import person
from fhirbridge.matching.theirs.crosswalk import Crosswalk, Kind
from fhirbridge.matching.theirs.decide import Wanted
from fhirbridge.outbox import contents as versions
from fhirbridge.outbox.contents import SHARED_LANE, Contents, Identity
from fhirbridge.records import history
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import ledger

NUMBERED: Mapping[str, Kind] = {
    "Encounter": Kind.VISIT,
    "MedicationRequest": Kind.ORDER,
}
NAMELESS = "name not recorded"


class Opening:
    """Opens what is sealed, for what is worked out of it."""

    def __init__(self, vault: Vault, contents: Contents) -> None:
        self._vault = vault
        self._contents = contents
        self.crosswalk = Crosswalk(vault)

    def digest(self, *parts: Any) -> str:
        """Return a keyed name for what was compared."""
        return self._vault.digest(codec.canonical(list(parts)).decode())

    def document(self, tx: Connection, record_id: str) -> dict[str, Any]:
        """Open a record."""
        document: dict[str, Any] = history.content(tx, self._vault, record_id)["document"]
        return document

    def body(self, tx: Connection, resource_row: str) -> dict[str, Any]:
        """Open a resource of ours."""
        return self._contents.body(tx, resource_row)

    def is_row(self, named: str, row: str) -> bool:
        """Say whether a stored name of a source row is that of `row`, such as `staff/st-1`."""
        return named in self._contents.row_names([row])


class Making:
    """Works out what would be asked of an EHR about things that one delivery points to."""

    def __init__(
        self, opening: Opening, tx: Connection, destination: Destination, source: Row[Any]
    ) -> None:
        self._opening = opening
        self._tx = tx
        self._destination = destination
        self._source = source
        self._documents: dict[str, dict[str, Any]] = {}
        self._chart = _patients(tx, destination, source)

    def of_number(self, named: Named, subject: str, lane: str) -> Wanted:
        """Return what is named by the EHR's own number."""
        kind, number = named
        made = Wanted(
            type=kind,
            subject=subject,
            lane=lane,
            record_id=self._source.id,
            number=number,
            patients=self._chart,
        )
        return self._by_number(made, NUMBERED.get(kind), number)

    def of_ours(self, identity: Identity, lane: str) -> Wanted:
        """Return what a resource of ours stands for, by the record that counts."""
        is_shared = identity.type not in theirs.OF_A_PATIENT
        of_lane = SHARED_LANE if is_shared else lane
        overlay = self._destination.overlay
        row = versions.winner(self._tx, identity, overlay, of_lane)
        if row is None or row.purpose == versions.WITHDRAWN:
            row = versions.last_pinned(self._tx, self._destination.name, identity, of_lane)
        made = Wanted(
            type=identity.type,
            subject=identity.id,
            lane=of_lane,
            record_id=self._source.id if row is None else row.record_id,
            patients=frozenset() if is_shared else self._chart,
            words=NAMELESS if is_shared else "",
        )
        if row is None:
            return self._compared(made)
        document = self._document(row.record_id)
        if not is_shared:
            return self._of_a_visit(made, document)
        body = self._opening.body(self._tx, row.id)
        made = replace(made, words=_name_of(body) or NAMELESS)
        if identity.type == "Practitioner":
            return self._of_a_person(made, document, body, row.row)
        return self._of_a_place(made, document, body)

    def _of_a_visit(self, made: Wanted, document: Mapping[str, Any]) -> Wanted:
        visit = document.get("visit")
        if made.type != "Encounter" or not isinstance(visit, dict):
            return self._compared(made)  # an order or a booking of ours is none of the EHR's
        made = replace(made, visit=str(visit.get("start", "")))
        return self._by_number(made, Kind.VISIT, str(visit.get("ehr_encounter", "")))

    def _of_a_person(
        self, made: Wanted, document: Mapping[str, Any], body: Mapping[str, Any], row: str
    ) -> Wanted:
        npi = _npi(body)
        staff = [str(one.get("id", "")) for one in document.get("staff", [])]
        own = next((one for one in staff if self._opening.is_row(row, f"staff/{one}")), "")
        made = replace(made, families=person.read(body).families)
        return self._by_words(made, Kind.PRACTITIONER, (npi, own), npi)

    def _of_a_place(
        self, made: Wanted, document: Mapping[str, Any], body: Mapping[str, Any]
    ) -> Wanted:
        clinic, visit = document.get("clinic", {}), document.get("visit", {})
        own, npi = str(clinic.get("id", "")), _npi(body)
        if made.type == "Location" and body.get("name") != clinic.get("location"):
            return self._by_words(made, Kind.DEPARTMENT, (f"{own}/{visit.get('room', '')}",), "")
        return self._by_words(made, Kind.DEPARTMENT, (own,), npi)

    def _by_number(self, made: Wanted, kind: Kind | None, number: str) -> Wanted:
        if kind is None or not number:
            return self._compared(made)
        return self._by_words(made, kind, (number,), number)

    def _by_words(self, made: Wanted, kind: Kind, words: Sequence[str], number: str) -> Wanted:
        """Look them up, and say by which number it is searched."""
        find, name = self._opening.crosswalk.find, self._destination.name
        found = [find(self._tx, name, kind, one, made.type) for one in words]
        system = theirs.system_of(self._destination.theirs, made.type)
        return self._compared(
            replace(
                made,
                named=tuple(sorted({one for one in found if one})),
                numbered=any(words),
                token=(system, number) if system and number else None,
            )
        )

    def _compared(self, made: Wanted) -> Wanted:
        told = self._opening.digest(
            made.type,
            list(made.named),
            made.numbered,
            list(made.token or ()),
            sorted(made.patients),
            made.visit,
            sorted(made.families),
            made.words,
        )
        return replace(made, compared=told)

    def _document(self, record_id: str) -> dict[str, Any]:
        if record_id not in self._documents:
            self._documents[record_id] = self._opening.document(self._tx, record_id)
        return self._documents[record_id]


def _patients(tx: Connection, destination: Destination, source: Row[Any]) -> frozenset[str]:
    """Return the ids there of the patient's chart, and of those whom the EHR made part of it."""
    link = patients.current(tx, destination.name, source.patient_key)
    if link is not None and link.state == patients.State.LINKED:
        before = (one.partition("/")[2] for one in patients.before(tx, link))
        return frozenset((link.ehr_id, *before))
    if patients.are_theirs(tx, destination, source.patient_key):
        return frozenset()
    chosen = select(ledger.c.ehr_id).where(
        ledger.c.destination == destination.name,
        ledger.c.type == "Patient",
        ledger.c.resource_id == source.subject,
    )
    return frozenset(one for one in tx.scalars(chosen) if one)


def _npi(body: Mapping[str, Any]) -> str:
    tokens = person.read(body).identifiers
    return next((value for system, value in sorted(tokens) if system == theirs.NPI), "")


def _name_of(body: Mapping[str, Any]) -> str:
    """Return the name of a person or place, as it stands in place of a reference."""
    name = body.get("name")
    if isinstance(name, str):
        return name
    rows = [one for one in name if isinstance(one, dict)] if isinstance(name, list) else []
    parts = [
        part
        for one in rows[:1]
        for part in (*one.get("prefix", []), *one.get("given", []), one.get("family"))
        if isinstance(part, str)
    ]
    return " ".join(parts)
