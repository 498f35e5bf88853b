"""What a clinic reports: each report is noted before it is handed over."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from fhirbridge.audit import reasons
from fhirbridge.audit.log import Action, Entry
from fhirbridge.destinations import registry
from fhirbridge.outbox.contents import Identity
from fhirbridge.proving import Proving
from fhirbridge.reconcile import read_only
from fhirbridge.reconcile.read_only import Seen
from fhirbridge.reports import (
    completeness,
    completeness_rows,
    evidence_lines,
    private_file,
    submissions,
)
from fhirbridge.reports.catalog import CATALOG, Asked, Desk
from fhirbridge.reports.completeness_rows import Line
from fhirbridge.reports.table import Period, Report


class Reporting(Proving):
    """Everything about reports that a door may ask for."""

    def report(self, name: str, asked: Asked, *, actor: str) -> Report:
        """Make one report of the catalog; who, which, over what and how much is noted."""
        entry = CATALOG[name]
        with self._store.read() as tx:
            desk = Desk(tx=tx, vault=self._parts.vault, reasons=self._reasons, now=self.clock.now())
            made = entry.make(desk, asked)
            more: dict[str, Any] = {
                "one_clinic": bool(asked.clinic),
                "of_patients": entry.of_patients,
            }
            if asked.patient:
                more["patient"] = asked.patient
        self._note_report(made, actor, more)
        return made

    def note_submitted(self, record_id: str, on: date | None, *, actor: str) -> None:
        """Note on which day a session's monitoring form was submitted; None takes it back.

        Raises UnknownRecordError.
        """
        with self._store.begin() as tx:
            self._audit.append(tx, submissions.entry(tx, record_id, on, actor=actor))

    def set_legal_basis(self, name: str, basis: str, *, actor: str) -> None:
        """Note on which legal basis a destination is sent what it is from now on; sealed.

        Raises DestinationError, and ReasonError where it is no line of text.
        """
        reasons.check(basis)
        with self._store.begin() as tx:
            registry.get(tx, name)
            entry = Entry(actor=actor, action=Action.LEGAL_BASIS, destination=name)
            self._reasons.append(tx, entry, basis)

    def completeness(
        self, period: Period, *, destination: str = "", live: bool = False, actor: str
    ) -> Report:
        """Say where all that came in a period is; `live` reads it at the EHRs. No PHI.

        Nothing is sent or owed. Raises DestinationError, and NoAnswerError where an EHR did not
        answer to the end: then there is no report.
        """
        seen: list[Seen] | None = None
        if live:
            with self._store.read() as tx:
                before = completeness_rows.read(tx, period, destination)
            seen = self._seen(before.lines)
        with self._store.read() as tx:
            made = completeness.report(
                completeness_rows.read(tx, period, destination), period, seen
            )
        more = {"live": live, "destination": destination, "difference": made.difference}
        self._note_report(made, actor, more)
        return made

    def export_audit_events(self, target: Path, *, actor: str) -> int:
        """Write every row of the evidence as an AuditEvent into a new file, a line each.

        Return how many. Noted before. Raises ReportError; then nothing is there.
        """
        with self._store.begin() as tx:
            self._note(tx, actor, Action.EVIDENCE_EXPORTED, detail={"form": "AuditEvent"})
        site = self._parts.site
        origin = f"{site.host}/{site.tenant}"
        with self._store.read() as tx:
            return private_file.write(target, evidence_lines.every(tx, origin))

    def _seen(self, lines: Iterable[Line]) -> list[Seen]:
        """Ask each EHR for what the ledger says that it has of these lines."""
        there: dict[str, dict[Identity, None]] = {}
        for one in lines:
            if one.identity is not None and one.ehr_version:
                there.setdefault(one.destination, {})[one.identity] = None
        with self._store.read() as tx:
            known = {one.name for one in registry.every(tx)}
        rooms = self._pull_rooms()
        asked = [(name, ids) for name, ids in sorted(there.items()) if name in known]
        return [seen for name, ids in asked for seen in read_only.look(rooms, name, list(ids))]

    def _note_report(self, made: Report, actor: str, more: dict[str, Any]) -> None:
        detail = {
            "report": made.name,
            "since": made.period.since.isoformat(),
            "until": made.period.until.isoformat(),
            "rows": made.count,
            **more,
        }
        with self._store.begin() as tx:
            self._note(tx, actor, Action.REPORT_MADE, detail=detail)
