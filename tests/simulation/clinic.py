"""What a clinic says, and by that alone what each EHR must show in the end.

The expectation is worked out here a second time, from the documents; nothing of it asks the
program how it decides.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from random import Random
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import Identity
from fhirbridge.records import schema
from fhirbridge.translate import engine, identity
from fhirbridge.translate.values import Scope, Site, TranslatedResource
from tests.factories import a_pulse, a_short_visit
from tests.mapping_sets import compiled, few_mappings

PATIENTS = ("pt-1", "pt-2")
VISITS = (1, 2)
MOST_VERSIONS = 4
SITE = Site(host="clinic.invalid", tenant="main", key=bytes(range(1, 33)))
CANARY = "Kanarienvogel"
LANGUAGES = ("en-US", "es", "fr", "de", "pt", "it", "nl", "pl", "sv")


class Kind(StrEnum):
    """What a version says."""

    PULSE = "a pulse of its own"
    MORE = "a second pulse"
    SAME = "nothing new"
    LANGUAGE = "another language"
    ERROR = "entered in error"
    WITHDRAWN = "consent withdrawn"
    CONSENT = "consent given"


# In half of all cases the pulse, else any of them.
KINDS = (*Kind, *[Kind.PULSE] * len(Kind))
SHARING = (Kind.WITHDRAWN, Kind.CONSENT)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Message:
    """One version of one visit, as it is sent; the same object for the same content."""

    patient: str
    visit: int
    key: str  # of the session
    version: int
    kind: Kind
    raw: bytes
    made: tuple[TranslatedResource, ...]
    recorded_at: str

    @property
    def session(self) -> tuple[str, int]:
        return self.patient, self.visit

    def __str__(self) -> str:
        return f"{self.patient} visit {self.visit} v{self.version}, {self.kind}"


@cache
def message(patient: str, visit: int, version: int, kind: Kind) -> Message:
    document = _document(patient, visit, version, kind)
    raw = codec.encode(document)
    made: tuple[TranslatedResource, ...] = ()
    if kind is not Kind.ERROR:
        translation = engine.translate(
            schema.load(raw).document, mapping_set=compiled(few_mappings(), ""), site=SITE
        )
        assert translation.problems == ()
        made = translation.resources
    return Message(
        patient=patient,
        visit=visit,
        key=identity.opaque(SITE, "session", document["session_id"]),
        version=version,
        kind=kind,
        raw=raw,
        made=made,
        recorded_at=document["recorded_at"],
    )


def _document(patient: str, visit: int, version: int, kind: Kind) -> dict[str, Any]:
    record = a_short_visit(visit, patient)
    said = record["recorded_at"].replace(":45:", f":{45 + version}:")
    record |= {"version": version, "recorded_at": said}
    record["patient"]["name"]["family"] = CANARY
    row = record["vitals"][0]
    day = row["time"][:10]
    if kind is not Kind.SAME:
        row["heart_rate"]["value"] = 60 + version
    if kind is Kind.MORE:
        record["vitals"].append(a_pulse("v-2", 90 + version, day=day, hour=10))
    elif kind is Kind.LANGUAGE:
        record["patient"]["language"] = LANGUAGES[visit * 4 + version - 4]
    elif kind is Kind.ERROR:
        record["status"] = "entered-in-error"
    record["consents"] = [_sharing(kind, said)]
    return record


def _sharing(kind: Kind, said: str) -> dict[str, Any]:
    """Say what stands about sharing; only two kinds say something new of it."""
    row = {"id": "cs-share", "kind": "sharing", "signed_at": "2026-02-20T10:32:00-05:00"}
    if kind is Kind.WITHDRAWN:
        return {**row, "status": "withdrawn", "withdrawn_at": said}
    if kind is Kind.CONSENT:
        return {**row, "status": "active", "signed_at": said}
    return {**row, "status": "active"}


def patient_key(patient: str) -> str:
    """The patient's lane."""
    return identity.opaque(SITE, "patient", patient)


def patient_id(patient: str) -> str:
    """The id of the Patient that this patient is in an EHR."""
    made = message(patient, VISITS[0], 1, Kind.PULSE).made
    return next(one.id for one in made if one.type == "Patient")


class Clinic:
    """Sends each version until it is acknowledged."""

    def __init__(self, chance: Random, *, patients: int) -> None:
        self._chance = chance
        self._patients = PATIENTS[:patients]
        self._versions: dict[tuple[str, int], int] = {}
        self.mailbox: list[Message] = []
        self.said: list[Message] = []
        self._by_key: dict[tuple[str, int], Message] = {}
        self.acked: dict[Message, str] = {}  # to the id that the receipt named

    def speak(self) -> Message | None:
        """Write the next version of some visit."""
        session = (self._chance.choice(self._patients), self._chance.choice((1, 1, 2)))
        version = self._versions.get(session, 0) + 1
        if version > MOST_VERSIONS:
            return None
        self._versions[session] = version
        new = message(*session, version, self._chance.choice(KINDS))
        self.mailbox.append(new)
        self.said.append(new)
        self._by_key[new.key, new.version] = new
        return new

    def acknowledged(self, one: Message, receipt: str) -> None:
        self.acked[one] = receipt
        if one in self.mailbox:
            self.mailbox.remove(one)

    # --- what must be in the end --------------------------------------------------------------

    def current(self) -> list[Message]:
        """The newest version of each visit."""
        newest: dict[tuple[str, int], Message] = {}
        for one in self.said:
            if one.session not in newest or newest[one.session].version < one.version:
                newest[one.session] = one
        return list(newest.values())

    def expected(self) -> dict[Identity, TranslatedResource | None]:
        """What counts now for each resource; None for what left its record."""
        found: dict[Identity, TranslatedResource | None] = {}
        for one in self.said:
            for made in one.made:
                # What visits share stays as it was last said; nobody withdraws it.
                if made.scope is Scope.VISIT:
                    found[Identity(made.type, made.id)] = None
        for _, made in sorted(self._contributions(), key=lambda pair: pair[0]):
            found[Identity(made.type, made.id)] = made
        return found

    def _contributions(self) -> Iterator[tuple[tuple[str, str, int], TranslatedResource]]:
        for one in self.current():
            for made in one.made:
                yield (made.as_of, one.recorded_at, one.version), made

    def may_share(self, patient: str, stored: Collection[Message]) -> bool:
        """Say whether the newest word on sharing, of what is stored, allows it."""
        words = [one for one in stored if one.patient == patient and one.kind in SHARING]
        newest = max(words, key=lambda one: one.recorded_at, default=None)
        return newest is None or newest.kind is Kind.CONSENT

    def messages(self, rows: Iterable[tuple[str, int]]) -> list[Message]:
        """Name versions by (session key, version), as the database does."""
        return [self._by_key[row] for row in rows if row in self._by_key]
