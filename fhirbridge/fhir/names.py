"""By what an EHR knows ours: under our ids, or under ids that it gives and a key to find them by.

Pure. A reference that the EHR cannot know yet is named, never sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fhirbridge.fhir.pointing import NOTHING_OF_THEIRS, Named, Theirs, pointed
from fhirbridge.fhir.references import literal_references, renamed

# What R4 lets nobody search by identifier, though it has the element; Provenance has not even that.
NOT_SEARCHED = frozenset({"AdverseEvent"})
TAG_SYSTEM = "https://fhirbridge.invalid/id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What finds one resource of ours at an EHR that gave it an id: opaque, and only on it."""

    type: str
    parameter: str  # of a search: identifier, or _tag where the type has no identifier
    system: str
    value: str

    @property
    def token(self) -> str:
        """Return it as a search parameter's value."""
        return token(self.system, self.value)

    @property
    def query(self) -> str:
        """Return it as `If-None-Exist` takes it."""
        return urlencode({self.parameter: self.token})

    def is_of(self, resource: dict[str, Any]) -> bool:
        """Say whether a resource bears it. The value is enough: nobody else can make the same."""
        if resource.get("resourceType") != self.type:
            return False
        return self.value in borne(resource)


def borne(resource: dict[str, Any]) -> list[str]:
    """Return what may be the value of a key on a resource: of its identifiers and its tags."""
    meta = resource.get("meta")
    tags = _objects(meta.get("tag")) if isinstance(meta, dict) else []
    numbers = [one.get("value") for one in _objects(resource.get("identifier"))]
    values = [*numbers, *(one.get("code") for one in tags)]
    return [one for one in values if isinstance(one, str)]


def key_of(ours: dict[str, Any]) -> Key:
    """Return the key of a resource of ours: its identifier that repeats our id, else a tag."""
    kind, own = ours["resourceType"], ours["id"]
    if kind not in NOT_SEARCHED:
        for one in _objects(ours.get("identifier")):
            if one.get("value") == own:
                return Key(
                    type=kind, parameter="identifier", system=str(one.get("system", "")), value=own
                )
    return Key(type=kind, parameter="_tag", system=TAG_SYSTEM, value=own)


@dataclass(frozen=True, slots=True)
class Names:
    """Under which ids an EHR has ours. `ids` None: under our own, whatever it is.

    `theirs`: of the EHR's own Patient that stands for ours, in either case. `former`: ids of theirs
    that stood for the same before, and may again; each with the one that stands for it now. `once`:
    types that were not sent there at some time, so that a reference to one may be missing. `own`:
    what else the EHR has itself, as of `decided`.
    """

    ids: Mapping[Named, str] | None = None
    theirs: Mapping[Named, str] = field(default_factory=dict)
    former: Mapping[Named, str] = field(default_factory=dict)
    once: frozenset[str] = frozenset()
    own: Theirs = NOTHING_OF_THEIRS
    decided: int = 0

    def id_of(self, named: Named) -> str:
        """Return the id there, or "" where the EHR has not named it yet."""
        if named in self.theirs:
            return self.theirs[named]
        return named[1] if self.ids is None else self.ids.get(named, "")

    def read(self, there: dict[str, Any]) -> dict[str, Any]:
        """Return a resource of theirs, pointing to what stands for ours now."""
        result: dict[str, Any] = renamed(there, self.former) if self.former else there
        return result

    def unknown(self, ours: dict[str, Any]) -> Iterator[Named]:
        """Yield what this points to and the EHR has not named."""
        if self.ids is not None:
            known = self.ids.keys() | self.theirs.keys()
            for one in literal_references(ours):
                if one not in known and one[0] not in self.own.types:
                    yield one

    def written(self, ours: dict[str, Any]) -> dict[str, Any]:
        """Return a resource of ours as this EHR is to have it; without an id where it gives one."""
        ours = pointed(ours, self.own)
        if self.ids is None:
            result: dict[str, Any] = renamed(ours, self.theirs) if self.theirs else ours
            return result
        own = self.id_of((ours["resourceType"], ours["id"]))
        rest = {name: value for name, value in ours.items() if name not in ("resourceType", "id")}
        body = {"resourceType": ours["resourceType"], **({"id": own} if own else {})}
        return {**body, **renamed(_tagged(rest, key_of(ours)), {**self.ids, **self.theirs})}


OURS = Names()


def _tagged(rest: dict[str, Any], key: Key) -> dict[str, Any]:
    if key.parameter != "_tag":
        return rest
    meta = rest.get("meta", {})
    tag = {"system": key.system, "code": key.value}
    return {**rest, "meta": {**meta, "tag": [*meta.get("tag", []), tag]}}


def token(system: str, value: str) -> str:
    r"""Write an identifier as a search parameter's value: `system|value`, with FHIR's escapes."""
    return f"{_escaped(system)}|{_escaped(value)}"


def _escaped(text: str) -> str:
    for special in "\\,$|":
        text = text.replace(special, f"\\{special}")
    return text


def _objects(value: Any) -> list[dict[str, Any]]:
    held = value if isinstance(value, list) else [value]
    return [one for one in held if isinstance(one, dict)]
