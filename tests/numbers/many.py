"""Many EHRs behind real sockets, each with its own settings and fate, and one record for all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhirbridge.bridge import Bridge
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.outbox.states import OPEN
from fhirbridge.signin.keys import Algorithm
from tests.factories import a_short_visit
from tests.journey.installation import install
from tests.operate.ehr_at_work import NO, Asked, EhrAtWork, Trouble

PATIENCE = 30
# What comes of it where an EHR is so: the state of the patient's own delivery.
FATES = {
    "well": "delivered",
    "slow": "pending",  # what all share is under way there: it answers when the others are through
    "down": "pending",
    "strict": "parked",
    "consent": "held",
    "paused": "pending",
}


@dataclass
class Many:
    """A bridge with `count` EHRs; the fates go round."""

    folder: Path
    mappings: Path
    count: int
    far: dict[str, EhrAtWork] = field(default_factory=dict)
    fates: dict[str, str] = field(default_factory=dict)
    opened: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Bridge]:
        """Add all of them, take one record in, and deliver in the background."""
        made = install(self.folder / "home", mappings=self.mappings)
        with ExitStack() as stack, made.bridge() as bridge:
            for number in range(self.count):
                self._add(bridge, number, stack.enter_context(EhrAtWork()))
            bridge.accept(codec.encode(a_short_visit(consents=[], labels=[])), actor="test")
            loop = bridge.delivery_loop(go_on=lambda: True)
            loop.start()
            try:
                yield bridge
            finally:
                self.opened.set()
                loop.stop(PATIENCE)

    def _add(self, bridge: Bridge, number: int, far: EhrAtWork) -> None:
        name, fate = f"ehr-{number}", list(FATES)[number % len(FATES)]
        self.far[name], self.fates[name] = far, fate
        added = bridge.add_destination(
            name=name,
            base_url=far.url,
            requires_consent=fate == "consent",
            test_server=True,
            networks=(),
            actor="test",
        )
        assert added.paused == ""
        bridge.limit_destination(name, LimitChange(per_day=1000 + number), actor="test")
        bridge.make_key(name, Algorithm.ES384, actor="test")
        if fate == "paused":
            bridge.pause(Stopped(name, ANY), actor="test")
        far.asked.clear()
        far.before = self._trouble(fate)

    def _trouble(self, fate: str) -> Callable[[Asked], Trouble]:
        def slow(_asked: Asked) -> Trouble:
            self.reached.set()
            self.opened.wait(2 * PATIENCE)
            return None

        def strict(asked: Asked) -> Trouble:
            return NO if asked.of("Observation") else None

        ways = {"slow": slow, "down": lambda _asked: (503, b""), "strict": strict}
        return ways.get(fate, lambda _asked: None)

    def states(self, bridge: Bridge) -> dict[str, str]:
        """The state of the patient's own delivery, the last of two, by destination."""
        found = {}
        for one in bridge.status().destinations:
            left = {state: count for state, count in one["deliveries"].items() if count}
            found[one["name"]] = min(left, key=lambda state: (state == "delivered", state))
        return found

    def until(self, bridge: Bridge, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Wait until the states are so; return them."""
        some, found = threading.Event(), self.states(bridge)
        for _ in range(PATIENCE * 20):
            if wanted(found):
                return found
            some.wait(0.05)
            found = self.states(bridge)
        raise AssertionError(found)


def independent(many: Many, bridge: Bridge) -> dict[str, str]:
    """Wait for each to be where its fate leads, while the slow ones have answered nothing."""
    expected = {name: FATES[fate] for name, fate in many.fates.items()}
    assert many.reached.wait(PATIENCE)
    found = many.until(bridge, lambda found: found == expected)
    asked = {fate for name, fate in many.fates.items() if many.far[name].asked}
    assert asked == FATES.keys() - {"paused"}
    return found


def remove_one(bridge: Bridge, name: str) -> list[str]:
    """Remove one; name what is another than before at the others."""
    before, keys = _snapshot(bridge, name), len(bridge.jwks()["keys"])
    bridge.remove_destination(name, give_up="it closed down", actor="test")
    after = _snapshot(bridge, name)
    wrong = [one for one in before if before[one] != after.get(one)]
    wrong += [] if len(bridge.jwks()["keys"]) == keys - 1 else ["its key is still published"]
    return wrong + (["another one is there"] if after.keys() != before.keys() else [])


def _snapshot(bridge: Bridge, but: str) -> dict[str, Any]:
    moving = ("lag", "waits_until", "waits_for", "deliveries")
    return {
        one["name"]: {key: value for key, value in one.items() if key not in moving}
        | {"deliveries": _settled(one["deliveries"])}
        for one in bridge.status().destinations
        if one["name"] != but
    }


def _settled(deliveries: dict[str, int]) -> dict[str, int]:
    """Count what is open together: one that is down is tried again meanwhile."""
    still = {state: count for state, count in deliveries.items() if state not in OPEN}
    return {**still, "open": sum(deliveries.values()) - sum(still.values())}
