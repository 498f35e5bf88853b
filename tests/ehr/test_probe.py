"""A look reads what a server says of itself; what is no R4 server is refused."""

from dataclasses import replace
from typing import Any

import pytest

from fhirbridge.egress.exchange import NotSent, Unknown
from fhirbridge.ehr import probe
from fhirbridge.ehr.probe import NotAnEhrError, Traits
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec
from tests.ehr.scripted import BASE, Flawed, Outcome, ScriptedTransport, answer

STATEMENT = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}


def looked_at(outcome: Outcome) -> Traits:
    return probe.look(Ehr(base_url=BASE, transport=ScriptedTransport([outcome])))


@pytest.mark.parametrize("version", ["4.0.1", "4.0.0"])
def test_a_look_reads_the_capability_statement_and_nothing_else(version: str) -> None:
    software = {"software": {"name": "HAPI FHIR Server"}}
    transport = ScriptedTransport([answer(200, STATEMENT | software | {"fhirVersion": version})])

    seen = probe.look(Ehr(base_url=BASE, transport=transport))

    assert len(seen.capability) == len(codec.content_hash({}))
    bare = Traits(software="HAPI FHIR Server", sandbox=False)
    assert replace(seen, capability="", claims={}) == bare
    assert set(seen.claims.values()) == {False}
    assert [request.method for request in transport.requests] == ["GET"]


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
