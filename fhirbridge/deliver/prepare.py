"""What of a delivery really has to go now, and whether it may.

Consent, the wrong-patient guard, what is blocked or unchanged: all against the ledger as it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from fhirbridge.consent import state as consent
from fhirbridge.deliver import bundle, labels, order
from fhirbridge.deliver.bundle import Send
from fhirbridge.deliver.line import Line
from fhirbridge.deliver.work import Body, Work
from fhirbridge.destinations import modes
from fhirbridge.destinations.registry import Destination
from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.fhir.references import literal_references
from fhirbridge.matching import guard, kept
from fhirbridge.matching.guard import Guard, Next
from fhirbridge.matching.theirs.decide import Wanted
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox import beside, taken_back
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.outbox.states import MERGED, NOT_CARRIED, OTHER_CHART, Way
from fhirbridge.store.drift_tables import drift
from fhirbridge.store.tables import record

MOST_SINGLE_READS = 10
# Built once: they are asked for each delivery.
_SOURCE = select(record).where(record.c.id == bindparam("of_record"))
_MERGED = (
    select(drift.c.id)
    .where(
        drift.c.destination == bindparam("of_ehr"),
        drift.c.lane == bindparam("of_lane"),
        drift.c.kind == "merged",
        drift.c.state == "open",
    )
    .limit(1)
)
WRONG_PATIENT = "wrong-patient: a resource names another patient than its record"


class Step(StrEnum):
    """What the next request of a delivery is."""

    READ = "read-back"  # a batch of GETs of what may have landed
    BUNDLE = "send"  # a transaction
    BATCH = "send each"  # a batch, of which each entry has an answer of its own
    SINGLE = "send alone"  # one PUT, or one POST of what the EHR is to name
    WHO = "identify"  # searches and reads: which of the EHR's patients this one is
    THEIRS = "find"  # searches and reads: what else the EHR has itself


ASKING = (Step.WHO, Step.THEIRS)  # whose answers may show what is other patients'


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The next request, or why there is none.

    `sends` go now, as `step` says; `more`: something is left after them.
    """

    step: Step = Step.BUNDLE
    sends: tuple[Send, ...] = ()
    together: bool = False  # the sends are one unit, of which nothing may go without the rest
    alone: bool = False  # what is refused now is refused for itself
    more: bool = False
    link: str = ""  # by which they go to a patient of the EHR's own
    wanted: tuple[Wanted, ...] = ()  # what is to be decided first, of what else is the EHR's own
    settled: dict[int, str] = field(default_factory=dict)  # what became of it unsent; news only
    why: dict[int, str] = field(default_factory=dict)  # of some of these
    withheld: frozenset[int] = frozenset()  # until the EHR has the note that says it
    to_come: frozenset[int] = frozenset()  # notes of which an addendum is to be made; ahead only
    blocked: dict[int, Identity] = field(default_factory=dict)  # by what the EHR refused
    refused: tuple[str, ...] = ()  # sentences
    refusal: str = ""
    blocked_by: str = ""
    stopped: bool = False  # something of it was taken back from this chart, and the rest is through

    @property
    def payload(self) -> bytes:
        """Return what the request carries of a patient's, which the evidence keeps too."""
        if self.step in (Step.READ, *ASKING):
            return b""
        if self.step is Step.BUNDLE:
            return bundle.transaction(self.sends)
        if self.step is Step.BATCH:
            return bundle.batch(self.sends)
        return self.sends[0].written


def prepare(
    tx: Connection,
    *,
    body: Body,
    row: Row[Any],
    destination: Destination,
    at: datetime,
    theirs: TheirLinks | None = None,
    ahead: Mapping[Identity, Line] | None = None,
) -> Prepared:
    """Work out the next request. What is in doubt is read back: nothing goes, nothing refuses.

    `theirs` knows what the EHR has itself; who looks ahead does without, since none is asked then.
    `ahead`: the lines that the ledger will have by then, for who looks ahead: that one is told all
    that goes, however many requests it takes, and of each resource what it replaces.
    """
    work = Work(tx, body, row, destination, ahead=ahead, theirs=theirs)
    alone = row.way == Way.SINGLE or destination.mode in modes.APART
    if doubtful := work.in_doubt():
        now = doubtful if ahead is not None else doubtful[: _most_reads(destination)]
        more = work.left > len(now)
        return Prepared(
            step=Step.READ,
            sends=tuple(now),
            more=more,
            alone=alone,
            settled=work.news,
            why=work.aside.why,
        )
    sends = work.sends()
    if work.aside.elsewhere is not None:
        return Prepared(refusal=_for_good(work.aside.elsewhere))
    if not sends:
        return _without_sends(tx, row, work, looks_ahead=ahead is not None)
    known = _may_go(tx, row, sends, destination, at)
    if known.next is Next.HOLD:
        return Prepared(refusal=known.reason)
    if ahead is None and (first := _asks(tx, row, sends, destination, known, theirs, at)):
        return first
    found = {send.identity for send in sends} | (ahead or {}).keys()
    stopped = _stopped(tx, body, row, sends, work=work, destination=destination, there=found)
    if stopped is None and _leads_elsewhere(tx, sends, known.link):
        stopped = Prepared(refusal=WRONG_PATIENT)
    part = _part(row, sends, work, destination, whole=ahead is not None)
    return stopped or replace(_with_aside(part, work), link=known.link)


