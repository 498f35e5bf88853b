"""Find out what a server really honours, on resources of our own that are removed again."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.probe import Traits, body_of
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import ID, is_id

NEW_BY_VERSION = {"ifMatch": 'W/"0"'}
NEW_BY_NONE = {"ifNoneMatch": "*"}
NO_VERSION = 'W/"none"'
ETAG = re.compile(rf'(?:W/)?"{ID}"')
OK = (HTTPStatus.OK, HTTPStatus.CREATED)
REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
# Whatever was asked: who asks, too often, or at a bad time.
NOT_FOR_ITSELF = (401, 408, 423, 425, 429)
SYSTEM = "https://fhirbridge.invalid/probe"
POSTED = "p"  # ends the identifier of what the server names itself
DECIMAL = codec.decode(b"72.50")

Guard = Mapping[str, str]


def try_writes(ehr: Ehr, seen: Traits, probe_id: str) -> Traits:
    """Try guards, bundles and searches on Patients that are nobody, then remove them.

    For a sandbox, a named test server, or where somebody there agreed; never on anyone's chart.
    """
    trial = _Trial(ehr, probe_id)
    try:
        found = trial.run(seen)
    finally:
        left = trial.remove()
    return replace(found, delete=trial.deletes, left_behind=left)


class _Trial:
    def __init__(self, ehr: Ehr, probe_id: str) -> None:
        self._ehr = ehr
        self._id = probe_id
        self._made: dict[str, None] = {}  # references of what may be there now
        self._posted_unheard = False
        self._held = ""  # the reference of one that is there
        self.deletes = False

    def run(self, seen: Traits) -> Traits:
        """Try everything but the removal."""
        by_version = self._creates_once(self._id, NEW_BY_VERSION)
        by_none = self._creates_once(f"{self._id}b", NEW_BY_NONE)
        conditional = self._creates_one_of({"identifier": f"{SYSTEM}|{self._id}{POSTED}"})
        tagged = self._creates_one_of({"_tag": f"{SYSTEM}|{self._id}{POSTED}"})
        own_ids = self._find_one()
        first = self._ehr.read(self._held)
        before, own = etag(first), self._held.partition("/")[2]
        updated = self._put(own, "three", {"ifMatch": before})
        stale = self._put(own, "four", {"ifMatch": before})
        after = etag(self._ehr.read(self._held))
        new = NEW_BY_NONE if by_none and not by_version else NEW_BY_VERSION
        return replace(
            seen,
            own_ids=own_ids,
            create_guard=by_version,
            create_none_match=by_none,
            conditional_create=conditional,
            tag_create=tagged,
            versions=NO_VERSION not in (before, after) and before != after,
            version_guard=_status(updated) in OK and _status(stale) in REFUSED,
            update=self._takes_updates(updated),
            transaction=self._transaction_is_atomic(own, new, before),
            batch=self._batch_is_guarded(own, new, before),
            search=self._held in (self._searched() or ()),
            decimals=isinstance(first, Response) and b"72.50" in first.body,
            history=self._has_history(),
        )

    def remove(self) -> tuple[str, ...]:
        """Delete all that was or may have been made; return what was not seen to be gone."""
        found = self._searched()
        for reference in found if found is not None else ():
            self._made[reference] = None
        left = [reference for reference in self._made if not self._is_removed(reference)]
        if self._posted_unheard and found is None:
            left.append(f"a Patient of identifier {self._id}{POSTED}")
        return tuple(left)

    def _is_removed(self, reference: str) -> bool:
        deleted = _status(self._ehr.delete(reference))
        gone = _status(self._ehr.read(reference)) in GONE
        if reference == self._held:
            self.deletes = deleted in (*OK, HTTPStatus.NO_CONTENT) and gone
        return gone

    # --- single requests ----------------------------------------------------------------------

    def _creates_once(self, own: str, new: Guard) -> bool:
        created = self._put(own, "one", new)
        again = self._put(own, "two", new)
        return _status(created) in OK and _status(again) in REFUSED

    def _put(self, own: str, word: str, guard: Guard) -> Outcome:
        outcome = self._ehr.put(
            f"Patient/{own}",
            codec.encode(_patient(own, word, self._id)),
            if_match=guard.get("ifMatch", ""),
            if_none_match=guard.get("ifNoneMatch", ""),
        )
        self._note(outcome, own)
        return outcome

    def _creates_one_of(self, criteria: Mapping[str, str]) -> bool:
        """Say whether a second POST of the same criteria finds the first, and leaves it alone."""
        first = self._post("first", criteria)
        second = self._post("second", criteria)
        one, other = _id_of(first), _id_of(second)
        return (
            _status(first) == HTTPStatus.CREATED
            and _status(second) == HTTPStatus.OK
            and bool(one)
            and other in ("", one)
            and _word(self._ehr.read(f"Patient/{one}")) == "first"
        )

    def _takes_updates(self, updated: Outcome) -> bool | None:
        """Say whether it takes an update at all; None where the answer does not tell.

        Refused for what it is, not for its guard; and what is there is as it was.
        """
        if _status(updated) in OK:
            return True
        as_such = _is_refusal(updated) and _status(updated) not in (*REFUSED, *NOT_FOR_ITSELF)
        there = _word(self._ehr.read(self._held))
        return False if as_such and there not in ("", "three") else None

    def _post(self, word: str, criteria: Mapping[str, str]) -> Outcome:
        named = f"{self._id}{POSTED}"
        body = {name: one for name, one in _patient("", word, named).items() if name != "id"}
        if "_tag" in criteria:
            body["meta"] = {"tag": [{"system": SYSTEM, "code": named}]}
        outcome = self._ehr.create("Patient", codec.encode(body), if_none_exist=urlencode(criteria))
        own = _id_of(outcome)
        if own:
            self._note(outcome, own)
        self._posted_unheard |= not own and not _is_refusal(outcome)
        return outcome

    def _find_one(self) -> bool:
        """Choose one that is there for what follows; say whether it has an id of ours."""
        for own in (self._id, f"{self._id}b"):
            if body_of(self._ehr.read(f"Patient/{own}")).get("id") == own:
                self._held = f"Patient/{own}"
                return True
        posted = [one for one in self._made if not one.startswith(f"Patient/{self._id}")]
        self._held = posted[0] if posted else f"Patient/{self._id}"
        return False

    def _searched(self) -> list[str] | None:
        """Return what a search by identifier finds of ours; None where it says nothing."""
        values = (self._id, f"{self._id}{POSTED}")
        wanted = ",".join(f"{SYSTEM}|{value}" for value in values)
        answer = body_of(self._ehr.search("Patient", identifier=wanted))
        if answer.get("type") != "searchset":
            return None
        ours = [[{"system": SYSTEM, "value": value}] for value in values]
        found = [_object(entry.get("resource")) for entry in _entries(answer)]
        return [
            f"Patient/{one['id']}"
            for one in found
            if one.get("identifier") in ours and is_id(str(one.get("id", "")))
        ]

    def _has_history(self) -> bool:
        answer = body_of(self._ehr.history(self._held))
        return answer.get("type") == "history" and bool(_entries(answer))

    # --- bundles ------------------------------------------------------------------------------

    def _transaction_is_atomic(self, held: str, new: Guard, stale: str) -> bool:
        """Say whether a good entry falls with a guarded one, and passes alone."""
        fresh = f"{self._id}c"
        refused = [
            self._bundle("transaction", [(fresh, new), (held, guard)])
            for guard in (new, {"ifMatch": stale})
        ]
        absent = self._ehr.read(f"Patient/{fresh}")
        passed = self._bundle("transaction", [(fresh, new)])
        return (
            all(_status(one) in REFUSED for one in refused)
            and _status(absent) in GONE
            and _status(passed) == HTTPStatus.OK
            and _status(self._ehr.read(f"Patient/{fresh}")) == HTTPStatus.OK
        )

    def _batch_is_guarded(self, held: str, new: Guard, stale: str) -> bool:
        """Say whether a good entry passes beside guarded ones that are refused."""
        fresh = f"{self._id}d"
        answer = self._bundle("batch", [(fresh, new), (held, {"ifMatch": stale}), (held, new)])
        found = [
            str(_object(entry.get("response")).get("status", ""))[:3]
            for entry in _entries(body_of(answer))
        ]
        return (
            len(found) == len(("fresh", "stale", "twice"))
            and found[0] in {str(int(one)) for one in OK}
            and set(found[1:]) <= {str(int(one)) for one in REFUSED}
            and _status(self._ehr.read(f"Patient/{fresh}")) == HTTPStatus.OK
        )

    def _bundle(self, kind: str, entries: Sequence[tuple[str, Guard]]) -> Outcome:
        made = [
            {
                "resource": _patient(own, "bundle", self._id),
                "request": {"method": "PUT", "url": f"Patient/{own}", **guard},
            }
            for own, guard in entries
        ]
        body = {"resourceType": "Bundle", "type": kind, "entry": made}
        outcome = self._ehr.bundle(codec.encode(body))
        for own, _ in entries:
            self._note(outcome, own)
        return outcome

    def _note(self, outcome: Outcome, own: str) -> None:
        """Remember what may be there after this answer."""
        if not _is_refusal(outcome):
            self._made[f"Patient/{own}"] = None


def etag(outcome: Outcome) -> str:
    """Return the version to guard by: the ETag, or meta.versionId where the server sends none.

    Where neither can stand in a header there is no version: the guard then guards nothing.
    """
    version = _object(body_of(outcome).get("meta")).get("versionId")
    tag = outcome.headers.get("etag", "") if isinstance(outcome, Response) else ""
    if ETAG.fullmatch(tag):
        return tag
    tag = f'W/"{version}"'
    return tag if ETAG.fullmatch(tag) else NO_VERSION


def _patient(own: str, word: str, named: str) -> dict[str, Any]:
    """Build the probe's own resource: nobody, and it says so; an extension has the decimal."""
    return {
        "resourceType": "Patient",
        "id": own,
        "identifier": [{"system": SYSTEM, "value": named}],
        "extension": [{"url": SYSTEM, "valueDecimal": DECIMAL}],
        "active": False,
        "name": [{"family": "Synthetic-Probe", "given": [word]}],
    }


def _word(outcome: Outcome) -> str:
    """Return the word by which one version of the probe's resource differs from the others."""
    names = body_of(outcome).get("name")
    given = _object(names[0]).get("given") if isinstance(names, list) and names else None
    return str(given[0]) if isinstance(given, list) and given else ""


def _id_of(outcome: Outcome) -> str:
    """Return under which id a POST was stored, or ""; from its Location, else its body."""
    if not isinstance(outcome, Response) or outcome.status not in OK:
        return ""
    path = outcome.headers.get("location", "").partition("/_history/")[0]
    before, _, own = path.rpartition("/")
    if before.rpartition("/")[2] != "Patient":
        own = str(body_of(outcome).get("id", ""))
    return own if is_id(own) else ""


def _entries(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = bundle.get("entry")
    return [_object(one) for one in found] if isinstance(found, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _status(outcome: Outcome) -> int:
    return outcome.status if isinstance(outcome, Response) else 0


def _is_refusal(outcome: Outcome) -> bool:
    refusals = range(HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
    return _status(outcome) in refusals
