"""YAML read as a tree of texts with their places.

No scalar is typed here: the target element does that.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from fhirbridge.translate.faults import FaultError, Place

MAX_DEPTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A text as it was written, and whether it stood in quotes."""

    text: str
    quoted: bool
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    items: tuple["Node", ...]
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """An object; `places` are those of its keys."""

    items: dict[str, "Node"]
    places: dict[str, Place]
    place: Place


Node = Scalar | Sequence | Fields


class _NotTakenError(Exception):
    """YAML has it, and a mapping may not."""

    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark


class _Loader(yaml.SafeLoader):
    """Composes nodes only.

    Aliases are refused, since a mapping is read by people from top to bottom.
    """

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _NotTakenError("aliases are not taken", event.start_mark)
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise _NotTakenError("anchors and tags are not taken", event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[arg-type]
        return node


# Most of the time of a load is spent here, and a set is compiled again for each overlay and draft.
@lru_cache(maxsize=512)
def read(text: str, file: str) -> Fields:
    """Read one document that is an object. Raises FaultError E200 with the place of the mistake.

    A tree is never changed (`tree_edits` makes new ones), so equal files may share one.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    except _NotTakenError as error:
        raise FaultError("E200", _place(file, error.mark), error.message) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(file, mark) if mark else Place(file=file)
        raise FaultError("E200", place, f"not YAML that we take: {error.problem}") from None
    except yaml.YAMLError:
        raise FaultError("E200", Place(file=file), "not YAML: a character is not allowed") from None
    finally:
        loader.dispose()
    node = _convert(root, file, 0) if root else None
    if not isinstance(node, Fields):
        raise FaultError("E200", Place(file=file), "the file must hold an object (key: value)")
    return node


def _convert(node: yaml.Node, file: str, depth: int) -> Node:
    place = _place(file, node.start_mark)
    if depth > MAX_DEPTH:
        raise FaultError("E200", place, f"nested deeper than {MAX_DEPTH}")
    if isinstance(node, yaml.MappingNode):
        return _fields(node, file, depth)
    if isinstance(node, yaml.SequenceNode):
        items = tuple(_convert(item, file, depth + 1) for item in node.value)
        return Sequence(items=items, place=place)
    return Scalar(text=str(node.value), quoted=bool(getattr(node, "style", None)), place=place)


def _fields(node: yaml.MappingNode, file: str, depth: int) -> Fields:
    items: dict[str, Node] = {}
    places: dict[str, Place] = {}
    for key_node, value in node.value:
        place = _place(file, key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            raise FaultError("E200", place, "a key must be a plain word")
        key = str(key_node.value)
        if key in items:
            raise FaultError("E200", place, f"'{key}' is written twice")
        items[key] = _convert(value, file, depth + 1)
        places[key] = place
    return Fields(items=items, places=places, place=_place(file, node.start_mark))


def _place(file: str, mark: yaml.Mark) -> Place:
    return Place(file=file, line=mark.line + 1, column=mark.column + 1)


def text_of(node: Node | None, what: str, place: Place, *, code: str = "E206") -> str:
    """Return the text of a scalar. Raises FaultError where the node is another thing or empty."""
    if not isinstance(node, Scalar) or not node.text:
        raise FaultError(code, node.place if node else place, f"{what} must be a text")
    return node.text


def fields_of(node: Node | None, what: str, place: Place, *, code: str = "E206") -> Fields:
    """Return the node as an object. Raises FaultError where it is another thing."""
    if not isinstance(node, Fields):
        raise FaultError(code, node.place if node else place, f"{what} must be an object")
    return node


def items_of(node: Node | None, what: str, place: Place, *, code: str = "E206") -> tuple[Node, ...]:
    """Return the items of a list. Raises FaultError where it is another thing."""
    if not isinstance(node, Sequence):
        raise FaultError(code, node.place if node else place, f"{what} must be a list")
    return node.items