def _asks(  # noqa: PLR0917  what a preparation knows
    tx: Connection,
    row: Row[Any],
    sends: Sequence[Send],
    destination: Destination,
    known: Guard,
    theirs: TheirLinks | None,
    at: datetime,
) -> Prepared | None:
    """Say what the EHR is asked before anything goes: who the patient is, what it has itself."""
    if known.next is Next.ASK:
        return Prepared(step=Step.WHO)
    if theirs is None:
        return None
    wanted = theirs.wanted(tx, destination, row, [send.body for send in sends], now=at)
    return Prepared(step=Step.THEIRS, wanted=tuple(wanted)) if wanted else None


def _for_good(found: Identity) -> str:
    return (
        f"{OTHER_CHART}{found.type}/{found.id} stands in another patient's chart, and the EHR lets "
        "nobody change it: have it put right there, and send the visit as a new session"
    )


def _without_sends(tx: Connection, row: Row[Any], work: Work, *, looks_ahead: bool) -> Prepared:
    """Say what the rest waits for, where nothing can be sent: the note that is to say it."""
    if work.aside.to_come and looks_ahead:
        return _with_aside(Prepared(settled=work.news), work)
    if work.aside.withheld:
        if work.aside.lacking is not None:
            owed = beside.undelivered_before(tx, row)
            if work.aside.lacking in owed:
                return Prepared(blocked_by=owed[work.aside.lacking], settled=work.news)
        return Prepared(refusal=f"{NOT_CARRIED}no note that the EHR has says what is left of it")
    return Prepared(settled=work.news, why=work.aside.why, stopped=work.was_stopped)


def _with_aside(made: Prepared, work: Work) -> Prepared:
    aside = work.aside
    return replace(
        made,
        why=aside.why,
        withheld=frozenset(aside.withheld),
        to_come=frozenset(aside.to_come),
    )


def _stopped(
    tx: Connection,
    body: Body,
    row: Row[Any],
    sends: Sequence[Send],
    *,
    work: Work,
    destination: Destination,
    there: set[Identity],
) -> Prepared | None:
    """Say what these wait for, or None: they point to nothing that is not there, or on its way."""
    # Whatever is owed of what is the EHR's own, it has it, or nothing will point to it.
    own = {*destination.theirs}
    if kept.are_theirs(tx, destination, row.lane):
        own.add("Patient")
    there |= {one for send in sends for one in send.named if one.type in own}
    blocked_by = (
        taken_back.still_elsewhere(tx, row)
        or _blocked(tx, row, sends, there)
        or _dose_blocked(tx, body, row, sends, there)
        or work.removed_unheard(sends)
    )
    if blocked_by:
        return Prepared(blocked_by=blocked_by)
    if unknown := _unknown(sends, there):
        return Prepared(
            refusal=f"not-there: {unknown.type}/{unknown.id} is not in the EHR; nothing owes it"
        )
    return None


def _leads_elsewhere(tx: Connection, sends: Sequence[Send], link: str) -> bool:
    """Say whether what is about to go names any patient of the EHR's but the linked one."""
    known = kept.of_id(tx, link) if link else None
    if known is None or known.state != kept.State.LINKED:
        return False
    written = [send.there.written(send.body) for send in sends]
    named = [*literal_references(written), *((one["resourceType"], "") for one in written)]
    return any(kind == "Patient" and own != known.ehr_id for kind, own in named)


def _may_go(
    tx: Connection, row: Row[Any], sends: Sequence[Send], destination: Destination, at: datetime
) -> Guard:
    """Say whether these may go, and by which link; or why a person must look."""
    if refusal := _refusal(tx, row, sends, destination):
        return Guard(Next.HOLD, reason=refusal)
    if row.lane == SHARED_LANE:
        return Guard(Next.GO)
    # After the consent: to ask an EHR who somebody is tells it that we know them.
    known = guard.guard(tx, destination, row, now=at)
    if known.next is Next.HOLD and all(_tells_nothing_new(send) for send in sends):
        taken_back = [send.identity for send in sends if send.retracts]
        known = guard.way_back(tx, row, taken_back) or known
    return known


