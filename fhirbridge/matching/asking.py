"""Ask an EHR who a patient is. Knows no database and decides nothing.

Searches go by POST, so that no URL says who was looked for; reads go by the EHR's own ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fhirbridge.egress.exchange import Response, Unknown
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import token
from fhirbridge.fhir.references import is_id
from fhirbridge.matching import merges, sight
from fhirbridge.matching.decide import How
from fhirbridge.matching.merges import MOST_HOPS
from fhirbridge.matching.person import Token

MOST_HITS = 5
MOST_READ = 50  # in one request
# What a server answers to an operation that it does not have.
NO_MATCH = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)
GONE = ("404", "410")
ASKED = ("identifier", "name", "birthDate", "gender", "telecom", "address")

Bodies = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whom to look for: by `tokens`, else by `$match` of `patient`; or how `known` ones are now."""

    tokens: tuple[Token, ...] = ()
    patient: Mapping[str, Any] | None = None  # as this EHR names its identifiers; None: no $match
    known: tuple[str, ...] = ()  # `Patient/id`


class NoAnswerError(Exception):
    """The EHR did not say; `outcome` is what came instead, and says whether asking again helps."""

    def __init__(self, outcome: Outcome) -> None:
        """Keep what came."""
        super().__init__("the EHR did not say who the patient is")
        self.outcome = outcome


def ask(ehr: Ehr, question: Question) -> Outcome:
    """Return what the EHR shows, as `sight.bundle` writes it, or the exchange that failed."""
    try:
        found = _Asking(ehr).ask(question)
    except NoAnswerError as error:
        return error.outcome
    return Response(status=HTTPStatus.OK, headers={}, body=codec.encode(found))


