"""What Prometheus is told; its own parser reads it here."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from fhirbridge.destinations import registry
from fhirbridge.overview import metrics
from tests.factories import World, a_short_visit
from tests.journey.canaries import hits, record_with_canaries

Labels = tuple[str, ...]


def told(world: World) -> dict[tuple[str, Labels], float]:
    """Return each sample: its name and the values of its labels, to its number."""
    with world.store.read() as tx:
        text = metrics.text(tx, now=world.clock.now()).decode()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    found = {(one.name, tuple(one.labels.values())): float(one.value) for one in samples}
    assert len(found) == len(samples), "no name and labels stand twice"
    return found


def test_a_new_installation_has_nothing_and_says_so() -> None:
    found = told(World())

    assert found["fhirbridge_records", ()] == 0
    assert found["fhirbridge_quarantined", ()] == 0


def test_what_waits_and_what_arrived_is_counted_by_destination() -> None:
    world = World()
    world.connect()
    world.accept(a_short_visit())
    before = told(world)
    world.sync()
    after = told(world)

    assert before["fhirbridge_deliveries", ("ehr", "pending")] == 2
    assert before["fhirbridge_resources", ("ehr",)] == 0
    assert after["fhirbridge_deliveries", ("ehr", "pending")] == 0
    assert after["fhirbridge_deliveries", ("ehr", "delivered")] == 2
    assert after["fhirbridge_resources", ("ehr",)] == len(world.ledger())
    assert after["fhirbridge_records", ()] == 1


def test_r34_the_lag_is_there_for_each_destination() -> None:
    world = World()
    world.connect()
    world.accept(a_short_visit())
    world.clock.advance(timedelta(seconds=7))
    before = told(world)
    world.sync()
    after = told(world)

    assert before["fhirbridge_waiting_seconds", ("ehr",)] == 7
    assert after["fhirbridge_waiting_seconds", ("ehr",)] == 0
    assert after["fhirbridge_lag_seconds", ("ehr", "0.95")] == 7


def test_a_destination_that_gets_nothing_is_down_and_its_alert_is_there() -> None:
    world = World()
    world.connect()
    world.accept(a_short_visit())
    up = told(world)
    with world.store.begin() as tx:
        registry.pause(tx, "ehr", "it is not what was probed")
    world.clock.advance(timedelta(hours=2))
    world.bridge.check_alerts()
    down = told(world)

    assert up["fhirbridge_destination_up", ("ehr",)] == 1
    assert down["fhirbridge_destination_up", ("ehr",)] == 0
    assert [key for key in down if key[0] == "fhirbridge_alert" and "ehr" in key[1]]


def test_r40_s13_nothing_of_a_patient_is_told() -> None:
    world = World()
    world.connect()
    record, tokens = record_with_canaries()
    world.accept(record)
    world.sync()
    with world.store.read() as tx:
        text = metrics.text(tx, now=world.clock.now())

    assert b"fhirbridge_records 1.0" in text
    assert hits(text, tokens) == []
