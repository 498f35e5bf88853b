"""An EHR that will not take certain resources, in whatever request they come."""

from collections.abc import Callable
from typing import Any

from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from tests.factories import World
from tests.fakes import Says, Trouble

Resource = dict[str, Any]
Bad = Callable[[Resource], bool]


def outcome(*issues: dict[str, Any]) -> bytes:
    """An OperationOutcome of errors; the diagnostics hold what must never be repeated."""
    said = {"severity": "error", "code": "invalid", "diagnostics": "Synthetic-Alvarez: too high"}
    return codec.encode(
        {"resourceType": "OperationOutcome", "issue": [{**said, **one} for one in issues or ({},)]}
    )


NO = Says(status=422, body=outcome())


def of_type(*kinds: str) -> Bad:
    return lambda resource: resource["resourceType"] in kinds


def is_patient(resource: Resource) -> bool:
    return bool(resource["resourceType"] == "Patient")


def written(request: Request) -> list[Resource]:
    """The resources that a request would write."""
    if not request.body or request.url.endswith("/_search"):
        return []
    body = codec.decode(request.body)
    if request.method == "PUT" or "If-None-Exist" in request.headers:
        return [body]
    entries = body.get("entry", []) if body.get("type") in ("transaction", "batch") else []
    return [entry["resource"] for entry in entries if "resource" in entry]


def refuse(world: World, bad: Bad = is_patient, says: Trouble = NO) -> None:
    """Let the EHR refuse every request that carries a bad resource, until it is healed."""

    def trouble(request: Request) -> Trouble:
        return says if any(bad(one) for one in written(request)) else None

    world.ehr.transport.choose = trouble


def heal(world: World) -> None:
    world.ehr.transport.choose = lambda _request: None


def requests(world: World) -> list[list[Resource]]:
    """What each writing request carried, in the order of sending."""
    found = [written(request) for request in world.ehr.transport.sent]
    return [resources for resources in found if resources]
