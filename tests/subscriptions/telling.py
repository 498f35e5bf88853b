"""An EHR that tells us of changes, and notifications of the Backport, written by its profile.

The Backport's own examples come in no package that can be had; these are ours, of its three shapes
(handshake, heartbeat, event) in R4 (Parameters) and R4B (SubscriptionStatus). Synthetic.
"""

from datetime import timedelta
from typing import Any

from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.reconcile.watch import Watch
from fhirbridge.subscriptions.wanted import HOOK, KIND
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import Trouble

ADDRESS = "https://bridge.invalid"
SOON = timedelta(seconds=1)
PROFILE = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
    "backport-subscription-status-r4"
)
TOPIC = "https://ehr.invalid/SubscriptionTopic/charted"


def of_r4(
    shape: str, *, since: int, events: tuple[int, ...] = (), own: str = "s1", focus: str = ""
) -> bytes:
    """A notification as R4 has it: what it says stands in Parameters."""
    parameters: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"Subscription/{own}"}},
        {"name": "topic", "valueCanonical": TOPIC},
        {"name": "status", "valueCode": "requested" if shape == "handshake" else "active"},
        {"name": "type", "valueCode": shape},
        {"name": "events-since-subscription-start", "valueString": str(since)},
    ]
    for number in events:
        part: list[dict[str, Any]] = [
            {"name": "event-number", "valueString": str(number)},
            {"name": "timestamp", "valueInstant": "2026-05-04T09:00:00Z"},
        ]
        if focus:
            part.append({"name": "focus", "valueReference": {"reference": focus}})
        parameters.append({"name": "notification-event", "part": part})
    status = {"resourceType": "Parameters", "meta": {"profile": [PROFILE]}}
    return bundle({**status, "parameter": parameters}, own)


def of_r4b(
    shape: str, *, since: int, events: tuple[int, ...] = (), own: str = "s1", focus: str = ""
) -> bytes:
    """The same as R4B has it: in a resource of its own."""
    status: dict[str, Any] = {
        "resourceType": "SubscriptionStatus",
        "status": "requested" if shape == "handshake" else "active",
        "type": shape,
        "eventsSinceSubscriptionStart": str(since),
        "subscription": {"reference": f"https://ehr.invalid/fhir/Subscription/{own}"},
        "topic": TOPIC,
    }
    if events:
        more = {"focus": {"reference": focus}} if focus else {}
        status["notificationEvent"] = [{"eventNumber": str(one), **more} for one in events]
    return bundle(status, own)


def bundle(status: dict[str, Any], own: str) -> bytes:
    entry = {
        "fullUrl": "urn:uuid:2f2c2a63-9a77-4a5e-8b0e-3f8b8f0f6f01",
        "resource": status,
        "request": {"method": "GET", "url": f"Subscription/{own}/$status"},
        "response": {"status": "200"},
    }
    return codec.encode({"resourceType": "Bundle", "type": "history", "entry": [entry]})


def ask(world: World, name: str = "ehr", *types: str) -> dict[str, Any]:
    return world.bridge.subscriptions.ask_for(name, ADDRESS, types, actor="test")


def activate(world: World, name: str = "ehr") -> None:
    """Do as an EHR does that begins to call."""
    far = world.ehrs[name]
    for one in far.all_of(KIND):
        if one["status"] == "requested":
            far.edit(f"{KIND}/{one['id']}", status="active")


def secrets_of(there: dict[str, Any]) -> tuple[str, str]:
    """The token and the secret that an EHR was told."""
    channel = there["channel"]
    (header,) = channel["header"]
    return channel["endpoint"].partition(HOOK)[2], header.removeprefix("Authorization: Bearer ")


def state(world: World, name: str = "ehr") -> dict[str, Any]:
    return world.bridge.subscriptions.shown(name)


def tell(world: World, raw: bytes = b"", name: str = "ehr") -> None:
    """Notify us, as the hook does once it knows who calls."""
    world.bridge.subscriptions.notified(name, raw)


def looks(world: World, name: str = "ehr") -> int:
    """How often an EHR was looked at: each look asks for the patients' history once."""
    asked = [one.url for one in world.ehrs[name].transport.sent]
    return sum("/Patient/_history" in url for url in asked)


def hear_for(world: World, watching: Watch, seconds: int) -> None:
    """Let this time pass for the thread that watches, second by second, without a round."""
    for _ in range(seconds):
        world.clock.advance(SOON)
        watching.hear()


def told_and_watched(world: World) -> tuple[str, Watch]:
    """A pulse there, an EHR that calls, and what watches it."""
    (pulse,) = world.of_mapping(world.take(a_short_visit()), "vital-heart-rate")
    ask(world)
    activate(world)
    watching = world.bridge.watch(seconds=60)
    watching.round()
    world.ehr.transport.sent.clear()
    return pulse, watching


def looks_at_own_deliveries(world: World, watching: Watch, count: int) -> int:
    """Deliver, a second apart, and be told of each; return the looks. Fails where any wrote."""
    record = a_short_visit()
    for number in range(count):
        record = amended(record, rate(60 + number))
        world.take(record)
        tell(world)  # once for each resource that was written
        tell(world)
        hear_for(world, watching, 1)
    written = len(world.ehr.requests("transaction"))
    hear_for(world, watching, 120)
    world.sync()
    assert written == count == len(world.ehr.requests("transaction"))
    assert (world.bridge.drift(), set(world.states())) == ([], {"delivered"})
    assert world.evidence("reconcile.run") == []
    return looks(world)


def subscribed(world: World) -> None:
    """Have a visit there, and an EHR that calls us."""
    world.take(a_short_visit())
    ask(world)
    activate(world)
    check(world)
    assert state(world)["state"] == "active"


def check(world: World) -> None:
    """Do what each look ends with."""
    world.bridge.subscriptions.check("ehr")


def there(world: World) -> dict[str, dict[str, Any]]:
    """Our Subscriptions there, by type; fails where there are two for one."""
    ours = [one for one in world.ehr.all_of(KIND) if one["reason"].startswith("fhirbridge")]
    found = {one["criteria"].removesuffix("?"): one for one in ours}
    assert len(found) == len(ours)
    return found


def written(world: World) -> list[tuple[str, str]]:
    sent = [one for one in world.ehr.transport.sent if f"/{KIND}" in one.url]
    return [(one.method, one.url) for one in sent if not one.url.endswith("/_search")]


def told(world: World) -> list[tuple[str, str]]:
    world.bridge.check_alerts()
    return [(one["kind"], one["what"]) for one in world.told]


def only(kind: str, says: Trouble) -> Any:
    """Let what is asked of these Subscriptions by one method come to this end."""

    def choose(request: Request) -> Trouble:
        is_search = request.url.endswith("/_search")
        return (
            says if f"/{KIND}" in request.url and request.method == kind and not is_search else None
        )

    return choose