class _Asking:
    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self._base = ehr.base_url.rstrip("/") + "/"
        self._bodies: Bodies = {}
        self._gone: set[str] = set()

    def ask(self, question: Question) -> dict[str, Any]:
        if question.known:
            self._read(question.known)
            self._follow(question.known)
            return sight.bundle(How.MERGE, (), self._bodies, more=False)
        how, more = How.IDENTIFIER, False
        hits: tuple[str, ...] = ()
        if question.tokens:
            hits, more = self._by_identifier(question.tokens)
        if not hits and question.patient is not None:
            how = How.MATCH
            hits, more = self._by_match(question.patient)
        if not more:
            self._follow(hits)
        return sight.bundle(how, hits, self._bodies, more=more)

    def _by_identifier(self, tokens: Iterable[Token]) -> tuple[tuple[str, ...], bool]:
        wanted = ",".join(token(system, value) for system, value in tokens)
        answer = self._searchset(
            self._ehr.search("Patient", identifier=wanted, _count=str(MOST_HITS + 1))
        )
        return self._hits(answer, entries(answer))

    def _by_match(self, patient: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
        outcome = self._ehr.match(codec.encode(parameters(patient)))
        if isinstance(outcome, Response) and outcome.status in NO_MATCH:
            return (), False
        answer = self._searchset(outcome)
        certain = [one for one in entries(answer) if sight.is_certain(one)]
        return self._hits(answer, certain)

    def _hits(
        self, answer: Mapping[str, Any], among: Sequence[dict[str, Any]]
    ) -> tuple[tuple[str, ...], bool]:
        """Take the Patients among these entries, but no golden record."""
        found: dict[str, None] = {}
        for entry in among:
            search, body = entry.get("search"), entry.get("resource")
            mode = search.get("mode", "match") if isinstance(search, dict) else "match"
            if not isinstance(body, dict) or mode != "match":
                continue
            if body.get("resourceType") != "Patient" or not is_id(str(body.get("id", ""))):
                raise NoAnswerError(Unknown(reason="a search for patients found something else"))
            if not sight.is_golden(body):
                found[self._keep(body)] = None
        more = len(found) > MOST_HITS or has_next(answer)
        return tuple(found)[:MOST_HITS], more

    def _follow(self, references: Iterable[str]) -> None:
        """Read what replaces these patients, as far as a chain may be long."""
        ahead = tuple(references)
        for _ in range(MOST_HOPS + 1):
            onward = [far for one in ahead if one in self._bodies for far in self._onward(one)]
            ahead = tuple(
                one
                for one in dict.fromkeys(onward)
                if one not in self._bodies and one not in self._gone and _is_patient(one)
            )[:MOST_READ]
            if not ahead:
                return
            self._read(ahead)

    def _onward(self, reference: str) -> tuple[str, ...]:
        body = self._bodies[reference]
        if merges.replaced_by(body) or body.get("active") is not False:
            return merges.replaced_by(body)
        # Out of use, and it does not say for whom: perhaps the other one does.
        outcome = self._ehr.search("Patient", link=reference, _count=str(MOST_HITS))
        if not isinstance(outcome, Response) or outcome.status != HTTPStatus.OK:
            return ()  # few servers know this search; then it is out of use, and a person looks
        self._hits(answer := self._searchset(outcome), entries(answer))
        return ()

    def _read(self, references: Sequence[str]) -> None:
        answer = resource(self._ehr.read_many(references))
        found = entries(answer)
        if answer.get("resourceType") != "Bundle" or len(found) != len(references):
            raise NoAnswerError(Unknown(reason="the EHR left reads of patients out of its answer"))
        for reference, entry in zip(references, found, strict=True):
            response = entry.get("response")
            status = str(response.get("status", ""))[:3] if isinstance(response, dict) else ""
            body = entry.get("resource")
            if status in GONE:
                self._gone.add(reference)
            elif status == "200" and isinstance(body, dict) and _name(body) == reference:
                self._keep(body)
            else:
                raise NoAnswerError(Unknown(reason="the EHR did not say what a patient is now"))

    def _keep(self, body: dict[str, Any]) -> str:
        """Keep a Patient, with its links as `Patient/id` where they are to this EHR."""
        links = body.get("link")
        if isinstance(links, list):
            body = {**body, "link": [self._local(one) for one in links]}
        self._bodies[_name(body)] = body
        return _name(body)

    def _local(self, link: Any) -> Any:
        other = link.get("other") if isinstance(link, dict) else None
        if not isinstance(other, dict) or not isinstance(other.get("reference"), str):
            return link
        reference = other["reference"].removeprefix(self._base).partition("/_history/")[0]
        return {**link, "other": {**other, "reference": reference}}

    def _searchset(self, outcome: Outcome) -> dict[str, Any]:
        answer = resource(outcome)
        if answer.get("resourceType") != "Bundle" or answer.get("type") != "searchset":
            raise NoAnswerError(Unknown(reason="a search was answered with something else"))
        return answer


def parameters(patient: Mapping[str, Any]) -> dict[str, Any]:
    """Build what `$match` is asked with: who it is, and that only certain matches count."""
    who = {name: patient[name] for name in ASKED if patient.get(name)}
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": {"resourceType": "Patient", **who}},
            {"name": "onlyCertainMatches", "valueBoolean": True},
            {"name": "count", "valueInteger": MOST_HITS},
        ],
    }


def resource(outcome: Outcome) -> dict[str, Any]:
    """Return the body of a 200. Raises NoAnswerError."""
    if not isinstance(outcome, Response) or outcome.status != HTTPStatus.OK:
        raise NoAnswerError(outcome)
    try:
        value = codec.decode(outcome.body)
    except codec.NotJsonError:
        value = None
    if not isinstance(value, dict):
        raise NoAnswerError(Unknown(reason="something came that is no FHIR resource"))
    return value


def entries(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of a Bundle."""
    found = answer.get("entry")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def has_next(answer: Mapping[str, Any]) -> bool:
    """Say whether a Bundle is a page of which more follow."""
    links = answer.get("link")
    found = [one for one in links if isinstance(one, dict)] if isinstance(links, list) else []
    return any(one.get("relation") == "next" for one in found)


def _name(body: Mapping[str, Any]) -> str:
    return f"{body.get('resourceType')}/{body.get('id')}"


def _is_patient(reference: str) -> bool:
    kind, _, own = reference.partition("/")
    return kind == "Patient" and is_id(own)
