"""Make our Subscriptions at an EHR, renew them before they end, and see whether they stand.

The EHR is asked each time which of ours it has: exactly one for each type is left there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import Response
from fhirbridge.ehr import probe
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import is_id, literal
from fhirbridge.subscriptions import wanted as wanted_of
from fhirbridge.subscriptions.book import NOTHING_YET, Checked, Kept
from fhirbridge.subscriptions.wanted import KIND, LIFETIME, State, Wanted

MOST = "200"
DONE = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT)
# It said no more than that it is a bad time, or that somebody else was quicker.
LATER = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.TOO_MANY_REQUESTS,
)
NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
HINT = "ask there whether R4 rest-hook Subscriptions are on, and whether our sign-in may make them"
WORST_FIRST = (State.ERROR, State.REQUESTED, State.ACTIVE)
There = dict[str, Any]


class NotSubscribedError(BridgeError):
    """An EHR gave no certain answer about our Subscriptions, or does not take them."""

    code = "E450"
    http_status = HTTPStatus.BAD_GATEWAY


class RefusedError(NotSubscribedError):
    """An EHR said no: it is not asked again at once."""


def keep(ehr: Ehr, kept: Kept, types: Sequence[str], now: datetime) -> Checked:
    """See to it that there is one Subscription for each of `types`, and none of ours besides.

    What is refused, or gets no answer, is told in `said`, and the rest is not tried.
    """
    if not types:
        return Checked(state=State.REQUESTED, said=NOTHING_YET, ids=kept.ids)
    check = _Check(ehr, kept, now)
    try:
        found = _ours(ehr, kept.wanted, kept.ids.values())
        for kind in types:
            check.settle(kind, _best(found, kept.wanted, kind))
    except NotSubscribedError as error:
        known = {**kept.ids, **check.ids}
        state = State.ERROR if isinstance(error, RefusedError) else kept.state
        return Checked(state=state, said=error.message, ids=known, written=check.written)
    left = [one for one in found if one["id"] not in check.ids.values()]
    return Checked(
        state=min(check.states.values(), key=WORST_FIRST.index),
        said=_words(check.states),
        ids=check.ids,
        written=check.written,
        is_whole=True,
        removed=sum(_remove(ehr, one) for one in left),
        ends_at=min(check.ends, default=None),
    )


@dataclass(slots=True)
class _Check:
    """One check of one EHR, and how far it came."""

    ehr: Ehr
    kept: Kept
    now: datetime
    ids: dict[str, str] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)

    def settle(self, kind: str, there: There | None) -> None:
        """Make or renew the Subscription of one type where that is due."""
        wanted, now, last = self.kept.wanted, self.now, self.kept.renewed_at
        if there is None:
            if kind in self.kept.ids and wanted_of.was_just_written(now, last):
                self.ids[kind], self.states[kind] = self.kept.ids[kind], State.ERROR
                return
            self.ids[kind], state = _made(self.ehr, wanted, kind, now)
            self._note_written(kind, state)
            return
        self.ids[kind] = there["id"]
        state = wanted_of.state(there, now, last)
        if wanted_of.must_be_written(there, wanted, kind, now, last):
            _write(self.ehr, wanted, kind, there, now)
            self._note_written(kind, state if state is State.ERROR else State.REQUESTED)
            return
        self.states[kind] = state
        if (until := wanted_of.ends(there)) is not None:
            self.ends.append(until)

    def _note_written(self, kind: str, state: State) -> None:
        self.states[kind] = state
        self.written.append(kind)
        self.ends.append(self.now + LIFETIME)


def end(ehr: Ehr, wanted: Wanted, ids: Iterable[str]) -> int:
    """Remove all of ours, or turn off what may not be removed; return how many. `ids`: known ones.

    Raises NotSubscribedError where one may be left.
    """
    found = _ours(ehr, wanted, ids)
    for one in found:
        if not _remove(ehr, one) and not _turn_off(ehr, one):
            raise NotSubscribedError(
                f"the EHR keeps {KIND}/{one['id']}", hint="remove it there by hand"
            )
    return len(found)


def _ours(ehr: Ehr, wanted: Wanted, ids: Iterable[str]) -> list[There]:
    """Return ours: all that bear our mark and call us, and those under a known id that lost it."""
    key = wanted.key()
    outcome = ehr.search(KIND, _tag=key.token, _count=MOST)
    answer = _answered(outcome, "a search for our Subscriptions")
    entries = answer.get("entry", [])
    if answer.get("resourceType") != "Bundle" or not isinstance(entries, list):
        raise RefusedError("a search for our Subscriptions was answered with no Bundle")
    listed = [one.get("resource") for one in entries if isinstance(one, dict)]
    bearing = [one for one in listed if isinstance(one, dict) and key.is_of(one)]
    # One that somebody copied or made to call another is not ours to change or remove.
    found = {one["id"]: one for one in bearing if _id(one) and wanted_of.HOOK in _endpoint(one)}
    for own in ids:
        if own not in found and (one := _read(ehr, own, wanted)) is not None:
            found[own] = one
    return list(found.values())


def _read(ehr: Ehr, own: str, wanted: Wanted) -> There | None:
    outcome = ehr.read(f"{KIND}/{own}")
    if isinstance(outcome, Response) and outcome.status in NOT_THERE:
        return None
    there = _answered(outcome, "a read of our Subscription")
    # An EHR that went back to a backup may have given the id to somebody else's.
    calls_us = _endpoint(there).startswith(f"{wanted.address}{wanted_of.HOOK}")
    return there if (there.get("resourceType"), _id(there)) == (KIND, own) and calls_us else None


def _endpoint(there: There) -> str:
    channel = there.get("channel")
    return str(channel.get("endpoint", "")) if isinstance(channel, dict) else ""


def _id(there: There) -> str:
    """Return its id, or "" where it cannot stand in an address."""
    own = there.get("id")
    return own if isinstance(own, str) and is_id(own) else ""


def _best(found: Sequence[There], wanted: Wanted, kind: str) -> There | None:
    """Return the one that is left for a type: an active one, and then always the same."""
    fit = [one for one in found if one.get("criteria") == f"{kind}?" or wanted.key(kind).is_of(one)]
    fit.sort(key=lambda one: (one.get("status") != State.ACTIVE, str(one.get("id"))))
    return fit[0] if fit else None


def _made(ehr: Ehr, wanted: Wanted, kind: str, now: datetime) -> tuple[str, State]:
    """Make one; return its id and how it stands: one that bears our mark may be in its way."""
    body = codec.encode(wanted.body(kind, now))
    outcome = ehr.create(KIND, body, if_none_exist=wanted.key(kind).query)
    answer = _done(outcome, f"to make one for {kind}")
    named = literal({"reference": answer.headers.get("location", "")})
    own = named[1] if named is not None else _id(probe.body_of(answer))
    if not own:
        raise RefusedError(f"the EHR made a Subscription for {kind} and did not name it")
    return own, State.ERROR if answer.status == HTTPStatus.OK else State.REQUESTED


def _write(ehr: Ehr, wanted: Wanted, kind: str, there: There, now: datetime) -> None:
    body = codec.encode(wanted.body(kind, now, there["id"]))
    outcome = ehr.put(f"{KIND}/{there['id']}", body, if_match=_etag(there))
    _done(outcome, f"to renew the one for {kind}")


def _remove(ehr: Ehr, there: There) -> bool:
    outcome = ehr.delete(f"{KIND}/{there['id']}")
    return isinstance(outcome, Response) and outcome.status in (*DONE, *NOT_THERE)


def _turn_off(ehr: Ehr, there: There) -> bool:
    body = codec.encode({**there, "status": State.OFF.value})
    outcome = ehr.put(f"{KIND}/{there['id']}", body, if_match=_etag(there))
    return isinstance(outcome, Response) and outcome.status in DONE


def _etag(there: There) -> str:
    meta = there.get("meta")
    version = str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    return f'W/"{version}"' if version else ""


def _answered(outcome: Outcome, what: str) -> There:
    if not isinstance(outcome, Response):
        raise NotSubscribedError(f"{what} got no answer: {outcome.reason}")
    if outcome.status != HTTPStatus.OK:
        raise _refused(outcome, f"{what} was answered {outcome.status}")
    return probe.body_of(outcome)


def _done(outcome: Outcome, what: str) -> Response:
    if not isinstance(outcome, Response):
        raise NotSubscribedError(f"asked {what}, the EHR gave no answer: {outcome.reason}")
    if outcome.status not in DONE:
        raise _refused(outcome, f"asked {what}, the EHR answered {outcome.status}")
    return outcome


def _refused(answer: Response, said: str) -> NotSubscribedError:
    is_later = answer.status in LATER or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    never = answer.status == HTTPStatus.NOT_IMPLEMENTED
    return RefusedError(said, hint=HINT) if never or not is_later else NotSubscribedError(said)


def _words(states: dict[str, State]) -> str:
    wrong = sorted(kind for kind, one in states.items() if one is State.ERROR)
    return f"not active at the EHR: {', '.join(wrong)}" if wrong else ""
