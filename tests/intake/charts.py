"""Sessions taken back from a chart, as the tests of that need it."""

from typing import Any

from fhirbridge.intake.incident import Lifted, Retracted
from fhirbridge.records import history
from fhirbridge.records.history import Chart
from tests.factories import (
    World,
)


def chart_of(world: World, *receipts: str) -> Chart:
    with world.store.read() as tx:
        return history.whose(tx, "", receipts)


def take_back(world: World, *receipts: str) -> Retracted:
    return world.intake.retract(chart_of(world, *receipts), reason="wrong chart", actor="test")


def lift(world: World, *receipts: str) -> Lifted:
    return world.intake.lift(chart_of(world, *receipts), reason="it was right", actor="test")


def pulse_of(world: World, receipt: Any) -> str:
    (found,) = world.of_mapping(receipt, "vital-heart-rate")
    return found


def for_patient(new_id: str) -> Any:
    def change(new: dict[str, Any]) -> None:
        new["patient"] = {**new["patient"], "id": new_id}

    return change


def said_of(body: dict[str, Any]) -> str:
    """The word by which a resource says whether it holds, wherever its type has it."""
    verified = body.get("verificationStatus", {}).get("coding", [{}])[0].get("code")
    return str(verified or body.get("lifecycleStatus") or body["status"])


def subjects(world: World, reference: str) -> list[tuple[str, str]]:
    """Status and patient of each version there."""
    return [(one["status"], one["subject"]["reference"]) for one in world.ehr.history(reference)]
