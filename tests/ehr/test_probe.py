"""A probe believes what it sees: a guard that a server lacks is found, and nothing stays behind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.ehr import probe
from fhirbridge.ehr.probe import NotAnEhrError, Traits
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec
from tests.ehr.scripted import BASE, Flawed, Outcome, ScriptedTransport, answer

PROBE = "fhirbridge-probe-1"
STATEMENT = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
SEEN = Traits(software="Somebody's EHR", sandbox=False)


def looked_at(outcome: Outcome) -> Traits:
    return probe.look(Ehr(base_url=BASE, transport=ScriptedTransport([outcome])))


@pytest.mark.parametrize("version", ["4.0.1", "4.0.0"])
def test_a_look_reads_the_capability_statement_and_nothing_else(version: str) -> None:
    software = {"software": {"name": "HAPI FHIR Server"}}
    transport = ScriptedTransport([answer(200, STATEMENT | software | {"fhirVersion": version})])

    seen = probe.look(Ehr(base_url=BASE, transport=transport))

    assert len(seen.capability) == len(codec.content_hash({}))
    assert replace(seen, capability="") == Traits(software="HAPI FHIR Server", sandbox=False)
    assert [request.method for request in transport.requests] == ["GET"]
    assert not seen.can_transact
    assert seen.missing == ()


def test_a_look_keeps_the_profiles_that_the_server_lists() -> None:
    core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    base = "http://hl7.org/fhir/StructureDefinition/Patient"
    patient = {"type": "Patient", "profile": base, "supportedProfile": [core, core, 7]}
    strange = [{"type": "Group", "supportedProfile": "none"}, "no object"]

    seen = looked_at(answer(200, STATEMENT | {"rest": [{"resource": [patient, *strange]}]}))

    assert seen.profiles == (base, core)


@pytest.mark.parametrize(
    "outcome",
    [
        NotSent(reason="connect: refused"),
        Unknown(reason="read: timeout"),
        answer(200, b"<html>please sign in</html>"),
        answer(200, b""),
        answer(200, b"[]"),
        answer(200, b'"CapabilityStatement"'),
        answer(200, {"resourceType": "OperationOutcome"}),
        answer(401, STATEMENT),
        answer(404),
        answer(302, STATEMENT),
        answer(200, STATEMENT | {"fhirVersion": "3.0.2"}),
        answer(200, STATEMENT | {"fhirVersion": ["4.0.1"]}),
        answer(200, {"resourceType": "CapabilityStatement"}),
    ],
)
def test_what_is_no_r4_server_is_refused(outcome: Outcome) -> None:
    with pytest.raises(NotAnEhrError):
        looked_at(outcome)


@pytest.mark.parametrize(
    ("software", "name"),
    [
        (None, ""),
        ({}, ""),
        ("a text", ""),
        ([], ""),
        ({"name": "x" * 1000}, "x" * 80),
        ({"name": None}, "None"),
    ],
)
def test_a_server_that_names_its_software_oddly_is_still_one(software: Any, name: str) -> None:
    assert looked_at(answer(200, STATEMENT | {"software": software})).software == name


def test_the_sandbox_is_known_by_what_it_says() -> None:
    assert probe.look(Flawed().ehr).sandbox


def test_the_sandbox_honours_all_and_keeps_nothing_of_the_probe() -> None:
    server = Flawed()

    traits = probe.try_writes(server.ehr, SEEN, PROBE)

    assert traits.can_transact
    assert traits.missing == ()
    assert server.far_side.references() == []
    touched = [one for one in server.requests if one.method in ("PUT", "DELETE")]
    assert all(PROBE in one.url for one in touched)


def unguarded(request: Request) -> Request:
    headers = {name: value for name, value in request.headers.items() if name != "If-Match"}
    return replace(request, headers=headers)


def unguarded_updates(request: Request) -> Request:
    stale = request.headers.get("If-Match") not in (None, probe.GUARD_NEW)
    return unguarded(request) if stale else request


def unguarded_entries(request: Request) -> Request:
    if not request.body or b'"transaction"' not in request.body:
        return request
    return replace(request, body=request.body.replace(b'"ifMatch"', b'"ifMatch_"'))


def as_batch(request: Request) -> Request:
    """A server that calls it a transaction and does what it can."""
    if not request.body:
        return request
    return replace(request, body=request.body.replace(b'"transaction"', b'"batch"'))


def rounding(request: Request, outcome: Outcome) -> Outcome:
    if request.method != "GET" or not isinstance(outcome, Response):
        return outcome
    return replace(outcome, body=outcome.body.replace(b"72.50", b"72.5"))


def refusing_our_ids(request: Request) -> Request:
    put = request.method == "PUT"
    return replace(request, url=f"{BASE}/Nothing/x") if put else request


def no_transactions(request: Request, outcome: Outcome) -> Outcome:
    return answer(400) if request.method == "POST" else outcome


def renames(request: Request, outcome: Outcome) -> Outcome:
    """A server that gives ids of its own."""
    other = answer(200, {"resourceType": "Patient", "id": "1"})
    return other if request.method == "GET" else outcome


@pytest.mark.parametrize(
    ("server", "missing"),
    [
        (Flawed(asks=unguarded), {"create_guard", "version_guard"}),
        (Flawed(asks=unguarded_updates), {"version_guard"}),
        (Flawed(asks=unguarded_entries), {"transaction"}),
        (Flawed(asks=as_batch), {"transaction"}),
        (Flawed(says=rounding), {"decimals"}),
        (Flawed(says=no_transactions), {"transaction"}),
        (
            Flawed(asks=refusing_our_ids),
            {"own_ids", "create_guard", "version_guard", "decimals", "transaction"},
        ),
    ],
    ids=[
        "ignores If-Match",
        "ignores a stale If-Match",
        "ignores ifMatch in a transaction",
        "runs a transaction as a batch",
        "rounds decimals",
        "has no transactions",
        "refuses ids of ours",
    ],
)
def test_a_guard_that_a_server_lacks_is_found(server: Flawed, missing: set[str]) -> None:
    traits = probe.try_writes(server.ehr, SEEN, PROBE)

    assert set(traits.missing) == missing
    assert not traits.can_transact
    assert server.far_side.references() == []


def test_a_server_that_gives_other_ids_does_not_take_ours() -> None:
    traits = probe.try_writes(Flawed(says=renames).ehr, SEEN, PROBE)

    assert "own_ids" in traits.missing


@pytest.mark.parametrize(
    "odd",
    [
        answer(200, b"<html>"),
        answer(200, b"[]"),
        answer(200, {"resourceType": "Patient", "meta": []}),
        answer(200, {"resourceType": "Patient", "meta": "1"}),
        answer(200, {"resourceType": "Patient", "meta": {"versionId": 'a"b'}}),
        answer(200, {"resourceType": "Patient"}, etag='W/"1"\r\nX: y'),
        answer(200, {"resourceType": "Patient"}, etag="\u00e4"),
        NotSent(reason="connect: refused"),
        Unknown(reason="read: cut"),
        answer(500),
    ],
    ids=[
        "HTML",
        "a list",
        "meta is a list",
        "meta is a text",
        "a version that breaks out",
        "an ETag with a line break",
        "an ETag beyond ASCII",
        "not sent",
        "unknown",
        "500",
    ],
)
def test_a_server_that_answers_nonsense_lacks_all_and_breaks_nothing(odd: Outcome) -> None:
    server = Flawed(says=lambda request, outcome: odd if request.method != "DELETE" else outcome)

    traits = probe.try_writes(server.ehr, SEEN, PROBE)

    assert not traits.can_transact
    assert "transaction" in traits.missing


def test_what_the_probe_made_is_removed_even_if_it_breaks_off() -> None:
    server = Flawed(says=_breaks_at(5))

    with pytest.raises(RuntimeError):
        probe.try_writes(server.ehr, SEEN, PROBE)

    assert server.far_side.references() == []


def _breaks_at(number: int) -> Callable[[Request, Outcome], Outcome]:
    seen: list[Request] = []

    def says(request: Request, outcome: Outcome) -> Outcome:
        seen.append(request)
        if len(seen) == number:
            raise RuntimeError
        return outcome

    return says


def test_the_probes_patient_is_nobody_and_says_so() -> None:
    server = Flawed()

    probe.try_writes(server.ehr, SEEN, PROBE)

    first = codec.decode(next(one for one in server.requests if one.method == "PUT").body or b"")
    assert first["active"] is False
    assert first["name"][0]["family"] == "Synthetic-Probe"
