"""What FHIR R4 lets stand where.

A trimmed element table (r4-elements.json, see r4-elements.NOTICE.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from fhirbridge.fhir import codec

NESTED = (
    "BackboneElement",
    "Element",
)  # types whose content stands in the table of the type around them
ALL_TYPES = "http://hl7.org/fhir/ValueSet/all-types"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element as it is written in JSON; a choice has one Element for each type."""

    owner: str  # the type in whose table it stands: "Observation"
    path: str  # its path there: "component.value[x]"
    key: str  # as written: "valueQuantity"
    type: str
    least: int  # 0 or 1
    many: bool
    codes: Mapping[str, tuple[str, ...]]  # required value set, by system; empty where there is none
    targets: tuple[str, ...]  # of a Reference; empty: any
    content: str  # path of the content, where it is defined elsewhere
    value_set: str = ""  # URL of the required value set

    @property
    def name(self) -> str:
        """What messages call it: `Observation.component.valueQuantity`."""
        parent = self.path.rpartition(".")[0]
        return ".".join(part for part in (self.owner, parent, self.key) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The elements that one object may have."""

    name: str  # "Observation.component"
    elements: Mapping[str, Element]  # by JSON key
    choices: Mapping[str, tuple[str, ...]]  # "value" -> ("valueQuantity", …)
    demanded: tuple[tuple[str, ...], ...]  # of each group one key must be there


@cache
def _table() -> Mapping[str, Any]:
    raw = resources.files("fhirbridge.translate").joinpath("r4-elements.json").read_bytes()
    table: dict[str, Any] = codec.decode(raw)
    return table


def resource_types() -> tuple[str, ...]:
    """Return the resource types a mapping may make."""
    types = _table()["types"].items()
    return tuple(
        name for name, entry in types if entry["kind"] == "resource" and name != "Resource"
    )


@cache
def is_primitive(type_name: str) -> bool:
    return type_name in _table()["primitives"]


def room_of(element: Element) -> Room:
    """Return the room that the value of an element makes.

    Of `_status` and its like, that of Element. In a Reference, `type` is one that it may point to.
    """
    if element.content:
        return room(element.owner, element.content)
    if element.type == "Reference":
        return _reference_to(element.targets or _codes(ALL_TYPES)[RESOURCE_TYPES])
    if element.type in NESTED and not element.key.startswith("_"):
        return room(element.owner, element.path)
    return room(element.type)


@cache
def _reference_to(targets: tuple[str, ...]) -> Room:
    plain = room("Reference")
    kind = replace(plain.elements["type"], codes={RESOURCE_TYPES: targets})
    return replace(plain, elements={**plain.elements, "type": kind})


@cache
def room(type_name: str, path: str = "") -> Room:
    """Return the elements of a type, or of the object at a path in it.

    Raises KeyError for an unknown type.
    """
    prefix = f"{path}." if path else ""
    elements: dict[str, Element] = {}
    choices: dict[str, tuple[str, ...]] = {}
    demanded: list[tuple[str, ...]] = []
    for row_path, row in _table()["types"][type_name]["elements"].items():
        tail = row_path.removeprefix(prefix)
        if not row_path.startswith(prefix) or "." in tail:
            continue
        made = _elements(type_name, row_path, tail, row)
        elements.update((element.key, element) for element in made)
        if tail.endswith("[x]"):
            choices[tail[:-3]] = tuple(element.key for element in made)
        if row[1]:
            demanded.append(
                tuple(key for element in made for key in (element.key, f"_{element.key}"))
            )
    elements.update(_beside_primitives(elements))
    name = ".".join(part for part in (type_name, path) if part)
    return Room(name=name, elements=elements, choices=choices, demanded=tuple(demanded))


def _elements(owner: str, path: str, tail: str, row: list[Any]) -> list[Element]:
    types, least, most = row[:3]
    value_set, targets, content = row[3:] + ["", (), ""][len(row) - 3 :]
    return [
        Element(
            owner=owner,
            path=path,
            key=tail[:-3] + kind[0].upper() + kind[1:] if tail.endswith("[x]") else tail,
            type=kind,
            least=least,
            many=most != "1",
            codes=_codes(value_set),
            targets=tuple(targets),
            content=content,
            value_set=value_set,
        )
        for kind in types or ["BackboneElement"]
    ]


@cache
def _codes(value_set: str) -> Mapping[str, tuple[str, ...]]:
    found = _table()["valueSets"].get(value_set, {})
    return {system: tuple(codes) for system, codes in found.items()}


def _beside_primitives(elements: Mapping[str, Element]) -> dict[str, Element]:
    """Return `_status` beside `status`: where extensions of a simple value stand."""
    return {
        f"_{key}": Element(
            owner=element.owner,
            path=element.path,
            key=f"_{key}",
            type="Element",
            least=0,
            many=False,
            codes={},
            targets=(),
            content="",
        )
        for key, element in elements.items()
        if is_primitive(element.type) and not element.many
    }
