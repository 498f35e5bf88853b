"""What persons said of a destination: sealed, since their words may name a patient."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from fhirbridge.audit.log import Entry, EvidenceLog
from fhirbridge.errors import BridgeError
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import evidence

LONGEST = 300


class ReasonError(BridgeError):
    """What a person gave as a reason is no line of text."""

    code = "E432"


def check(why: str) -> None:
    """Refuse what is no line of text; "" is none at all. Raises ReasonError."""
    if len(why) > LONGEST or not why.isprintable() or why != why.strip():
        raise ReasonError(f"a reason is one line of at most {LONGEST} characters")


@dataclass(frozen=True, slots=True)
class Reasons:
    """Writes evidence with a person's words, and opens it again."""

    audit: EvidenceLog
    vault: Vault

    def append(self, tx: Connection, entry: Entry, reason: str) -> None:
        """Write one row about a destination; its reason, if there is one, goes under the seal."""
        if reason:
            owner = _owner(entry.destination)
            self.vault.lasting_key(tx, owner)
            entry = replace(entry, payload_owner=owner, payload=reason.encode())
        self.audit.append(tx, entry)

    def read(self, tx: Connection, destination: str) -> list[dict[str, Any]]:
        """Return what was done to a destination for a reason, the oldest first, with the reason."""
        chosen = (
            select(evidence.c.id, evidence.c.at, evidence.c.actor, evidence.c.action)
            .where(evidence.c.payload_owner == _owner(destination))
            .order_by(evidence.c.at, evidence.c.id)
        )
        return [
            {
                "at": row.at,
                "actor": row.actor,
                "action": row.action,
                "reason": self.audit.payload(tx, row.id).decode(),
            }
            for row in tx.execute(chosen)
        ]


def _owner(destination: str) -> str:
    """Name the owner of the key that seals them."""
    return f"destination:{destination}"
