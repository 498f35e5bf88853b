"""Which mappings refer to which: what can be referred to, and that no reference leads back."""

from collections.abc import Mapping, Sequence

from fhirbridge.translate.faults import Faults, Place
from fhirbridge.translate.mapping_file import Head
from fhirbridge.translate.mapping_file import Mapping as OneMapping
from fhirbridge.translate.values import Scope

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
    """Note each circle of references of which not all go in one transaction.

    What a visit makes goes together, and one row may refer to another: there a circle of keyspaces
    does no harm. What visits share may have gone before, and must not need what has not.
    """
    graph: dict[Made, dict[Made, Place]] = {}
    shared: dict[Made, None] = {}
    for mapping in mappings:
        own = (mapping.target, mapping.keyspace)
        graph.setdefault(own, {}).update(mapping.refers)
        if mapping.scope is not Scope.VISIT:
            shared[own] = None
    told: set[frozenset[Made]] = set()
    for node in shared:
        circle = _way_back(graph, node)
        if circle and frozenset(circle) not in told:
            told.add(frozenset(circle))
            shown = " -> ".join(f"{kind} '{keyspace}'" for kind, keyspace in (*circle, circle[0]))
            place = graph[circle[-1]][circle[0]]
            faults.add("E221", place, f"references go in a circle: {shown}")


def _way_back(graph: Mapping[Made, Mapping[Made, Place]], start: Made) -> tuple[Made, ...]:
    """Return the shortest circle through others that comes back to `start`; () if there is none."""
    ways: list[tuple[Made, ...]] = [(start,)]
    seen = {start}
    for way in ways:  # grows as it is walked
        for other in graph.get(way[-1], {}):
            if other == start and len(way) > 1:
                return way
            if other not in seen:
                seen.add(other)
                ways.append((*way, other))
    return ()
