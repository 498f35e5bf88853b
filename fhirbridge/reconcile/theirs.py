"""The desk for what an EHR has itself: which types, tables, what was found, what is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from fhirbridge.audit.log import Action, Entry
from fhirbridge.destinations import registry, theirs
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.registry import Destination, Patients
from fhirbridge.egress.exchange import Response
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.matching.theirs import asking, crosswalk_file, decide, kept
from fhirbridge.matching.theirs.crosswalk import OF_PATIENTS, Change, Kind
from fhirbridge.matching.theirs.decide import Wanted
from fhirbridge.outbox.states import UNCERTAIN, Became
from fhirbridge.reconcile import follow
from fhirbridge.reconcile.act import Rooms
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, ledger

SHOWN = ("id", "destination", "type", "subject", "lane", "state", "ehr_id", "how", "actor", "at")
AT_ONCE = 40  # in one round of asking


class TheirsError(BridgeError):
    """What is the EHR's own cannot be decided about as asked."""

    code = "E415"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What asking came to."""

    asked: int = 0
    changed: int = 0
    unanswered: int = 0
    deliveries: tuple[str, ...] = ()  # that bring what was written before


class _Table(NamedTuple):
    destination: str
    kind: Kind


class TheirsDesk:
    """Where persons set, load, look and take back. Every reason is sealed."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._links = rooms.theirs
        self._crosswalk = rooms.theirs.crosswalk

    # --- which types --------------------------------------------------------------------------

    def choose(
        self, name: str, match: Mapping[str, str], ours: Sequence[str], *, actor: str
    ) -> Destination:
        """Let these types be the EHR's own, and those be ours. Raises DestinationError."""
        with self._rooms.store.begin() as tx:
            before = registry.get(tx, name)
            now = {kind: one for kind, one in before.theirs.items() if kind not in ours}
            now |= match
            theirs.checked({**now, **dict.fromkeys(ours, "")}, before.patients)
            for kind in now.keys() - before.theirs.keys():
                self._refuse_made(tx, name, kind)
            for kind in before.theirs.keys() - now.keys():
                if kept.is_decided(tx, name, kind):
                    raise DestinationError(
                        f"what was sent to {name} leaves {kind} to the EHR already",
                        hint="take its links back instead: fhirbridge theirs unlink",
                    )
            theirs.choose(tx, name, now)
            self._note(tx, name, Action.THEIRS_POLICY, actor, {"theirs": now})
            return registry.get(tx, name)

    def _refuse_made(self, tx: Connection, name: str, kind: str) -> None:
        made = select(func.count()).where(ledger.c.destination == name, ledger.c.type == kind)
        unheard = (
            select(func.count())
            .select_from(delivery_item)
            .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
            .where(
                delivery.c.destination == name,
                delivery_item.c.type == kind,
                (delivery_item.c.outcome == Became.SENT) | delivery.c.state.in_(UNCERTAIN),
            )
        )
        count = (tx.scalar(made) or 0) + (tx.scalar(unheard) or 0)
        if count:
            raise DestinationError(
                f"{count} of type {kind} were made at {name} by us already",
                hint="choose it before anything is sent, or add the EHR anew under another name",
            )

    # --- tables -------------------------------------------------------------------------------

    def load(
        self, name: str, kind: Kind, raw: bytes, *, whole: bool, plan: bool, actor: str
    ) -> Change:
        """Load a table from a CSV file; with `plan` only say what that would change.

        `whole`: what the file does not name is removed. Raises CrosswalkFileError; then nothing
        was loaded.
        """
        rows = crosswalk_file.parse(raw, kind).rows
        with self._rooms.store.begin() as tx:
            known = registry.get(tx, name)
            if kind is Kind.ASSIGNER:
                systems = {ours: system for (_, ours), system in rows.items()}
                change, new = _systems(known.patients.systems, systems, whole=whole)
                if not plan:
                    changed = Patients(policy=known.patients.policy, systems=new)
                    registry.set_patients(tx, name, changed)
            elif plan:
                change = self._crosswalk.compare(tx, name, kind, rows, whole=whole)
            else:
                change = self._crosswalk.load(tx, name, kind, rows, whole=whole, at=self._now())
            if not plan:
                told = {
                    "kind": kind.value,
                    "whole": whole,
                    "added": change.added,
                    "changed": change.changed,
                    "removed": change.removed,
                    "unchanged": change.unchanged,
                }
                self._note(tx, name, Action.CROSSWALK_LOADED, actor, told)
            return change

    def tables(self, name: str) -> list[dict[str, Any]]:
        """Return the tables of a destination, each with its count of rows."""
        with self._rooms.store.read() as tx:
            known = registry.get(tx, name)
            systems = len(known.patients.systems)
            found = self._crosswalk.counts(tx, name)
        more = [{"kind": Kind.ASSIGNER.value, "rows": systems, "at": ""}] if systems else []
        return [*found, *more]

    def table(self, name: str, kind: Kind, *, values: bool, actor: str) -> list[dict[str, str]]:
        """Return one table. What is patient data only with `values`; that is noted."""
        with self._rooms.store.begin() as tx:
            known = registry.get(tx, name)
            if kind is Kind.ASSIGNER:
                systems = sorted(known.patients.systems.items())
                return [{"ours": ours, "theirs": one, "at": ""} for ours, one in systems]
            if kind in OF_PATIENTS and values:
                self._note(tx, name, Action.CROSSWALK_READ, actor, {"kind": kind.value})
            return self._crosswalk.shown(tx, name, kind, values=values or kind not in OF_PATIENTS)

    def remove_table(self, name: str, kind: Kind, *, actor: str) -> int:
        """Remove a whole table; return how many rows it had."""
        with self._rooms.store.begin() as tx:
            known = registry.get(tx, name)
            if kind is Kind.ASSIGNER:
                count = len(known.patients.systems)
                registry.set_patients(tx, name, Patients(policy=known.patients.policy))
            else:
                count = self._crosswalk.remove(tx, name, kind)
            told = {"kind": kind.value, "removed": count}
            self._note(tx, name, Action.CROSSWALK_REMOVED, actor, told)
            return count

    # --- what was decided ---------------------------------------------------------------------

    def listed(
        self, name: str = "", *, kind: str = "", every: bool, values: bool = False, actor: str
    ) -> list[dict[str, Any]]:
        """Return what is left out, or with `every` also what is linked.

        With `values`, which is noted, also the EHR's numbers and persons' reasons: PHI.
        """
        state = "" if every else kept.State.LEFT_OUT
        with self._rooms.store.begin() as tx:
            if name:
                registry.get(tx, name)
            rows = kept.every(tx, name, kind=kind, state=state)
            if not values:
                return [_shown(row) for row in rows]
            self._note(tx, name, Action.THEIRS_READ, actor, {"rows": len(rows)})
            return [{**_shown(row), **self._links.opened(tx, row)} for row in rows]

    def unlink(self, link_id: str, *, reason: str, actor: str) -> dict[str, Any]:
        """Let nothing point to it any more, until `ask`; what does is owed again. Raises."""
        if not reason.strip():
            raise TheirsError("a decision needs its reason", hint="give it with --reason")
        with self._rooms.store.begin() as tx:
            link = self._counting(tx, link_id)
            _refuse_under_way(tx, link)
            made = self._links.take_back(tx, link, reason=reason, actor=actor)
            shown = _shown(made)
        of_a_patient = made.type in theirs.OF_A_PATIENT
        owe = follow.look if of_a_patient else follow.everything
        return {**shown, "deliveries": owe(self._rooms, made.destination, actor=actor)}

    def ask(self, name: str, *, kind: str = "", link_id: str = "", actor: str) -> Asked:
        """Ask the EHR anew for what is linked and left out, or for one of them.

        What a person took back is asked about only where it is named by its id.
        """
        with self._rooms.store.begin() as tx:
            destination = registry.get(tx, name)
            if link_id:
                meant = [self._counting(tx, link_id)]
                self._links.ask_anew(tx, meant[0], actor=actor)
            else:
                meant = [
                    one
                    for one in kept.every(tx, name, kind=kind)
                    if decide.Why.BY_HAND not in one.why.split()
                ]
        done = Asked()
        for start in range(0, len(meant), AT_ONCE):
            done = self._ask(destination, meant[start : start + AT_ONCE], done)
        owed = follow.look(self._rooms, name, actor=actor)
        return Asked(
            asked=done.asked,
            changed=done.changed,
            unanswered=done.unanswered,
            deliveries=tuple(owed),
        )

    def _ask(self, destination: Destination, links: Sequence[Row[Any]], done: Asked) -> Asked:
        with self._rooms.store.begin() as tx:
            wanted = [self._links.again(tx, destination, one) for one in links]
            left = self._links.settle_unasked(tx, destination.name, wanted)
        changed = unanswered = 0
        ehr = self._rooms.ehr_for(destination)
        rounds = _rounds(left)
        for part in rounds:
            outcome = asking.ask(ehr, part)
            if not isinstance(outcome, Response) or outcome.status != 200:  # noqa: PLR2004  OK
                unanswered += len(part)
                continue
            shown = asking.read(codec.decode(outcome.body))
            with self._rooms.store.begin() as tx:
                news = [
                    self._links.settle(tx, destination.name, one, said)
                    for one, said in zip(part, shown, strict=True)
                ]
            changed += sum(news)
        return Asked(
            asked=done.asked + len(left),
            changed=done.changed + changed,
            unanswered=done.unanswered + unanswered,
        )

    def bring(self, name: str, *, actor: str) -> list[str]:
        """Owe again all that was written before it was known what is the EHR's own."""
        return follow.everything(self._rooms, name, actor=actor)

    def behind(self, name: str) -> int:
        """Count the resources that `bring` would owe again."""
        with self._rooms.store.read() as tx:
            return follow.behind(tx, self._rooms, registry.get(tx, name))

    # --- what they share ----------------------------------------------------------------------

    def _counting(self, tx: Connection, link_id: str) -> Row[Any]:
        link = kept.of_id(tx, link_id)
        if link is None or link.ended_at:
            raise TheirsError(
                "nothing that counts has this id", hint="fhirbridge theirs list --all"
            )
        return link

    def _note(
        self, tx: Connection, name: str, action: Action, actor: str, detail: dict[str, Any]
    ) -> None:
        entry = Entry(actor=actor, action=action, destination=name, detail=detail)
        self._rooms.audit.append(tx, entry)

    def _now(self) -> str:
        return moment.to_text(self._rooms.clock.now())


