"""Changes of a mapping's tree at a path: what is deleted, replaced or appended, and only that.

The path is spelt as people name elements: `dosage.rateQuantity`, `note[2].text`,
`component[code=loinc#8480-6]`, `status.$switch[0].$then`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed_copy

from fhirbridge.translate.faults import FaultError, Place, suggest
from fhirbridge.translate.skeletons.spelling import is_directive
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar
from fhirbridge.translate.yaml_tree import Sequence as Listed

CODE = "E220"
_STEP = re.compile(r"(\$?[A-Za-z_][A-Za-z0-9_-]*)(?:\[([^\[\]]+)\])?(?:\.(?=.)|$)")

Edit = Callable[[Node], Node | None]  # the node as it is to be; nothing where it is to go


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One name of a path, and which item of the list there."""

    name: str
    picked: str  # "2", or "code=loinc#8480-6"; "" where no item is picked
    place: Place


def steps_of(text: str, place: Place) -> tuple[Step, ...]:
    """Read a path. Raises FaultError E220."""
    found: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            message = "a path is like dosage.rateQuantity or component[0].code"
            raise FaultError(CODE, place.moved(at), message)
        found.append(Step(name=match[1], picked=(match[2] or "").strip(), place=place.moved(at)))
        at = match.end()
    return tuple(found)


def edited(tree: Fields, steps: Sequence[Step], edit: Edit) -> Fields:
    """Return the tree with one change in it. Raises FaultError E220 where its path ends."""
    changed = _edited(tree, steps, edit)
    return changed if isinstance(changed, Fields) else tree


def replaced(value: Node) -> Edit:
    return lambda _: value


def deleted(_: Node) -> None:
    """Leave nothing there."""


def appended(value: Node) -> Edit:
    """Put items at the end of a list, or elements into an object. Raises FaultError E220."""

    def edit(node: Node) -> Node:
        if isinstance(value, Listed):
            items = node.items if isinstance(node, Listed) else (node,)
            return Listed(items=(*items, *value.items), place=node.place)
        if isinstance(value, Fields) and isinstance(node, Fields):
            return _joined(node, value)
        message = "'append' adds a list to a list, or elements to an object; else use 'replace'"
        raise FaultError(CODE, value.place, message)

    return edit


def _joined(node: Fields, more: Fields) -> Fields:
    for key, place in more.places.items():
        if key in node.items:
            raise FaultError(CODE, place, f"'{key}' is there already; use 'replace'")
    return Fields(
        items={**node.items, **more.items},
        places={**node.places, **more.places},
        place=node.place,
    )


def _edited(node: Node, steps: Sequence[Step], edit: Edit) -> Node | None:
    if not steps:
        return edit(node)
    step = steps[0]
    fields = _object(node, step)
    if step.name not in fields.items and "$item" in fields.items:
        return _with(fields, "$item", _edited(fields.items["$item"], steps, edit))
    if step.name not in fields.items:
        raise _nowhere(fields, step)
    inner = fields.items[step.name]
    if step.picked:
        return _with(fields, step.name, _edited_item(inner, steps, edit))
    changed = _edited(inner, steps[1:], edit)
    return _with(fields, step.name, changed)


def _with(fields: Fields, key: str, value: Node | None) -> Fields:
    """Return the object with one key changed, in its old order."""
    if value is None:
        items = {name: node for name, node in fields.items.items() if name != key}
        places = {name: place for name, place in fields.places.items() if name != key}
        return changed_copy(fields, items=items, places=places)
    own = fields.places[key]
    # What an overlay puts in has its place there; what it only changed within stays where it was.
    place = own if value.place.file == own.file else value.place
    return changed_copy(
        fields, items={**fields.items, key: value}, places={**fields.places, key: place}
    )


def _edited_item(node: Node, steps: Sequence[Step], edit: Edit) -> Node:
    step, rest = steps[0], steps[1:]
    if not isinstance(node, Listed):
        message = f"'{step.name}' is not written as a list of items here, so [{step.picked}] has"
        raise FaultError(CODE, step.place, f"{message} no meaning")
    number = _picked(node, step)
    changed = _edited(node.items[number], rest, edit)
    kept = () if changed is None else (changed,)
    return changed_copy(node, items=(*node.items[:number], *kept, *node.items[number + 1 :]))


def _object(node: Node, step: Step) -> Fields:
    if isinstance(node, Fields):
        return node
    if isinstance(node, Listed):
        message = f"before '{step.name}' stands a list; say which item, like [0]"
        raise FaultError(CODE, step.place, message)
    message = f"before '{step.name}' stands a single value; replace that as a whole"
    raise FaultError(CODE, step.place, message)


def _nowhere(fields: Fields, step: Step) -> FaultError:
    """Return what to say where an object has no such key."""
    if "$switch" in fields.items:
        message = f"'{step.name}' may be in any branch; say which: $switch[0].$then"
    elif "$use" in fields.items and is_directive(fields):
        name = fields.items["$use"]
        shown = name.text if isinstance(name, Scalar) else ""
        message = (
            f"'{step.name}' would be in the fragment '{shown}'; replace the whole, or with.NAME"
        )
    else:
        near = suggest(step.name, fields.items)
        message = f"the mapping writes no '{step.name}' there{near}"
    return FaultError(CODE, step.place, message)


def _picked(node: Listed, step: Step) -> int:
    """Return the number of the item that a path means. Raises FaultError E220."""
    if step.picked.isdecimal():
        number = int(step.picked)
        if number >= len(node.items):
            message = f"'{step.name}' has {len(node.items)} item(s), counted from 0"
            raise FaultError(CODE, step.place, message)
        return number
    path, sign, wanted = step.picked.partition("=")
    if not sign or not path.strip() or not wanted.strip():
        message = f"[{step.picked}] is neither a number nor like [code=loinc#8480-6]"
        raise FaultError(CODE, step.place, message)
    texts = [_text_at(item, path.strip()) for item in node.items]
    hits = [number for number, text in enumerate(texts) if text == wanted.strip()]
    if len(hits) != 1:
        near = suggest(wanted.strip(), [text for text in texts if text])
        message = f"{len(hits) or 'no'} item(s) of '{step.name}' have {step.picked}{near}"
        raise FaultError(CODE, step.place, message)
    return hits[0]


def _text_at(node: Node, path: str) -> str:
    """Return the text that an item writes at a path of plain names; nothing where it has none."""
    for name in path.split("."):
        if isinstance(node, Fields) and name not in node.items and "$item" in node.items:
            node = node.items["$item"]
        if not isinstance(node, Fields) or name not in node.items:
            return ""
        node = node.items[name]
    return node.text if isinstance(node, Scalar) else ""
