"""To whom something of one patient was disclosed, when, of what, and on which legal basis.

Opaque ids, types and times; what was sent is in the evidence, sealed.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from fhirbridge.audit.log import Action
from fhirbridge.audit.reasons import Reasons
from fhirbridge.deliver.prepare import Step
from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec
from fhirbridge.reports.table import Cell, Period, Report, Table, texts
from fhirbridge.reports.table import Row as TableRow
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, destination, evidence, record

TITLE = "Accounting of disclosures of one patient"
SCOPE = (
    "Every request to an EHR that carried or named something of this patient, every reading of a "
    "facade that showed some, and every package, report and export that went out of the program "
    "and may hold some, in these UTC days. Shown beside it is who looked within the clinic. What "
    "is done with a file afterwards, and what others disclose, is not known here."
)
NOTICE = (
    "Where 42 CFR Part 2 applies, the recipient may disclose further only as Part 2 permits. These "
    "are not the words of the rule: the text of the notice was not verified for this program, and "
    "the clinic's own counsel gives the one to use."
)
SENDS = (Step.BUNDLE, Step.BATCH, Step.SINGLE)
ASKS: dict[str, str] = {
    Step.WHO: "asked who this patient is, by name, birth date or number",
    Step.THEIRS: "asked for its own visit, order, clinician or place",
    Step.READ: "read back what was sent, by its ids",
}
OUTWARD = (
    Action.DELIVERY_STARTED,
    Action.EHR_PULLED,
    Action.FACADE_READ,
    Action.INCIDENT_PACKED,
    Action.REPORT_MADE,
    Action.RESOURCES_EXPORTED,
)
FOLDER = "a folder of this machine"
INWARD = {
    Action.RECORD_READ: "read a record with all that became of it",
    Action.INCIDENT_READ: "listed the chart",
    Action.DIFFERENCES_READ: "saw the values of what changes",
    Action.DRIFT_READ: "saw both sides of a difference",
    Action.PATIENT_READ: "saw both sides of a decision whose chart it is",
    Action.EHR_READ: "saw what an EHR knows",
}
PART_2 = "part-2"


def report(tx: Connection, reasons: Reasons, patient: str, period: Period) -> Report:
    """Return the account of one patient (our opaque name)."""
    account = _Account(tx, reasons, patient, period)
    out = list(account.outward())
    tables = (
        Table(name="disclosures", title="Disclosures", columns=_OUT, rows=tuple(out)),
        Table(
            name="recipients",
            title="Recipients",
            columns=texts(
                ("destination", "Destination"),
                ("address", "Address"),
                ("legal_basis", "Legal basis now"),
                ("removed_at", "Removed"),
            ),
            rows=tuple(account.recipients({str(row[2]) for row in out})),
        ),
        Table(
            name="uses",
            title="Who looked within the clinic",
            columns=texts(("at", "At"), ("by", "By"), ("what", "What"), ("record", "Record")),
            rows=tuple(account.inward()),
        ),
    )
    return Report(
        name="disclosures", title=TITLE, period=period, tables=tables, notes=(SCOPE, NOTICE)
    )


_OUT = texts(
    ("at", "At"),
    ("by", "By"),
    ("recipient", "Recipient"),
    ("what", "What was done"),
    ("of", "Of which resources"),
    ("record", "Record"),
    ("answer", "Answer"),
    ("part_2", "42 CFR Part 2"),
    ("legal_basis", "Legal basis then"),
    ("evidence", "Evidence row"),
)


class _Account:
    def __init__(self, tx: Connection, reasons: Reasons, patient: str, period: Period) -> None:
        self._tx = tx
        self._reasons = reasons
        self._patient = patient
        self._since, self._until = map(moment.to_text, period.moments())
        chosen = select(record.c.id, record.c.labels).where(record.c.patient_key == patient)
        self._records = {row.id: row.labels.split() for row in tx.execute(chosen)}
        of_lane = select(delivery.c.id).where(delivery.c.lane == patient)
        self._deliveries = set(tx.scalars(of_lane))
        facades = select(destination.c.name).where(destination.c.mode == Mode.FACADE)
        self._facades = set(tx.scalars(facades))
        self._bases: dict[str, list[tuple[str, str]]] = {}

    def outward(self) -> Iterator[TableRow]:
        """Yield what went out, the oldest first."""
        answers = self._answers()
        for row in self._rows(OUTWARD):
            detail = codec.decode(row.detail.encode())
            if row.action == Action.DELIVERY_STARTED:
                yield self._asked(row, detail, answers.get(row.delivery_id, []))
            elif row.action == Action.EHR_PULLED:
                asked = ", ".join(sorted(detail["asked"]))
                what = f"asked what it knows: {asked or 'nothing'}"
                yield self._line(row, row.destination, what, "", row.outcome)
            elif row.action == Action.FACADE_READ:
                what = f"read at its facade: {detail['interaction']}"
                yield self._line(row, row.destination, what, detail["type"], row.outcome)
            elif (handed := _handed_over(row, detail)) is not None:
                yield self._line(row, *handed, "", None)

    def _asked(self, row: Row[Any], detail: dict[str, Any], answers: list[str]) -> TableRow:
        """Tell one request of a delivery, with the first of the answers that are left."""
        step = detail["step"]
        sends = step in SENDS
        asked = ASKS.get(step, f"asked: {step}")  # what a newer version may ask
        what = f"{self._way(row.destination)} {detail['entries']}" if sends else asked
        of = self._types(row.delivery_id) if sends else ""
        answer: Cell = answers.pop(0) if answers else None
        return self._line(row, row.destination, what, of, answer)

    def inward(self) -> Iterator[TableRow]:
        """Yield who looked."""
        for row in self._rows(tuple(INWARD)):
            if row.outcome != "not found":
                yield (row.at, row.actor, INWARD[Action(row.action)], row.record_id or None)

    def recipients(self, named: set[str]) -> Iterator[TableRow]:
        """Yield the EHRs among the recipients."""
        chosen = select(destination).where(destination.c.name.in_(named))
        for row in self._tx.execute(chosen.order_by(destination.c.name)):
            basis = self._basis(row.name, self._until)
            yield (row.name, row.base_url, basis, row.removed_at or None)

    def _rows(self, actions: Sequence[Action]) -> Sequence[Row[Any]]:
        """Return the evidence of these actions that is of this patient."""
        about = or_(
            evidence.c.record_id.in_(self._records),
            evidence.c.detail.contains(self._patient, autoescape=True),
            evidence.c.action.in_((Action.REPORT_MADE, Action.RESOURCES_EXPORTED)),
        )
        chosen = select(evidence).where(
            evidence.c.action.in_(actions),
            evidence.c.at >= self._since,
            evidence.c.at < self._until,
            about,
        )
        rows = self._tx.execute(chosen.order_by(evidence.c.at, evidence.c.id)).all()
        return [row for row in rows if self._is_his(row)]

    def _is_his(self, row: Row[Any]) -> bool:
        """Say whether a row is of this patient: what all share goes in a lane of its own."""
        if row.action == Action.DELIVERY_STARTED:
            return row.delivery_id in self._deliveries
        if row.action == Action.REPORT_MADE:
            only = codec.decode(row.detail.encode()).get("patient")
            return only in (None, self._patient)
        if row.action == Action.RESOURCES_EXPORTED:
            asked = codec.decode(row.detail.encode()).get("asked", {})
            return asked.get("patient") in (None, self._patient)
        return True

    def _answers(self) -> dict[str, list[str]]:
        """Return how each delivery was answered, in order."""
        chosen = select(evidence.c.delivery_id, evidence.c.outcome).where(
            evidence.c.action == Action.DELIVERY_ANSWERED,
            evidence.c.record_id.in_(self._records),
            evidence.c.at >= self._since,
        )
        found: dict[str, list[str]] = {}
        for row in self._tx.execute(chosen.order_by(evidence.c.at, evidence.c.id)):
            found.setdefault(row.delivery_id, []).append(row.outcome)
        return found

    def _types(self, delivery_id: str) -> str:
        chosen = select(delivery_item.c.type).where(delivery_item.c.delivery_id == delivery_id)
        counts = Counter(self._tx.scalars(chosen))
        return ", ".join(f"{kind} x{count}" for kind, count in sorted(counts.items()))

    def _line(self, row: Row[Any], to: str, what: str, of: str, answer: Cell) -> TableRow:
        labels = self._records.get(row.record_id, [])
        labelled = "yes" if PART_2 in labels else "no label" if row.record_id else None
        basis = self._basis(row.destination, row.at) if row.destination else None
        of_record = row.record_id or None
        return (row.at, row.actor, to, what, of, of_record, answer, labelled, basis, row.id)

    def _way(self, name: str) -> str:
        return "put resources on its facade:" if name in self._facades else "sent resources:"

    def _basis(self, name: str, at: str) -> Cell:
        """Return what a person had said by then that the legal basis is; None for nothing."""
        if name not in self._bases:
            said = self._reasons.read(self._tx, name)
            self._bases[name] = [_said(one) for one in said if one["action"] == _SAID]
        known = self._bases[name]
        place = bisect_right([since for since, _ in known], at)
        return known[place - 1][1] if place else None


def _handed_over(row: Row[Any], detail: dict[str, Any]) -> tuple[str, str] | None:
    """Say where a package, report or export went, and what it was; None for what went nowhere."""
    match Action(row.action):
        case Action.INCIDENT_PACKED if row.outcome == "done":
            return FOLDER, f"packed the evidence of the chart: {detail['files']} files"
        case Action.REPORT_MADE if detail.get("of_patients"):
            what = f"report {detail['report']}, {detail['since']} to {detail['until']}"
            return "a file or screen of this machine", what
        case Action.RESOURCES_EXPORTED if "file" in detail:
            return row.destination, f"took a file of an export: {detail['file']}"
        case Action.RESOURCES_EXPORTED if "asked" in detail:
            return FOLDER, f"exported what {row.destination} has"
    return None


_SAID = Action.LEGAL_BASIS.value


def _said(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["at"], one["reason"]
