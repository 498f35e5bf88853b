"""Which parts of the mappings no case reaches: a branch, the items of a $for, a whole mapping.

Judged by line: a part is reached where an element of it was made, or asked for and empty.
"""

from collections.abc import Collection, Iterable, Iterator

from fhirbridge.translate import yaml_tree
from fhirbridge.translate.mapping_set import Files
from fhirbridge.translate.values import Translation
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, Sequence

_CONDITIONS = ("$if", "$when", "$for", "$use", "with")


def lines_of(made: Translation) -> set[str]:
    """Return the lines whose elements were made or came out empty: `resources/patient.yaml:9`."""
    found = {why.line for one in made.resources for why in one.why}
    return found | {why.line for why in made.empty}


def unreached(files: Files, reached: Collection[str]) -> tuple[str, ...]:
    """Return the line of each part that nothing in `reached` belongs to; of a whole, only that."""
    trees = {
        name: yaml_tree.read(raw.decode("utf-8"), f"{files.root}/{name}")
        for name, raw in files.by_name.items()
        if name.startswith(("resources/", "fragments/", "overlays/"))
    }
    pieces = {
        name.removeprefix("fragments/").removesuffix(".yaml"): tree.items["content"]
        for name, tree in trees.items()
        if name.startswith("fragments/")
    }
    walk = _Walk(pieces, reached)
    found = [line for name in sorted(trees) for line in walk.file(trees[name])]
    return tuple(dict.fromkeys(found))


class _Walk:
    def __init__(self, pieces: dict[str, Node], reached: Collection[str]) -> None:
        self._pieces = pieces
        self._reached = frozenset(reached)

    def file(self, tree: Fields) -> Iterator[str]:
        for key in ("resource", "content", "changes"):
            if key in tree.items:
                yield from self._part(tree.items[key], tree.places[key].short)

    def _part(self, node: Node, line: str) -> Iterator[str]:
        """Say that a part was not reached, or what in it was not."""
        lines = set(self._lines(node))
        if lines and not lines & self._reached:
            yield line
        else:
            yield from self._inside(node)

    def _inside(self, node: Node) -> Iterator[str]:
        if isinstance(node, Sequence):
            for item in node.items:
                yield from self._conditional(item)
        elif isinstance(node, Fields):
            for key, value in node.items.items():
                if key in ("$then", "$else", "$item", "replace", "append"):
                    yield from self._part(value, node.places[key].short)
                elif key not in _CONDITIONS:
                    yield from self._conditional(value)

    def _conditional(self, node: Node) -> Iterator[str]:
        if isinstance(node, Fields) and "$if" in node.items:
            yield from self._part(node, node.places["$if"].short)
        else:
            yield from self._inside(node)

    def _lines(self, node: Node) -> Iterable[str]:
        """Return the lines at which elements are written, those of a fragment included."""
        if isinstance(node, Scalar):
            return [node.place.short]
        if isinstance(node, Sequence):
            return [line for item in node.items for line in self._lines(item)]
        own = [
            line
            for key, value in node.items.items()
            if key not in (*_CONDITIONS, "mapping", "at", "delete")
            for line in self._lines(value)
        ]
        used = node.items.get("$use")
        if isinstance(used, Scalar) and used.text in self._pieces:
            own += self._lines(self._pieces[used.text])
        return own
