"""How deliveries go, chosen by what a probe found. Pure; `traits` as they are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """How deliveries go to a destination; each write is guarded."""

    UNPROVEN = "unproven"  # nothing is sent
    TRANSACTION = "transaction"  # as much as the EHR takes, all or nothing
    BATCH = "batch"  # as much as depends on nothing unsent, each for itself
    SINGLE = "single"  # one PUT each, in the order in which they need each other
    ASSIGNED = "assigned"  # so too; the EHR names what is new, and it is known by our identifier
    CREATE_ONLY = "create-only"  # so too; and nothing that is there can be changed or removed
    FACADE = "facade"  # nothing is sent: it is kept here, and whoever may comes and reads it


# In the order shown; the words are for people.
NAMES = {
    "own_ids": "update as create (ids of ours)",
    "create_guard": 'create guarded by If-Match W/"0"',
    "create_none_match": "create guarded by If-None-Match: *",
    "conditional_create": "conditional create by identifier (If-None-Exist)",
    "tag_create": "conditional create by _tag (If-None-Exist)",
    "versions": "each write makes a new version",
    "version_guard": "update guarded by If-Match",
    "update": "update at all",
    "transaction": "transaction, all or nothing, guarded",
    "batch": "batch, each entry guarded",
    "search": "search by identifier",
    "decimals": "decimals kept",
    "history": "history",
    "delete": "delete",
}
CREATES = ("create_guard", "create_none_match")  # one of them, with own_ids: then ids are ours
# What has to be there where the EHR gives ids; by _tag: some types cannot be found by identifier.
ASSIGNS = ("conditional_create", "tag_create", "search")
AGREED = "agreed"  # a trait that nobody saw: whoever runs the EHR says that it is so
CREATES_ONCE = (*ASSIGNS, "decimals")  # and where it takes nothing but what is new
# The EHR names what is new: ours is known there by its key, and under an id of the EHR's.
GIVES_IDS = (Mode.ASSIGNED, Mode.CREATE_ONLY)
# Nothing goes together: each resource is taken, or not, alone.
APART = (Mode.BATCH, Mode.SINGLE, *GIVES_IDS)
ONE_BY_ONE = (Mode.SINGLE, *GIVES_IDS)  # nor in one envelope
CREATE_GUARDS = " or ".join(NAMES[name] for name in CREATES)
WEAK_HINT = (
    "A person may allow updates without that guard, at the risk of an edit made in between: "
    "fhirbridge destination set NAME --allow-weak-guard REASON"
)


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


def choose(
    traits: Mapping[str, Any], *, weak: bool = False, assigned: bool = False, declared: str = ""
) -> Mode:
    """Choose the first mode of which all that it needs was seen.

    `weak`: a person allowed it to have no guard on updates. `assigned`: it gave ids of its own
    before, so that ours would name nothing there. `declared`: a person named create-only, and no
    other: it stands where what it needs was seen, or was agreed on and not seen to be lacking.
    """
    seen = {name for name in NAMES if traits.get(name) is True}
    if declared or _takes_no_change(traits):
        return Mode.CREATE_ONLY if _creates_once(traits, declared) else Mode.UNPROVEN
    if not seen.issuperset(_needed(weak=weak)):
        return Mode.UNPROVEN
    if "own_ids" in seen and not seen.isdisjoint(CREATES) and not assigned:
        if "version_guard" not in seen:
            return Mode.SINGLE  # each is read before it is written
        if "transaction" in seen:
            return Mode.TRANSACTION
        return Mode.BATCH if "batch" in seen else Mode.SINGLE
    return Mode.ASSIGNED if seen.issuperset(ASSIGNS) else Mode.UNPROVEN


def _creates_once(traits: Mapping[str, Any], declared: str) -> bool:
    """Say whether what makes creates safe was seen; or agreed on, and not seen to be lacking."""
    if declared and traits.get(AGREED) is True:
        return not _lacking(traits, CREATES_ONCE)
    return all(traits.get(name) is True for name in CREATES_ONCE)


def _takes_no_change(traits: Mapping[str, Any]) -> bool:
    """Say whether it was seen to take neither updates nor deletions of what is there."""
    return traits.get("update") is False and traits.get("delete") is False


def _lacking(traits: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [NAMES[name] for name in names if traits.get(name) is False]


def _needed(*, weak: bool) -> tuple[str, ...]:
    return ("versions" if weak else "version_guard", "decimals")


def why_paused(traits: Mapping[str, Any], *, weak: bool = False, declared: str = "") -> str:
    """Say what stops all deliveries, or ""; what was not tried stops nothing."""
    if declared == Mode.CREATE_ONLY or _takes_no_change(traits):
        found = "; ".join(_lacking(traits, CREATES_ONCE))
        return found and f"the server does not honour: {found}. To create once needs that"
    lacking = _lacking(traits, _needed(weak=weak))
    own = traits.get("own_ids") is False or all(traits.get(name) is False for name in CREATES)
    given = _lacking(traits, ASSIGNS)
    if own and given:
        ours = NAMES["own_ids"] if traits.get("own_ids") is False else CREATE_GUARDS
        lacking.append(f"{ours}, nor what makes ids of its own safe: {', '.join(given)}")
    if not lacking:
        return ""
    why = f"the server does not honour: {'; '.join(lacking)}. Deliveries need that to be safe"
    if (
        traits.get("version_guard") is False
        and not weak
        and choose(traits, weak=True) is not Mode.UNPROVEN
    ):
        why += f". {WEAK_HINT}"
    return why


def is_weak(traits: Mapping[str, Any]) -> bool:
    """Say whether an update is not guarded by the server: it is read and compared just before."""
    return traits.get("version_guard") is False


def creates_by_none(traits: Mapping[str, Any]) -> bool:
    """Say whether a create is guarded by If-None-Match: *, not by If-Match W/"0"."""
    return traits.get("create_guard") is False and traits.get("create_none_match") is True


def offers_match(traits: Mapping[str, Any]) -> bool:
    """Say whether the server says that it matches patients; a probe does not try that."""
    return traits.get("claims", {}).get("match") is True


def reads_in_batches(traits: Mapping[str, Any]) -> bool:
    """Say whether several resources may be read by one batch."""
    return traits.get("batch") is not False
