"""How deliveries go, chosen by what a probe found. Pure; `traits` as they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """How deliveries go to a destination; all by our own ids, each write guarded."""

    UNPROVEN = "unproven"  # nothing is sent
    TRANSACTION = "transaction"  # as much as the EHR takes, all or nothing
    BATCH = "batch"  # as much as depends on nothing unsent, each for itself
    SINGLE = "single"  # one PUT each, in the order in which they need each other


# In the order shown; the words are for people.
NAMES = {
    "own_ids": "update as create (ids of ours)",
    "create_guard": 'create guarded by If-Match W/"0"',
    "create_none_match": "create guarded by If-None-Match: *",
    "conditional_create": "conditional create (If-None-Exist)",
    "version_guard": "update guarded by If-Match",
    "transaction": "transaction, all or nothing, guarded",
    "batch": "batch, each entry guarded",
    "search": "search by identifier",
    "decimals": "decimals kept",
    "history": "history",
    "delete": "delete",
    "match": "matching of patients ($match)",
}
NEEDED = ("own_ids", "version_guard", "decimals")  # and one of CREATES
CREATES = ("create_guard", "create_none_match")
APART = (Mode.BATCH, Mode.SINGLE)  # nothing goes together: each resource is taken, or not, alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """One trait of a server; None: it claims nothing of it, or it was not tried."""

    name: str
    words: str
    claimed: bool | None
    seen: bool | None

    @property
    def differs(self) -> bool:
        """Say whether the server does other than it claims."""
        return None not in (self.claimed, self.seen) and self.claimed != self.seen


def shown(traits: Mapping[str, Any]) -> tuple[Trait, ...]:
    """Return every trait, as claimed and as seen."""
    claims = traits.get("claims", {})
    return tuple(
        Trait(name=name, words=words, claimed=claims.get(name), seen=traits.get(name))
        for name, words in NAMES.items()
    )


def differences(traits: Mapping[str, Any]) -> list[str]:
    """Say in one line each where the CapabilityStatement and the probe differ."""
    marks = {True: "yes", False: "no"}
    return [
        f"{one.words}: claimed {marks[one.claimed]}, seen {marks[one.seen]}"
        for one in shown(traits)
        if one.differs and one.claimed is not None and one.seen is not None
    ]


def choose(traits: Mapping[str, Any]) -> Mode:
    """Choose the first mode of which all that it needs was seen."""
    seen = {name for name in NAMES if traits.get(name) is True}
    if not seen.issuperset(NEEDED) or seen.isdisjoint(CREATES):
        return Mode.UNPROVEN
    if "transaction" in seen:
        return Mode.TRANSACTION
    return Mode.BATCH if "batch" in seen else Mode.SINGLE


def why_paused(traits: Mapping[str, Any]) -> str:
    """Say what stops all deliveries, or ""; what was not tried stops nothing."""
    lacking = [NAMES[name] for name in NEEDED if traits.get(name) is False]
    if all(traits.get(name) is False for name in CREATES):
        lacking.append(" or ".join(NAMES[name] for name in CREATES))
    if not lacking:
        return ""
    why = f"the server does not honour: {'; '.join(lacking)}. Deliveries need that to be safe"
    if traits.get("own_ids") is False:
        why += "; servers that give ids of their own are not served yet"
    return why


def creates_by_none(traits: Mapping[str, Any]) -> bool:
    """Say whether a create is guarded by If-None-Match: *, not by If-Match W/"0"."""
    return traits.get("create_guard") is False and traits.get("create_none_match") is True


def offers_match(traits: Mapping[str, Any]) -> bool:
    """Say whether the server says that it matches patients; a probe does not try that."""
    return traits.get("claims", {}).get("match") is True


def reads_in_batches(traits: Mapping[str, Any]) -> bool:
    """Say whether several resources may be read by one batch."""
    return traits.get("batch") is not False
