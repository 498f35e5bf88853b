"""One look at one EHR: what changed since the last one, or all of it, compared with the ledger.

Everything that it finds goes to the outbox, or waits for a person. A run that breaks off has done
whole lanes or nothing of them, and the next one begins where this one did.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry
from fhirbridge.deliver import ledger
from fhirbridge.destinations.registry import Destination
from fhirbridge.events import log as events
from fhirbridge.events.log import Event
from fhirbridge.fhir import projection
from fhirbridge.matching import merges
from fhirbridge.outbox import contents, telling
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.reconcile import asking, charts, findings, lines, stops, weigh
from fhirbridge.reconcile.act import Hands, Rooms
from fhirbridge.reconcile.asking import Asking
from fhirbridge.reconcile.compare import BEYOND_THE_COPY, FINDINGS, LOST, Kind, Shown, Theirs
from fhirbridge.reconcile.findings import Findings, Found
from fhirbridge.reconcile.lines import Line
from fhirbridge.reconcile.weigh import Choice
from fhirbridge.store import moment

ACTOR = "reconcile"
OVERLAP = timedelta(minutes=5)
CHUNK = 200


@dataclass(slots=True, kw_only=True)
class Report:
    """What one look found and what was done about it. Counts, element names, opaque ids."""

    destination: str
    full: bool
    compared: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    altered: dict[str, int] = field(default_factory=dict)  # by `Type.element`: the server's way
    repaired: int = 0
    settled: int = 0  # by a policy
    waiting: int = 0  # for a person
    patients: int = 0  # of whom a person must say whose chart is theirs
    unsearched: tuple[str, ...] = ()  # types in which no duplicate could be looked for
    deliveries: list[str] = field(default_factory=list)
    stop: str = ""


class Look:
    """One run for one destination."""

    def __init__(
        self, rooms: Rooms, kept: Findings, destination: Destination, *, actor: str
    ) -> None:
        self._rooms = rooms
        self._kept = kept
        self._destination = destination
        self._name = destination.name
        self._asking = Asking(rooms.ehr_for(destination))
        self._hands = Hands(rooms, actor=actor)
        self._actor = actor
        self._patients: set[str] = set()  # the EHR's ids of those whom somebody touched

    def run(self, *, full: bool, repair: bool) -> Report:
        """Look, compare, act. Raises NoAnswerError; then nothing was noted as seen."""
        with self._rooms.store.read() as tx:
            state = stops.state(tx, self._name)
        since = moment.from_text(state.polled_to) - OVERLAP if state.polled_to else None
        if full or repair or state.stop or since is None:
            return self._sweep(repair=repair)
        report = Report(destination=self._name, full=False)
        found = self._with_left_over(self._compared(self._suspected(since), report), report)
        if any(one.kind in LOST for one in found):
            return self._sweep(repair=False)  # what a backup lost, no history tells: read it all
        report.patients = charts.look(self._rooms, self._destination, frozenset(self._patients))
        return self._acted(report, found, hold_lost=False)

    def _sweep(self, *, repair: bool) -> Report:
        report = Report(destination=self._name, full=True)
        with self._rooms.store.read() as tx:
            all_of_it = lines.every(tx, self._name)
            known = {line.identity for line in all_of_it}
            suspects = lines.suspects(tx, self._destination)
            more = [one for one in suspects if one.identity not in known]
        found = self._with_left_over(self._compared([*all_of_it, *more], report), report)
        found = self._with_duplicates(all_of_it, found, report)
        report.patients = charts.look(self._rooms, self._destination, None)
        lost = sum(one.kind in LOST for one in found)
        hold = not repair and weigh.looks_restored(lost, len(all_of_it))
        report.stop = stops.restored(self._name, lost, len(all_of_it)) if hold else ""
        return self._acted(report, found, hold_lost=hold)

    def _suspected(self, since: datetime) -> list[Line]:
        """Return what somebody touched, what waits because of the EHR, and what came last."""
        with self._rooms.store.read() as tx:
            kinds = ledger.kinds(tx, self._name)
            chosen = [*lines.suspects(tx, self._destination), *lines.newest(tx, self._name)]
            chosen += lines.of(tx, self._name, findings.open_identities(tx, self._name))
        for kind in kinds:
            chosen += self._touched(kind, since)
        return list({line.identity: line for line in chosen}.values())

    def _touched(self, kind: str, since: datetime) -> list[Line]:
        """Return what is ours and not just our own last write."""
        found: list[Line] = []
        seen = self._asking.touched(kind, since)
        while part := list(islice(seen, CHUNK)):
            self._patients |= {one.identity.id for one in part if kind == lines.PATIENT}
            with self._rooms.store.read() as tx:
                for one in part:
                    known = lines.found_there(tx, self._name, one.identity)
                    found += [line for line in known if not self._is_echo(tx, line, one)]
        return found

    def _is_echo(self, tx: Connection, line: Line, one: asking.Touched) -> bool:
        if one.version != line.version or one.body is None or not line.digest:
            return False
        ours = self._rooms.contents.body(tx, line.resource)
        rooms = self._rooms
        there = lines.as_there(
            tx, rooms.contents, self._destination, rooms.theirs, line=line, ours=ours
        )
        return projection.same(there, lines.as_compared(tx, self._destination, line, one.body))

    def _compared(self, chosen: Sequence[Line], report: Report) -> list[Found]:
        """Read what is there now and compare; what is as it should be closes its finding."""
        found: list[Found] = []
        with self._rooms.store.read() as tx:
            noted = set(findings.open_identities(tx, self._name))
        for start in range(0, len(chosen), CHUNK):
            part = chosen[start : start + CHUNK]
            with self._rooms.store.read() as tx:
                wanted = lines.wanted(tx, self._rooms.contents, self._destination, part)
            shown = self._asking.read(wanted)
            with self._rooms.store.begin() as tx:
                for line in part:
                    one = self._judged(tx, line, shown[line.identity], report)
                    if one is not None and one.kind in FINDINGS:
                        found.append(one)
                    elif one is not None and line.identity in noted:
                        self._close(tx, one)
        return [self._told_more(one) for one in found]

    def _judged(self, tx: Connection, line: Line, theirs: Theirs, report: Report) -> Found | None:
        """Return what became of one resource; None where nothing can be concluded."""
        if not lines.is_same(tx, self._name, line):
            return None  # written by us in the meantime
        if not line.in_ledger and theirs.shown is Shown.ABSENT:
            return None
        by = line.written_by(self._asking.ahead(self._rooms.clock.now()))
        rooms = self._rooms
        said = lines.verdict(
            tx, rooms.contents, self._destination, rooms.theirs, line=line, theirs=theirs, by=by
        )
        report.compared += 1
        if said.kind is not Kind.EQUAL:
            _count(report.kinds, said.kind.value)
        if said.kind is Kind.ALTERED:
            for name in said.elements:
                _count(report.altered, f"{line.identity.type}.{name}")
        if said.kind in (Kind.UNSAID, Kind.AWAITED):
            return None
        return Found(line=line, kind=said.kind, theirs=theirs, elements=said.elements)

    def _told_more(self, found: Found) -> Found:
        """Ask what a finding needs beyond its copy: the last version, the patient that is left."""
        there, theirs = found.line.there, found.theirs
        if found.kind is Kind.DELETED and not theirs.version:
            version = self._asking.last_version(there)
            theirs = Theirs(shown=theirs.shown, version=version)
            return Found(line=found.line, kind=found.kind, theirs=theirs)
        if found.kind is Kind.MERGED and theirs.body is not None:
            patient = Identity(there.type, theirs.ehr_id)
            chain = self._asking.merged_into(patient, theirs.body)
            left = merges.survivor(chain, f"{patient.type}/{patient.id}")
            is_other = left != f"{patient.type}/{patient.id}"
            more = {"survivor": left if left and is_other else "not certain"}
            return Found(
                line=found.line,
                kind=found.kind,
                theirs=theirs,
                elements=found.elements,
                more=more,
            )
        return found

    def _with_duplicates(
        self, all_of_it: Iterable[Line], found: list[Found], report: Report
    ) -> list[Found]:
        """Look for others with our identifiers; what another one has is not made a second time."""
        doubled: dict[Identity, Found] = {}
        unsearched = []
        # Lost under the id that the EHR gave, and there under another: it is found by its key.
        gives_ids = self._destination.gives_ids
        renamed = {one.line.identity for one in found if gives_ids and one.kind is Kind.MISSING}
        for kind, of_kind in groupby(all_of_it, key=lambda line: line.identity.type):
            tokens = self._tokens(list(of_kind))
            owners = self._asking.owners(kind, list(tokens)) if tokens else {}
            if owners is None:
                unsearched.append(kind)
                continue
            for token, ids in owners.items():
                line = tokens.get(token)
                others = sorted(set(ids) - {line.ehr_id}) if line else []
                if line and len(others) > (line.identity in renamed):
                    there = Theirs(shown=Shown.UNSAID)
                    doubled[line.identity] = Found(
                        line=line, kind=Kind.DUPLICATED, theirs=there, more={"ids": others}
                    )
        report.unsearched = tuple(unsearched)
        self._close_others(Kind.DUPLICATED, set(doubled))
        told = {one.line.identity for one in found if one.kind not in LOST}
        new = [one for one in doubled.values() if one.line.identity not in told]
        if new:
            report.kinds[Kind.DUPLICATED.value] = len(new)
        return [
            one for one in found if one.line.identity not in doubled or one.kind not in LOST
        ] + new

    def _with_left_over(self, found: list[Found], report: Report) -> list[Found]:
        """Add what left its record and cannot say so; where they removed it, that is settled."""
        with self._rooms.store.read() as tx:
            left = {line.identity: line for line in lines.left_over(tx, self._destination)}
        gone = {one.line.identity for one in found if one.kind in (Kind.DELETED, Kind.MISSING)}
        new = [line for identity, line in left.items() if identity not in gone]
        self._close_others(Kind.LEFT, {line.identity for line in new})
        if new:
            report.kinds[Kind.LEFT.value] = len(new)
        there = Theirs(shown=Shown.UNSAID)
        kept = [one for one in found if one.line.identity not in left]
        return kept + [Found(line=line, kind=Kind.LEFT, theirs=there) for line in new]

    def _close_others(self, kind: Kind, still: Collection[Identity]) -> None:
        """Close the findings of a kind that is not found any more in the others."""
        with self._rooms.store.begin() as tx:
            for identity in findings.open_identities(tx, self._name, kind):
                if identity not in still:
                    self._kept.close(tx, self._name, identity)

    def _tokens(self, chosen: Sequence[Line]) -> dict[str, Line]:
        """Return our own identifier of each resource that has one, as a search names it."""
        found = {}
        with self._rooms.store.read() as tx:
            for line in chosen:
                held = self._rooms.contents.body(tx, line.resource).get("identifier", [])
                for one in held if isinstance(held, list) else [held]:
                    if one.get("value") == line.identity.id:
                        found[asking.token(one)] = line
        return found

    def _close(self, tx: Connection, found: Found) -> None:
        row = self._kept.open_of(tx, self._name, found.line.identity)
        if row is not None and row.kind not in BEYOND_THE_COPY:
            self._kept.close(tx, self._name, found.line.identity)
            self._hands.release(tx, self._name, found.line.identity)
            if row.kind == Kind.MERGED:
                self._hands.release_patient(tx, self._name, row.lane)

    def _acted(self, report: Report, found: list[Found], *, hold_lost: bool) -> Report:
        """Act lane by lane, what is shared first; then note how far was looked."""
        ordered = sorted(found, key=lambda one: (one.line.lane != SHARED_LANE, one.line.lane))
        for _, lane in groupby(ordered, key=lambda one: one.line.lane):
            with self._rooms.store.begin() as tx:
                self._act(tx, list(lane), report, hold_lost=hold_lost)
        with self._rooms.store.begin() as tx:
            self._note(tx, report)
        return report

    def _act(
        self, tx: Connection, found: Sequence[Found], report: Report, *, hold_lost: bool
    ) -> None:
        chosen = findings.policies(tx, self._name)
        back: list[Found] = []
        for one in found:
            if self._has_moved(tx, one.line):
                continue  # the next look sees what came of it
            choice = weigh.choice(one.kind, one.line.identity.type, chosen)
            if (one.kind in LOST and hold_lost) or not one.can_be_guarded:
                choice = Choice.HOLD
            if choice is Choice.OURS:
                back.append(one)
            if not self._is_settled(tx, one, choice):
                report.waiting += 1
            elif one.kind not in LOST and choice is not Choice.HOLD:
                report.settled += 1
        made = self._hands.ours(tx, self._name, back)
        report.deliveries += made
        lost = [one for one in back if one.kind in LOST]
        report.repaired += len(lost)
        if lost:
            self._note_lost(tx, lost, made)
            self._tell_of_repair(tx, lost, made)

    def _note_lost(self, tx: Connection, lost: Sequence[Found], made: Sequence[str]) -> None:
        """Note what the EHR has no more: the ledger forgets it, and not all of it goes again."""
        named = sorted(f"{one.line.identity.type}/{one.line.identity.id}" for one in lost)
        detail = {"resources": named, "deliveries": list(made)}
        entry = Entry(
            actor=self._actor, action=Action.EHR_LOST, destination=self._name, detail=detail
        )
        self._rooms.audit.append(tx, entry)

    def _tell_of_repair(self, tx: Connection, lost: Sequence[Found], made: Sequence[str]) -> None:
        repaired = Event(
            kind=events.Kind.RECONCILE_REPAIRED,
            destination=self._name,
            patient=telling.patient_of(lost[0].line.lane),
            detail={"resources": len(lost), "deliveries": list(made)},
        )
        events.wait(tx, repaired, at=self._rooms.clock.now())

    def _has_moved(self, tx: Connection, line: Line) -> bool:
        same = lines.is_same(tx, self._name, line)
        return not same or lines.under_way(tx, self._name, line.identity)

    def _is_settled(self, tx: Connection, found: Found, choice: Choice) -> bool:
        """Note a finding with the choice that a policy made; say whether nobody has to look."""
        identity = found.line.identity
        if found.kind in LOST and choice is Choice.OURS:
            self._kept.close(tx, self._name, identity)
            return True
        quiet = choice is not Choice.OURS and not self._hands.holds_for(tx, self._name, identity)
        if quiet and self._kept.is_known(tx, self._name, found):
            return True
        row = self._kept.row(tx, self._kept.note(tx, self._name, found, self._sides(tx, found)))
        if choice is Choice.HOLD:
            return False
        self._kept.settle(tx, row, choice, reason="by policy", actor=self._actor)
        if choice is Choice.THEIRS:
            self._hands.theirs(tx, self._name, identity)
        return True

    def _sides(self, tx: Connection, found: Found) -> dict[str, Any]:
        line = replace(found.line, ehr_id=found.theirs.ehr_id or found.line.ehr_id)

        def there(resource_row: str, *, now: bool = False) -> dict[str, Any]:
            ours = self._rooms.contents.body(tx, resource_row)
            rooms = self._rooms
            return lines.as_there(
                tx, rooms.contents, self._destination, rooms.theirs, line=line, ours=ours, now=now
            )

        owed = contents.last_pinned(tx, self._name, found.line.identity, found.line.lane)
        return {
            "base": there(found.line.resource),
            "ours": there(owed.id if owed else found.line.resource, now=True),
            "theirs": found.theirs.body,
        }

    def _note(self, tx: Connection, report: Report) -> None:
        now, date = self._rooms.clock.now(), self._asking.date
        stops.note(tx, self._name, now=now, date=date, full=report.full, stop=report.stop)
        detail = {
            "full": report.full,
            "compared": report.compared,
            "kinds": report.kinds,
            "repaired": report.repaired,
            "settled": report.settled,
            "waiting": report.waiting,
            "stop": report.stop,
        }
        if report.full or report.kinds:  # a quiet minute is no event
            entry = Entry(
                actor=self._actor,
                action=Action.RECONCILED,
                destination=self._name,
                detail=detail,
            )
            self._rooms.audit.append(tx, entry)


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
