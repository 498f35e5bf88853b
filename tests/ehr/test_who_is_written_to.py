"""Adding a destination reads; it writes only to a sandbox, a named test server, or by agreement."""

from typing import Any

import pytest

from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Request
from fhirbridge.ehr.probe import NotAnEhrError
from fhirbridge.fhir import codec
from fhirbridge.signin.methods import Change
from tests.factories import World, a_short_visit
from tests.fakes import FarSide, Fault, Says, Trouble

BASE = "https://ehr.example.org/fhir"
HOSPITAL = Says(
    status=200,
    body=codec.encode(
        {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "software": {"name": "A hospital's EHR"},
        }
    ),
)


@pytest.fixture
def world() -> World:
    made = World()
    made.ehrs["ehr"] = FarSide(made.clock, BASE)
    return made


def as_a_hospital(request: Request) -> Trouble:
    return HOSPITAL if request.url.endswith("/metadata") else None


def add(world: World, *, test_server: bool) -> Destination:
    return world.bridge.add_destination(
        name="ehr",
        base_url=BASE,
        requires_consent=False,
        test_server=test_server,
        networks=(),
        sign_in=Change(open_allowed=True),
        actor="test",
    )


def test_safety_02_a_production_server_is_only_read_and_gets_no_delivery(world: World) -> None:
    world.ehr.transport.choose = as_a_hospital
    world.accept(a_short_visit())

    added = add(world, test_server=False)
    world.bridge.probe_destination("ehr", actor="test")
    world.sync()

    assert {request.method for request in world.ehr.transport.sent} == {"GET"}
    assert {request.url for request in world.ehr.transport.sent} == {f"{BASE}/metadata"}
    assert (added.mode, added.paused) == (Mode.UNPROVEN, registry.NOT_PROVEN)
    assert world.ehr.references() == []


def test_safety_02_a_production_server_is_tried_by_agreement_alone_and_nothing_stays(
    world: World,
) -> None:
    """Without it no delivery would ever reach a hospital: what it honours must be seen first."""
    world.ehr.transport.choose = as_a_hospital
    add(world, test_server=False)

    proven = world.bridge.probe_destination("ehr", agreed_with="integration desk", actor="test")

    assert (proven.mode, proven.paused, proven.test_server) == (Mode.TRANSACTION, "", False)
    assert world.ehr.references() == []
    writes = [one for one in world.ehr.transport.sent if one.method in {"PUT", "POST"}]
    bodies = [one.body or b"" for one in writes if not one.url.endswith("_search")]
    assert bodies
    assert [one for one in bodies if b"Synthetic-Probe" not in one] == []
    agreed = [codec.decode(row.detail.encode())["agreed"] for row in probes(world)]
    assert agreed == [False, True]
    said = world.bridge.reasons("ehr", actor="test")
    assert [one["reason"] for one in said] == ["integration desk"]


def test_safety_02_a_later_look_at_a_production_server_reads_and_leaves_the_proof(
    world: World,
) -> None:
    world.ehr.transport.choose = as_a_hospital
    add(world, test_server=False)
    proven = world.bridge.probe_destination("ehr", agreed_with="integration desk", actor="test")
    world.ehr.transport.sent.clear()

    again = world.bridge.probe_destination("ehr", actor="test")

    assert again == proven
    assert {request.method for request in world.ehr.transport.sent} == {"GET"}


def test_safety_02_a_production_server_that_promises_something_else_is_proven_anew(
    world: World,
) -> None:
    world.ehr.transport.choose = as_a_hospital
    add(world, test_server=False)
    world.bridge.probe_destination("ehr", agreed_with="integration desk", actor="test")
    other = codec.decode(HOSPITAL.body) | {"rest": [{"mode": "server"}]}
    changed = Says(status=200, body=codec.encode(other))
    world.ehr.transport.choose = lambda one: changed if one.url.endswith("/metadata") else None

    again = world.bridge.probe_destination("ehr", actor="test")

    assert (again.mode, again.paused) == (Mode.UNPROVEN, registry.NOT_PROVEN)


def probes(world: World) -> list[Any]:
    return world.evidence("destination.probed")


def test_a_server_named_as_a_test_server_is_tried_and_nothing_stays(world: World) -> None:
    world.ehr.transport.choose = as_a_hospital

    added = add(world, test_server=True)

    assert (added.mode, added.paused) == (Mode.TRANSACTION, "")
    assert {request.method for request in world.ehr.transport.sent} >= {"PUT", "POST", "DELETE"}
    assert world.ehr.references() == []


def test_a_sandbox_says_so_and_is_tried_without_being_named(world: World) -> None:
    added = add(world, test_server=False)

    assert (added.mode, added.paused) == (Mode.TRANSACTION, "")
    assert world.ehr.references() == []


def test_an_address_where_nothing_answers_is_not_added(world: World) -> None:
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT

    with pytest.raises(NotAnEhrError):
        add(world, test_server=True)

    assert world.bridge.destinations() == []
    assert world.rows() == []


def test_a_probe_that_finds_a_guard_gone_stops_deliveries(world: World) -> None:
    add(world, test_server=True)

    def forgetful(request: Request) -> Trouble:
        return Says(status=200, body=request.body or b"") if request.method == "PUT" else None

    world.ehr.transport.choose = forgetful
    again = world.bridge.probe_destination("ehr", actor="test")

    assert again.mode == Mode.UNPROVEN
    assert "update guarded by If-Match" in again.paused
