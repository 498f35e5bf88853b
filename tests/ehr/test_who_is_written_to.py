"""Adding a destination reads; it writes only to a sandbox or to a server named as a test server."""

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
