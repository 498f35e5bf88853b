"""What an export is asked for, and as what it is written. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fhirbridge.errors import BridgeError
from fhirbridge.exports.scrub import Identifiers
from fhirbridge.fhir import codec
from fhirbridge.store import moment

TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")


class ExportError(BridgeError):
    """An export cannot be made as asked; nothing of it is there."""

    code = "E981"


class Form(StrEnum):
    """As what else the resources are written, besides NDJSON."""

    TRANSACTION = "transaction"  # a Bundle for each patient, to POST into an empty server
    COLLECTION = "collection"  # the same as a mere collection
    DOCUMENT = "document"  # a Bundle for each session, with a Composition
    CSV = "csv"  # a row for each element
    NOTES = "notes"  # the readable notes as files of their own: HTML, and PDF where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What of a destination's holdings is meant; what is left out narrows nothing.

    `patient` and `sessions` are opaque names. `since` is a stored moment: what came to be there
    from then on. `begin` and `end` are stored moments between which it is of clinically, the end
    not included.
    """

    destination: str
    patient: str = ""
    sessions: frozenset[str] = frozenset()
    clinic: str = ""  # the clinic's id, as its records have it
    types: frozenset[str] = frozenset()
    since: str = ""
    begin: str = ""
    end: str = ""
    forms: frozenset[Form] = frozenset()
    identifiers: Identifiers | None = None  # taken out; None: all stays as it is

    def __post_init__(self) -> None:
        """Refuse what can choose nothing. Raises ExportError."""
        for name in sorted(self.types):
            if not TYPE.fullmatch(name):
                raise ExportError("a type is no FHIR type", hint="write it as FHIR does: Encounter")
        if self.begin and self.end and self.begin >= self.end:
            raise ExportError("the range ends before it begins", hint="the end is not included")
        if self.identifiers is None:
            return
        if self.narrow or self.since:
            raise ExportError(
                "without identifiers an export is of all charts: a choice would say whose they are",
                hint="choose by type alone",
            )
        if self.forms - {Form.CSV}:
            raise ExportError(
                "without identifiers there are NDJSON and CSV: notes and Bundles name people, "
                "servers and times",
                hint="leave --as out, or --as csv",
            )

    @property
    def whole(self) -> bool:
        """Say whether all that the destination holds is meant."""
        return not (self.narrow or self.types or self.since)

    @property
    def narrow(self) -> bool:
        """Say whether only some charts, or parts of charts, are meant."""
        return bool(self.patient or self.sessions or self.clinic or self.begin or self.end)

    @property
    def follows(self) -> bool:
        """Say whether what the chosen ones point to comes with them."""
        return not (self.types or self.since)

    def said(self) -> dict[str, Any]:
        """Return it as the manifest and the evidence have it: opaque names, codes and times."""
        found: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value:
                found[name] = sorted(value) if isinstance(value, frozenset) else value
        return found

    @property
    def digest(self) -> str:
        """Return what is the same for the same question."""
        return codec.content_hash(self.said())


def moment_text(at: datetime) -> str:
    """Return an aware time as a question has it."""
    return moment.to_text(at)
