"""fragments/*.yaml: pieces of a skeleton with parameters, put in their place at load."""

from collections.abc import Iterator
from dataclasses import dataclass

from fhirbridge.translate.faults import FaultError, Faults
from fhirbridge.translate.tables.code_table import refuse_keys
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, Sequence, items_of, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    name: str
    parameters: tuple[str, ...]
    content: Node


def load(name: str, tree: Fields, faults: Faults) -> Fragment:
    """Read one fragment. Raises FaultError E206 or E207 where it is misshapen."""
    refuse_keys(
        tree, ("fragment", "parameters", "content", "note", "owner", "reviewed"), faults, "E206"
    )
    given = text_of(tree.items.get("fragment"), "'fragment'", tree.place)
    if given != name:
        raise FaultError(
            "E206", tree.items["fragment"].place, f"'fragment' must be the file's name, '{name}'"
        )
    listed = items_of(tree.items.get("parameters"), "'parameters'", tree.place)
    parameters = tuple(text_of(item, "a parameter", item.place) for item in listed)
    if "content" not in tree.items:
        raise FaultError("E206", tree.place, "'content' is missing")
    return Fragment(name=name, parameters=parameters, content=tree.items["content"])


def used_in(node: Node) -> Iterator[str]:
    """Yield the name of each fragment that stands in a tree as `$use`."""
    if isinstance(node, Sequence):
        for item in node.items:
            yield from used_in(item)
    elif isinstance(node, Fields):
        use = node.items.get("$use")
        if isinstance(use, Scalar):
            yield use.text
        for item in node.items.values():
            yield from used_in(item)