def _rounds(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Put together what is read by one request, and few searches at a time."""
    read = [one for one in wanted if one.reference]
    searched = [one for one in wanted if not one.reference]
    most = asking.MOST_SEARCHES
    parts = [searched[start : start + most] for start in range(0, len(searched), most)]
    return [one for one in (read, *parts) if one]


def _systems(
    before: Mapping[str, str], loaded: Mapping[str, str], *, whole: bool
) -> tuple[Change, dict[str, str]]:
    new = dict(loaded) if whole else {**before, **loaded}
    return Change(
        added=len(loaded.keys() - before.keys()),
        changed=sum(1 for one in loaded if before.get(one, loaded[one]) != loaded[one]),
        removed=len(before.keys() - new.keys()),
        unchanged=sum(1 for one in loaded if before.get(one) == loaded[one]),
    ), new


def _refuse_under_way(tx: Connection, link: Row[Any]) -> None:
    chosen = select(delivery.c.id).where(
        delivery.c.destination == link.destination,
        delivery.c.lane == link.lane,
        delivery.c.state.in_(UNCERTAIN),
    )
    if tx.execute(chosen.limit(1)).first() is not None:
        raise TheirsError("a request of this patient is under way", hint="try again")


def _shown(row: Row[Any]) -> dict[str, Any]:
    why = row.why.split()
    return {
        **{name: getattr(row, name) for name in SHOWN},
        "why": why,
        "words": decide.sentence(why),
    }
