"""The content of one delivery, opened before anything locks the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from fhirbridge.outbox import claim
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.states import Became


class UnopenedError(Exception):
    """A delivery is needed whose content was not opened yet."""


def unopened(_tx: Connection, _row_id: str) -> dict[str, Any]:
    """Refuse to open. Raises UnopenedError."""
    raise UnopenedError


class Opened:
    """Opens each resource of one delivery once: taken apart, it is prepared anew for each part."""

    def __init__(self, delivery_id: str, contents: Contents) -> None:
        """Open nothing yet."""
        self.delivery_id = delivery_id
        self._contents = contents
        self._bodies: dict[str, dict[str, Any]] = {}

    def what_waits(self, tx: Connection) -> Sequence[Row[Any]]:
        """Read what is to be opened, so that nothing of the database is held meanwhile."""
        waiting = [
            item.resource
            for item in claim.items(tx, self.delivery_id)
            if item.outcome == Became.WAITING and item.resource not in self._bodies
        ]
        return self._contents.sealed(tx, waiting) if waiting else ()

    def open(self, sealed: Sequence[Row[Any]]) -> None:
        """Open what was read."""
        self._bodies |= self._contents.opened(sealed)

    def body(self, tx: Connection, row_id: str) -> dict[str, Any]:
        """Return a resource, opened now or before."""
        if row_id not in self._bodies:
            self._bodies[row_id] = self._contents.body(tx, row_id)
        return self._bodies[row_id]
