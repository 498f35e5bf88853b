"""R40: a token in every field of a record, every fault of the way to an EHR: it is told nowhere."""

import io
from dataclasses import replace
from typing import Any

import pytest

from fhirbridge import log, tracing
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from tests.factories import World
from tests.fakes import Says, Trouble
from tests.journey.canaries import hits, record_with_canaries
from tests.simulation.wire import KINDS
from tests.test_tracing import Collected, collector_of

FEWEST_TOKENS = 20
FAULTS = [(kind, trouble) for kind, all_of in KINDS.items() for trouble in all_of]
SHOWN = {
    "log",
    "traces",
    "addresses",
    "headers",
    "alerts",
    "status",
    "deliveries",
    "evidence",
    "errors",
}


def telling(trouble: Trouble, token: str) -> Trouble:
    """Let the EHR repeat a token wherever it says something."""
    if not isinstance(trouble, Says):
        return trouble
    issue: dict[str, Any] = {"severity": "error", "code": "processing", "diagnostics": token}
    issue |= {"details": {"text": token}, "expression": [f"Patient.{token}"]}
    body = codec.encode({"resourceType": "OperationOutcome", "issue": [issue]})
    return replace(trouble, body=body, headers={**trouble.headers, "x-said": token})


def leaks(trouble: Trouble) -> dict[str, int]:
    """Deliver a record of tokens with this trouble; count the tokens that each place tells."""
    logged, collected = io.StringIO(), Collected()
    log.configure(logged)
    tracing.begin(collector_of(collected))
    world = World()
    world.connect()
    record, tokens = record_with_canaries()
    world.ehr.transport.script = [None, *[telling(trouble, tokens[0])] * 6]
    errors: list[str] = []
    try:
        world.take(record)
        world.settle(days=1)
        world.bridge.reconcile("ehr", full=True, actor="test")
    except BridgeError as error:
        errors += [str(error), error.message, error.hint]
    finally:
        tracing.end()
        log.configure()
    assert collected.sent, "no trace was sent"
    arrived = repr([one.body for one in world.ehr.transport.sent]).encode()
    assert len(hits(arrived, tokens)) >= FEWEST_TOKENS, "the tokens went nowhere at all"
    seen = {**_shown(world), "log": logged.getvalue(), "errors": errors, "traces": collected.sent}
    return {name: len(hits(repr(one).encode(), tokens)) for name, one in seen.items()}


def _shown(world: World) -> dict[str, Any]:
    rows = world.rows()
    actions = ("delivery.started", "delivery.answered", "delivery.changed", "reconcile.run")
    return {
        "addresses": [one.url for one in world.ehr.transport.sent],
        "headers": [one.headers for one in world.ehr.transport.sent],
        "alerts": world.told,
        "status": world.bridge.status(),
        "deliveries": [[list(row), *map(list, world.items(row.id))] for row in rows],
        "evidence": [
            (row.outcome, row.detail) for action in actions for row in world.evidence(action)
        ],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_r40_nothing_of_a_patient_is_logged_told_shown_or_in_an_address(kind: str) -> None:
    assert leaks(KINDS[kind][0]) == dict.fromkeys(SHOWN, 0)
