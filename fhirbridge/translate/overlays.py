"""overlays/*.yaml: how the mappings differ for destinations that name the overlay.

It changes the trees before they are compiled, so a mistake in it has its own file and line.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhirbridge.translate.faults import FaultError, Faults, Place, suggest
from fhirbridge.translate.mapping_file import VERSION
from fhirbridge.translate.tables.code_table import refuse_keys
from fhirbridge.translate.tree_edits import (
    Edit,
    Step,
    appended,
    deleted,
    edited,
    replaced,
    steps_of,
)
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, fields_of, items_of, text_of

_NEEDED = ("overlay", "version", "owner", "reviewed")
_KEYS = (*_NEEDED, "note", "add", "leave_out", "changes")
_VERBS = ("delete", "replace", "append")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one mapping."""

    mapping: Scalar
    steps: tuple[Step, ...]
    edit: Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What one overlay says, checked as far as it can be without the mappings."""

    name: str
    add: tuple[Scalar, ...]
    leave_out: tuple[Scalar, ...]
    changes: tuple[Change, ...]
    place: Place


def is_optional(tree: Fields) -> bool:
    """Tell whether a mapping is made only where an overlay adds it."""
    node = tree.items.get("optional")
    return isinstance(node, Scalar) and node.text == "true"


def read(name: str, tree: Fields, faults: Faults) -> Overlay:
    """Read one overlay; a change that is misshapen is noted and left out.

    Raises FaultError E206 where its head is wrong.
    """
    refuse_keys(tree, _KEYS, faults, "E206")
    missing = [key for key in _NEEDED if key not in tree.items]
    if missing:
        raise FaultError("E206", tree.place, f"the overlay lacks {', '.join(missing)}")
    texts = {key: text_of(tree.items[key], f"'{key}'", tree.place) for key in _NEEDED}
    if texts["overlay"] != name:
        place = tree.items["overlay"].place
        raise FaultError("E206", place, f"'overlay' must be the file's name, '{name}'")
    if not VERSION.fullmatch(texts["version"]):
        raise FaultError("E206", tree.items["version"].place, "'version' is like 1.0.0")
    changes: list[Change] = []
    for node in _listed(tree, "changes"):
        with faults.caught():
            changes.append(_change(node))
    return Overlay(
        name=name,
        add=_names(tree, "add"),
        leave_out=_names(tree, "leave_out"),
        changes=tuple(changes),
        place=tree.place,
    )


def _listed(tree: Fields, key: str) -> tuple[Node, ...]:
    return items_of(tree.items[key], f"'{key}'", tree.place) if key in tree.items else ()


def _names(tree: Fields, key: str) -> tuple[Scalar, ...]:
    names: list[Scalar] = []
    for node in _listed(tree, key):
        text = text_of(node, "a mapping's name", node.place)
        if text in [other.text for other in names]:
            raise FaultError("E206", node.place, f"'{text}' is listed twice")
        names += [node] if isinstance(node, Scalar) else []
    return tuple(names)


def _change(node: Node) -> Change:
    fields = fields_of(node, "a change", node.place, code="E220")
    for key, place in fields.places.items():
        if key not in ("mapping", "at", *_VERBS):
            near = suggest(key, ("mapping", "at", *_VERBS))
            raise FaultError("E220", place, f"a change has no '{key}'{near}")
    verbs = [key for key in fields.items if key in _VERBS]
    if len(verbs) != 1:
        message = "a change is {mapping, at} with one of delete, replace, append"
        raise FaultError("E220", fields.place, message)
    return Change(
        mapping=_scalar(fields, "mapping"),
        steps=_steps(_scalar(fields, "at")),
        edit=_edit(verbs[0], fields.items[verbs[0]]),
    )


def _scalar(fields: Fields, key: str) -> Scalar:
    node = fields.items.get(key)
    if isinstance(node, Scalar) and node.text:
        return node
    raise FaultError("E220", node.place if node else fields.place, f"'{key}' must be a text")


def _steps(at: Scalar) -> tuple[Step, ...]:
    """Read where a change is: `head.NAME`, `resource` for the whole, or a path of elements."""
    place = at.place.moved(1 if at.quoted else 0)
    steps = steps_of(at.text, place)
    if steps[0].name == "head":
        if len(steps) == 1 or steps[1].name == "resource":
            raise FaultError("E220", place, "after 'head.' stands a key of the head, like when")
        return steps[1:]
    whole = Step(name="resource", picked="", place=place)
    return steps if steps[0].name == "resource" else (whole, *steps)


def _edit(verb: str, value: Node) -> Edit:
    if verb == "replace":
        return replaced(value)
    if verb == "append":
        return appended(value)
    if not isinstance(value, Scalar) or value.text != "true":
        raise FaultError("E220", value.place, "'delete' is written delete: true")
    return deleted


def applied(overlay: Overlay, trees: Mapping[str, Fields], faults: Faults) -> dict[str, Fields]:
    """Return the trees that destinations of the overlay get, by mapping.

    What cannot be applied is noted with its line.
    """
    found = {name: tree for name, tree in trees.items() if not is_optional(tree)}
    for node in overlay.add:
        with faults.caught():
            found[node.text] = _added(node, trees)
    for node in overlay.leave_out:
        with faults.caught():
            _known(node, found)
            del found[node.text]
    for change in overlay.changes:
        with faults.caught():
            name = change.mapping.text
            tree = _known(change.mapping, found)
            found[name] = edited(tree, change.steps, change.edit)
    return found


def _added(node: Scalar, trees: Mapping[str, Fields]) -> Fields:
    optional = {name: tree for name, tree in trees.items() if is_optional(tree)}
    if node.text in trees and node.text not in optional:
        message = f"'{node.text}' is made everywhere; what is added has optional: true in its head"
        raise FaultError("E220", node.place, message)
    return _known(node, optional)


def _known(node: Scalar, trees: Mapping[str, Fields]) -> Fields:
    if node.text not in trees:
        message = f"no mapping '{node.text}' here{suggest(node.text, trees)}"
        raise FaultError("E220", node.place, message, needs=f"resources/{node.text}.yaml")
    return trees[node.text]
