"""Which reports there are, and what each is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fhirbridge.audit.reasons import Reasons
from fhirbridge.reports import (
    access_review,
    accounting,
    adverse_events,
    disclosures,
    documents,
    mappings_live,
    rems,
    submissions,
)
from fhirbridge.reports.table import Period, Report
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants: a period, of one clinic by its own id or of all ("").

    `patient`: our opaque name, for the reports that are of one patient.
    """

    period: Period
    clinic: str = ""
    patient: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What reports are made with."""

    tx: Connection
    vault: Vault
    reasons: Reasons
    now: datetime


Make = Callable[[Desk, Asked], Report]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One report. `of_patients`: it holds what is known of patients; `of_one`: of one of them."""

    about: str
    make: Make
    of_patients: bool = False
    of_one: bool = False
    by_clinic: bool = True


def _controlled_substances(desk: Desk, asked: Asked) -> Report:
    stock = list(documents.stock(desk.tx, desk.vault, asked.clinic))
    sessions = documents.sessions(desk.tx, desk.vault, asked.clinic)
    return accounting.report(sessions, stock, asked.period)


def _rems(desk: Desk, asked: Asked) -> Report:
    sessions = documents.sessions(desk.tx, desk.vault, asked.clinic)
    submitted = submissions.every(desk.tx)
    return rems.report(sessions, submitted, asked.period, today=desk.now.date())


def _adverse_events(desk: Desk, asked: Asked) -> Report:
    sessions = documents.sessions(desk.tx, desk.vault, asked.clinic)
    return adverse_events.report(sessions, asked.period)


def _disclosures(desk: Desk, asked: Asked) -> Report:
    return disclosures.report(desk.tx, desk.reasons, asked.patient, asked.period)


def _mappings(desk: Desk, asked: Asked) -> Report:
    return mappings_live.report(desk.tx, asked.period)


def _access(desk: Desk, asked: Asked) -> Report:
    return access_review.report(desk.tx, asked.period, now=moment.to_text(desk.now))


CATALOG = {
    "controlled-substances": Entry(
        about="received, given, wasted, returned, lost and counted, by location, lot, vial and day",
        make=_controlled_substances,
    ),
    "rems": Entry(
        about="monitoring of nasal esketamine in the fields of the REMS form; what is overdue",
        make=_rems,
        of_patients=True,
    ),
    "adverse-events": Entry(about="every adverse event", make=_adverse_events, of_patients=True),
    "disclosures": Entry(
        about="to whom something of one patient was disclosed (--patient)",
        make=_disclosures,
        of_patients=True,
        of_one=True,
        by_clinic=False,
    ),
    "mappings": Entry(
        about="which mapping set was live on which day", make=_mappings, by_clinic=False
    ),
    "access": Entry(
        about="tokens, senders and keys: who may come in, who did, what changed",
        make=_access,
        by_clinic=False,
    ),
}
