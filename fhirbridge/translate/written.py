"""What the mappings of a set write, read and ask.

Gathered while they are compiled, and not from their text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from fhirbridge.translate.faults import Place
from fhirbridge.translate.source_types import Type
from fhirbridge.translate.yaml_tree import Fields, Node, Sequence


class Part(StrEnum):
    """Where in a mapping file something stands."""

    EACH = "each"
    LET = "let"
    WHEN = "when"
    AS_OF = "as_of"
    KEY = "key"
    REQUIRES = "requires"
    CONDITION = "condition"  # $if, $when, $for
    ELEMENT = "element"


@dataclass(slots=True)
class Noted:
    """What one expression takes, each once, in the order of its first coming."""

    reads: dict[str, None] = field(default_factory=dict)  # "vitals.spo2.value", lists without index
    codes: dict[str, None] = field(default_factory=dict)  # "loinc#8480-6"
    maps: dict[str, None] = field(default_factory=dict)  # names of ConceptMaps

    def read(self, *paths: str) -> None:
        self.reads.update(dict.fromkeys(path for path in paths if path))

    def read_inside(self, kind: Type, *names: str) -> None:
        """Note fields of an object that a function reads by itself."""
        known = kind.field.fields if kind.field else {}
        self.read(*(f"{path}.{name}" for path in kind.paths for name in names if name in known))

    def use_codes(self, alias: str, codes: Iterable[str]) -> None:
        self.codes.update(dict.fromkeys(f"{alias}#{code}" for code in codes))

    def use_map(self, name: str) -> None:
        self.maps[name] = None

    def translate(self, name: str, kind: Type) -> None:
        """Note a ConceptMap, and the fields of a coded object that it looks at."""
        self.use_map(name)
        self.read_inside(kind, "key", "system", "code", "display", "text")

    def take(self, other: "Noted") -> None:
        """Note all that another expression took, which this one names."""
        self.reads.update(other.reads)
        self.codes.update(other.codes)
        self.maps.update(other.maps)

    def deepest(self) -> tuple[str, ...]:
        """Return the paths read, without those that are only the way to another."""
        return tuple(
            path
            for path in self.reads
            if not any(other.startswith(f"{path}.") for other in self.reads)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One element that a mapping writes, or one question that it asks."""

    mapping: str
    part: Part
    element: str  # "Observation.component.valueQuantity"; of a `let` its name, else ""
    place: Place
    text: str  # the rule, as it stands in the file
    under: tuple[str, ...] = ()  # the conditions around it, as they stand in the file
    noted: Noted
    value_set: str = ""  # URL of the required value set

    @property
    def reads(self) -> tuple[str, ...]:
        return self.noted.deepest()

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(self.noted.codes)

    @property
    def maps(self) -> tuple[str, ...]:
        return tuple(self.noted.maps)

    @property
    def line(self) -> str:
        """As it stands in a Why: "resources/vital-weight.yaml:14"."""
        return self.place.short


def written(
    part: Part,
    node: Node,
    *,
    mapping: str,
    noted: Noted,
    element: str = "",
    under: tuple[str, ...] = (),
    value_set: str = "",
) -> Written:
    """Return what one place of a mapping says."""
    return Written(
        mapping=mapping,
        part=part,
        element=element,
        place=node.place,
        text=shown(node),
        under=under,
        noted=noted,
        value_set=value_set,
    )


def shown(node: Node | None) -> str:
    """Return a value on one line, as a reader would say it."""
    if isinstance(node, Fields):
        return ", ".join(f"{key}: {shown(value)}" for key, value in node.items.items())
    if isinstance(node, Sequence):
        return ", ".join(shown(item) for item in node.items)
    return " ".join(node.text.split()) if node else ""
