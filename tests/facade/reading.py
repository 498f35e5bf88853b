"""A bridge with a facade, as whoever fills it and whoever reads it sees it."""

from typing import Any

from sqlalchemy import Connection

from fhirbridge.destinations import registry
from fhirbridge.facade.held import Chosen, Held, Version
from fhirbridge.fhir import codec
from tests.factories import World

BASE = "https://bridge.clinic.invalid/fhir"


class Reading(World):
    """A World whose only destination is a facade, unless a test adds others."""

    def __init__(self, *, requires_consent: bool = False, url: str = "sqlite://") -> None:
        super().__init__(url=url)
        self.add("portal", requires_consent=requires_consent)

    def add(self, name: str, *, requires_consent: bool = False, overlay: str = "") -> None:
        self.bridge.add_facade(
            name=name,
            base_url=BASE,
            requires_consent=requires_consent,
            overlay=overlay,
            actor="test",
        )

    def held(self, chosen: Chosen | None = None, name: str = "portal") -> list[Version]:
        """What may be read of a facade, in its order."""
        with self.store.read() as tx:
            held = self.shelf(tx, name)
            upto, _ = held.last()
            return list(held.walk(chosen or Chosen(), upto=upto))

    def shelf(self, tx: Connection, name: str = "portal") -> Held:
        return Held(tx, self.vault, registry.get(tx, name))

    def bodies(self, chosen: Chosen | None = None) -> list[dict[str, Any]]:
        return [codec.decode(one.body) for one in self.held(chosen)]