def _part(
    row: Row[Any], sends: Sequence[Send], work: Work, destination: Destination, *, whole: bool
) -> Prepared:
    """Choose what of the rest goes now: as much as the EHR takes, or one unit; or the `whole`."""
    found = order.ready(order.units(sends), work.refused)
    apart = destination.mode in modes.APART
    single = row.way == Way.SINGLE or destination.mode in modes.ONE_BY_ONE
    part = order.first(
        order.apart(found.units) if apart else found.units,
        most_entries=1 if single else destination.most_entries,
        most_bytes=destination.most_bytes,
    )
    going = tuple(send for unit in (found.units if whole else part) for send in unit)
    together = Step.BATCH if apart else Step.BUNDLE
    return Prepared(
        step=Step.SINGLE if (single or apart) and len(going) == 1 else together,
        sends=going,
        together=len(part) == 1,
        alone=single or apart,
        more=len(going) < len(sends) or bool(work.aside.withheld),
        settled=work.news,
        blocked={**found.blocked, **_unsaid(sends, work)},
        refused=tuple(work.refused.values()),
    )


def _unsaid(sends: Sequence[Send], work: Work) -> dict[int, Identity]:
    """Say of what a note is to say, by position, that it waits for a refused note."""
    refused = [one.identity for one in sends if one.position in work.refused]
    notes = [one for one in refused if one.type == NOTE_TYPE] or refused
    return dict.fromkeys(work.aside.withheld, notes[0]) if notes else {}


def _most_reads(destination: Destination) -> int:
    """Return how many are read back at a time: within a lease, also where each is a request."""
    if destination.reads_in_batches:
        return destination.most_entries
    return MOST_SINGLE_READS


def _refusal(tx: Connection, row: Row[Any], sends: Sequence[Send], destination: Destination) -> str:
    source = tx.execute(_SOURCE, {"of_record": row.record_id}).one()
    shared = row.lane == SHARED_LANE
    if bundle.foreign_patients(sends, "" if shared else source.subject):
        return WRONG_PATIENT
    if shared:
        return ""
    if merged := _merged(tx, row):
        return f"{MERGED}the EHR merged this patient or put it out of use: drift {merged}"
    if source.retracted and all(_tells_nothing_new(send) for send in sends):
        return ""
    need = consent.Need(
        destination=destination.name,
        sharing_required=destination.requires_consent,
        part_2=labels.is_part_2(tx, source.labels, [send.resource for send in sends]),
    )
    refusal = consent.refusal(tx, source.patient_key, need)
    return f"consent: {refusal}" if refusal else ""


def _tells_nothing_new(send: Send) -> bool:
    """Say of what takes a chart back whether the EHR has all of it: it is no new disclosure."""
    return send.retracts or send.takes_back or send.identity.type == "Provenance"


def _merged(tx: Connection, row: Row[Any]) -> str:
    """Return the open finding that says so of this lane's patient, or ""."""
    return tx.scalar(_MERGED, {"of_ehr": row.destination, "of_lane": row.lane}) or ""


def _blocked(
    tx: Connection,
    row: Row[Any],
    sends: Sequence[Send],
    there: Collection[Identity],
) -> str:
    """Name the delivery that owes what one of these resources points to, or return ""."""
    owed = beside.undelivered_before(tx, row)
    for send in sends:
        for named in send.named:
            if named in owed and named not in there:
                return owed[named]
    return ""


def _unknown(sends: Sequence[Send], there: Collection[Identity]) -> Identity | None:
    """Return what one of these points to and an EHR that gives ids has never named, or None."""
    named = (Identity(*one) for send in sends for one in send.there.unknown(send.body))
    return next((one for one in named if one not in there), None)


def _dose_blocked(
    tx: Connection,
    body: Body,
    row: Row[Any],
    sends: Sequence[Send],
    there: Collection[Identity],
) -> str:
    """Name the delivery that owes an event of which one of these doses is suspected, or return "".

    The dose alone would say that nothing happened.
    """
    doses = {send.identity for send in sends if send.identity.type == order.DOSE}
    if not doses:
        return ""
    for resource_row, owing in beside.waiting_before(tx, row, order.EVENT_TYPES).items():
        event = body(tx, resource_row)
        if Identity(event["resourceType"], event["id"]) in there:
            continue  # it goes together with its doses
        if doses & order.suspected(event):
            return owing
    return ""
