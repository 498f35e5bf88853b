"""Which mappings refer to which: what can be referred to, and that no reference leads back."""

from collections.abc import Mapping, Sequence

from fhirbridge.translate.faults import Faults, Place
from fhirbridge.translate.mapping_file import Head
from fhirbridge.translate.mapping_file import Mapping as OneMapping

Made = tuple[str, str]  # type and keyspace


def keyspaces_of(heads: Sequence[Head], faults: Faults) -> dict[str, dict[str, int]]:
    """Return type -> keyspace -> number of key parts; a keyspace has one number, one scope."""
    found: dict[str, dict[str, int]] = {}
    first: dict[Made, Head] = {}
    for head in heads:
        found.setdefault(head.target, {}).setdefault(head.keyspace, len(head.key))
        other = first.setdefault((head.target, head.keyspace), head)
        own = f"the keyspace '{head.keyspace}' of {head.target} is also that of '{other.name}'"
        if len(other.key) != len(head.key):
            message = f"{own}, whose key has {len(other.key)} part(s)"
            faults.add("E217", head.tree.items["key"].place, message)
        if other.scope is not head.scope:
            message = f"{own}, whose scope is {other.scope}"
            faults.add("E217", head.tree.items["scope"].place, message)
    return found


def refuse_circles(mappings: Sequence[OneMapping], faults: Faults) -> None:
    """Note each circle of references: no resource of it could be sent first.

    A keyspace may refer to itself, since one row may refer to another.
    """
    graph: dict[Made, dict[Made, Place]] = {}
    for mapping in mappings:
        own = (mapping.target, mapping.keyspace)
        graph.setdefault(own, {}).update(mapping.refers)
    for circle in _circles(graph):
        shown = " -> ".join(f"{kind} '{keyspace}'" for kind, keyspace in (*circle, circle[0]))
        faults.add("E221", graph[circle[-1]][circle[0]], f"references go in a circle: {shown}")


def _circles(graph: Mapping[Made, Mapping[Made, Place]]) -> list[tuple[Made, ...]]:
    """Return a circle for each reference that leads back, in the order of reading."""
    found: list[tuple[Made, ...]] = []
    done: set[Made] = set()

    def visit(node: Made, way: tuple[Made, ...]) -> None:
        for other in graph.get(node, {}):
            if other in way and other != node:
                found.append(way[way.index(other) :])
            elif other not in way and other not in done:
                visit(other, (*way, other))
        done.add(node)

    for node in graph:
        if node not in done:
            visit(node, (node,))
    return found
