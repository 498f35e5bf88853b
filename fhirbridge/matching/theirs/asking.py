"""Ask an EHR for what it has itself. Knows no database and decides nothing.

Searches go by POST, so that no URL says a number; reads go by the EHR's own ids.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import Response, Unknown
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import token
from fhirbridge.fhir.references import is_id
from fhirbridge.matching.asking import GONE, NoAnswerError, entries, has_next, resource
from fhirbridge.matching.theirs.decide import Shown, Wanted

MOST_SEARCHES = 5  # in one step: within a lease
MOST_HITS = 2  # more than one is not certain, whichever they are
# What says that this EHR lets nobody look for such a thing, or does not know how.
REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)


def ask(ehr: Ehr, wanted: Sequence[Wanted]) -> Outcome:
    """Return what the EHR shows of each, as one Bundle, or the exchange that failed."""
    try:
        shown = _Asking(ehr).ask(wanted)
    except NoAnswerError as error:
        return error.outcome
    return Response(status=HTTPStatus.OK, headers={}, body=codec.encode(_bundle(shown)))


def read(bundle: Mapping[str, Any]) -> list[Shown]:
    """Read what `ask` wrote; the evidence keeps it, and the decisions are made from just that."""
    told = [_told(one["part"]) for one in bundle["entry"][0]["resource"]["parameter"]]
    bodies = [one["resource"] for one in bundle["entry"][1:]]
    found = []
    for count, more, refused in told:
        found.append(Shown(bodies=tuple(bodies[:count]), more=more, refused=refused))
        bodies = bodies[count:]
    return found


def _told(parts: Sequence[Mapping[str, Any]]) -> tuple[int, bool, bool]:
    said = {one["name"]: one for one in parts}
    refused, more = said["refused"]["valueBoolean"], said["more"]["valueBoolean"]
    return int(said["count"]["valueInteger"]), more, refused


class _Asking:
    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self._base = ehr.base_url.rstrip("/") + "/"

    def ask(self, wanted: Sequence[Wanted]) -> list[Shown]:
        known = {one.reference: one for one in wanted if one.reference}
        read_now = self._read(list(known)) if known else {}
        return [read_now[one.reference] if one.reference else self._search(one) for one in wanted]

    def _read(self, references: Sequence[str]) -> dict[str, Shown]:
        answer = resource(self._ehr.read_many(references))
        found = entries(answer)
        if answer.get("resourceType") != "Bundle" or len(found) != len(references):
            raise NoAnswerError(Unknown(reason="the EHR left reads out of its answer"))
        return {
            reference: self._one(reference, entry)
            for reference, entry in zip(references, found, strict=True)
        }

    def _one(self, reference: str, entry: Mapping[str, Any]) -> Shown:
        response = entry.get("response")
        status = str(response.get("status", ""))[:3] if isinstance(response, dict) else ""
        body = entry.get("resource")
        if status in GONE:
            return Shown()
        if status.isdecimal() and int(status) in REFUSED:
            return Shown(refused=True)
        named = isinstance(body, dict) and f"{body.get('resourceType')}/{body.get('id')}"
        if status != "200" or not isinstance(body, dict) or named != reference:
            raise NoAnswerError(Unknown(reason="the EHR did not say what it has under an id"))
        return Shown(bodies=(self._local(body),))

    def _search(self, wanted: Wanted) -> Shown:
        assert wanted.token is not None
        outcome = self._ehr.search(
            wanted.type, identifier=token(*wanted.token), _count=str(MOST_HITS)
        )
        if isinstance(outcome, Response) and outcome.status in REFUSED:
            return Shown(refused=True)
        answer = resource(outcome)
        if answer.get("resourceType") != "Bundle" or answer.get("type") != "searchset":
            raise NoAnswerError(Unknown(reason="a search was answered with something else"))
        found = {}
        for entry in entries(answer):
            search, body = entry.get("search"), entry.get("resource")
            mode = search.get("mode", "match") if isinstance(search, dict) else "match"
            if not isinstance(body, dict) or mode != "match":
                continue
            if body.get("resourceType") != wanted.type or not is_id(str(body.get("id", ""))):
                raise NoAnswerError(Unknown(reason="a search found something of another type"))
            found[body["id"]] = self._local(body)
        return Shown(bodies=tuple(found.values())[:MOST_HITS], more=has_next(answer))

    def _local(self, value: Any) -> Any:
        """Return a resource in which what points to this EHR does so by `Type/id`."""
        if isinstance(value, dict):
            changed = {name: self._local(item) for name, item in value.items()}
            target = changed.get("reference")
            if isinstance(target, str):
                changed["reference"] = target.removeprefix(self._base)
            return changed
        return [self._local(item) for item in value] if isinstance(value, list) else value


def _bundle(shown: Sequence[Shown]) -> dict[str, Any]:
    told = [
        {
            "name": "shown",
            "part": [
                {"name": "count", "valueInteger": len(one.bodies)},
                {"name": "more", "valueBoolean": one.more},
                {"name": "refused", "valueBoolean": one.refused},
            ],
        }
        for one in shown
    ]
    first = {"resource": {"resourceType": "Parameters", "parameter": told}}
    rest = [{"resource": body} for one in shown for body in one.bodies]
    return {"resourceType": "Bundle", "type": "collection", "entry": [first, *rest]}
