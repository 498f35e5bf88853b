"""Which profiles a resource may claim: only those that its reader says it knows. Pure."""

from collections.abc import Collection
from typing import Any


def claimed(resource: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the resource with those of its `meta.profile` that are among `known`.

    Versions (`|6.1.0`) do not count. An EHR that is told of a profile which it does not know may
    refuse the resource.
    """
    meta = resource.get("meta")
    if not meta or "profile" not in meta:
        return resource
    names = {_bare(one) for one in known}
    kept = [one for one in meta["profile"] if _bare(one) in names]
    left = {name: value for name, value in meta.items() if name != "profile"}
    if kept:
        left["profile"] = kept
    without = {name: value for name, value in resource.items() if name != "meta"}
    if not left:
        return without
    return {name: left if name == "meta" else value for name, value in resource.items()}


def _bare(canonical: str) -> str:
    return canonical.partition("|")[0]
