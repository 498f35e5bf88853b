"""Every write is done and its answer lost, so many times."""

from fhirbridge.egress.exchange import Request
from tests.deliver.refusing import written
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import Fault, Trouble
from tests.mapping_sets import few_mappings

VERSIONS = 5  # of one visit; then the next patient


def lost_answers(count: int) -> list[str]:
    """Lose the answers to `count` writes; return what is missing, doubled or differs."""
    world = World(mapped=few_mappings)
    world.connect()
    lost = 0

    def lose(request: Request) -> Trouble:
        nonlocal lost
        lost += bool(written(request))
        return Fault.LOST if written(request) else None

    world.ehr.transport.choose = lose
    patient = 0
    while lost < count:
        patient += 1
        record = a_short_visit(patient=f"pt-{patient}")
        for version in range(VERSIONS):
            record = amended(record, rate(60 + version)) if version else record
            world.take(record)
            world.settle()
    wrong = [f"{row.state}: {row.reason}" for row in world.rows() if row.state != "delivered"]
    for one in world.ehr.references():
        many = VERSIONS if one.startswith("Observation") else 1
        versions = len(world.ehr.history(one))
        wrong += [f"{one} has {versions} versions"] if versions != many else []
    return wrong + world.differing()
