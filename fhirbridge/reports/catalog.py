"""Which reports there are, and what each needs from the database."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from fhirbridge.reports import accounting, documents
from fhirbridge.reports.table import Period, Report
from fhirbridge.store.sealed import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants: a period, of one clinic by its own id or of all ("")."""

    period: Period
    clinic: str = ""


Make = Callable[[Connection, Vault, Asked], Report]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One report. `of_patients`: it holds what is known of patients."""

    about: str
    of_patients: bool
    make: Make


def _controlled_substances(tx: Connection, vault: Vault, asked: Asked) -> Report:
    stock = list(documents.stock(tx, vault, asked.clinic))
    return accounting.report(documents.sessions(tx, vault, asked.clinic), stock, asked.period)


CATALOG = {
    "controlled-substances": Entry(
        about="received, given, wasted, returned, lost and counted, by location, lot, vial and day",
        of_patients=False,
        make=_controlled_substances,
    ),
}
