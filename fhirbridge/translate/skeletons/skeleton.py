"""The FHIR-shaped part of a mapping to closures that make JSON.

Elements and cardinality are checked here, at load.
"""

from collections.abc import Mapping
from dataclasses import replace

from fhirbridge.translate.definitions import (
    Element,
    Room,
    is_primitive,
    resource_types,
    room,
    room_of,
)
from fhirbridge.translate.expressions.compiled import Argument, Compiled, Names, World
from fhirbridge.translate.expressions.compiler import Compiler, compile_text, parse_at
from fhirbridge.translate.faults import FaultError, Faults, Place, a, suggest
from fhirbridge.translate.frame import Run
from fhirbridge.translate.skeletons import invariants, rendering
from fhirbridge.translate.skeletons.constants import constant
from fhirbridge.translate.skeletons.fragments import Fragment
from fhirbridge.translate.skeletons.rendering import Child, Shell
from fhirbridge.translate.skeletons.shapes import shape_for
from fhirbridge.translate.skeletons.spelling import (
    DIRECTIVES,
    code_call,
    expression_text,
    is_directive,
    is_expression,
    is_nothing,
    misshapen,
    plain_argument,
    row_binding,
)
from fhirbridge.translate.tables.code_table import CODE
from fhirbridge.translate.why import Producer
from fhirbridge.translate.written import Part, Written, shown, written
from fhirbridge.translate.yaml_tree import (
    Fields,
    Node,
    Scalar,
    Sequence,
    fields_of,
    items_of,
    text_of,
)

_SHAPES_OF_DIRECTIVES = ({"$for", "$item"}, {"$switch"}, {"$use"}, {"$use", "with"})
_CODED = ("code", "Coding", "CodeableConcept")
_WITH_SYSTEM = ("Coding", "Quantity", "Age", "Count", "Distance", "Duration")


class SkeletonCompiler:
    """Compiles the skeletons of one set.

    Mistakes go to `faults`, and what is wrong makes nothing.
    """

    def __init__(self, world: World, fragments: Mapping[str, Fragment], faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self._fragments = fragments
        self._using: list[str] = []  # fragments that are being put in, to refuse a circle
        self.written: list[Written] = []  # in the order of the files

    def resource(self, node: Fields, target: str, names: Names) -> Run:
        """Compile a whole resource of one type; a fragment may be all of it."""
        whole = Element(
            owner=target,
            path="",
            key="",
            type=target,
            least=1,
            many=False,
            codes={},
            targets=(),
            content="",
        )
        invariants.check_contained(node, self.faults)
        return rendering.unwrapped(self._one(node, whole, names))

    def _object(
        self, node: Fields, at: Room, names: Names, given: tuple[tuple[str, str], ...]
    ) -> Run:
        when = None
        if "$if" in node.items:
            when, names = self._condition(node.items["$if"], names)
        children = []
        for key, value in node.items.items():
            if key == "$if" or (given and key == "resourceType"):
                continue
            with self.faults.caught():
                element = self._element(at, key, node.places[key])
                run = self._value(value, element, replace(names, at=f"{names.at}.{key}"))
                children.append(Child(key=key, run=run, place=node.places[key]))
        self._check_demanded(node, at)
        invariants.check(node, at.name, self.faults)
        shell = Shell(place=node.place, fixed=given, demanded=at.demanded, when=when)
        return rendering.object_of(children, shell, traced=self.world.traced)

    def _check_demanded(self, node: Fields, at: Room) -> None:
        for keys in at.demanded:
            if not any(key in node.items for key in keys):
                shown = " or ".join(key for key in keys if not key.startswith("_"))
                self.faults.add(
                    "E215", node.place, f"{at.name} needs {shown}, and it is not written"
                )

    def _element(self, at: Room, key: str, place: Place) -> Element:
        if key in at.elements:
            return at.elements[key]
        if key.startswith("$"):
            known = suggest(key, DIRECTIVES)
            raise FaultError("E218", place, f"directive {key} cannot stand here{known}")
        if key in at.choices:
            ways = ", ".join(at.choices[key])
            raise FaultError("E211", place, f"{at.name}.{key}[x] is written with its type: {ways}")
        near = suggest(key, at.elements)
        raise FaultError("E210", place, f"{at.name} has no element '{key}'{near}")

    def _value(self, node: Node, element: Element, names: Names) -> Run:
        if element.many:
            return rendering.listed(self._items(node, element, names, inside=False))
        return rendering.unwrapped(self._one(node, element, names))

    def _items(self, node: Node, element: Element, names: Names, *, inside: bool) -> Producer:
        """Compile what stands for a list, or for an item `inside` of it."""
        if isinstance(node, Sequence) and not inside:
            producers = []
            for item in node.items:
                with self.faults.caught():
                    producers.append(self._items(item, element, names, inside=True))
            return rendering.chained(producers)
        if isinstance(node, Fields) and is_directive(node):
            return self._directive(node, element, names, inside=inside)
        if isinstance(node, Scalar) and is_expression(node):
            made, run = self._leaf(node, element, names)
            return rendering.several(run) if made.type.many else self._item(run)
        if not inside:
            raise FaultError(
                "E212", node.place, f"{element.name} is a list; write '- ' before each item"
            )
        return self._item(self._content(node, element, names))

    def _item(self, run: Run) -> Producer:
        return rendering.item(run, traced=self.world.traced)

    def _one(self, node: Node, element: Element, names: Names) -> Producer:
        """Compile what stands for one value."""
        if isinstance(node, Fields) and "$for" in node.items:
            raise FaultError(
                "E212", node.place, f"{element.name} takes one value, and $for makes a list"
            )
        if isinstance(node, Fields) and is_directive(node):
            return self._directive(node, element, names, inside=False)
        if isinstance(node, Scalar) and is_expression(node):
            made, run = self._leaf(node, element, names)
            if made.type.many:
                message = (
                    f"{element.name} takes one value, and this is a list; use first() or single()"
                )
                raise FaultError("E212", node.place, message)
            return rendering.single(run)
        if isinstance(node, Sequence):
            raise FaultError("E212", node.place, f"{element.name} takes one value, not a list")
        return rendering.single(self._content(node, element, names))

    def _leaf(self, node: Scalar, element: Element, names: Names) -> tuple[Compiled, Run]:
        names = names.noting()
        text, place = expression_text(node, sign=True)
        made = compile_text(text, names, world=self.world, place=place)
        self._note(Part.ELEMENT, node, names, element)
        shape = shape_for(made, element, world=self.world, place=node.place)
        return made, rendering.leaf(made, shape, node.place, traced=self.world.traced)

    def _note(self, part: Part, node: Node, names: Names, element: Element | None = None) -> None:
        """Keep what one place of a skeleton says."""
        made = written(
            part,
            node,
            noted=names.noted,
            mapping=names.mapping,
            element=names.at,
            under=names.under,
            value_set=element.value_set if element else "",
        )
        self.written.append(made)

    def _content(self, node: Node, element: Element, names: Names) -> Run:
        """Compile a constant or an object."""
        if isinstance(node, Scalar):
            return self._constant(node, element, names)
        if isinstance(node, Sequence):
            raise FaultError("E212", node.place, f"{element.name} holds no list in a list")
        if is_primitive(element.type):
            message = f"{element.name} is {a(element.type)}, not an object"
            raise FaultError("E213", node.place, message)
        if element.type == "Resource":
            return self._contained(node, names)
        return self._object(node, room_of(element), names, ())

    def _contained(self, node: Fields, names: Names) -> Run:
        kind = text_of(node.items.get("resourceType"), "'resourceType'", node.place, code="E213")
        if kind not in resource_types():
            near = suggest(kind, resource_types())
            raise FaultError(
                "E213", node.places["resourceType"], f"no resource type '{kind}' here{near}"
            )
        return self._object(node, room(kind), names, (("resourceType", kind),))

    def _constant(self, node: Scalar, element: Element, names: Names) -> Run:
        if is_nothing(node):
            raise FaultError(
                "E213", node.place, f"{element.name} has no value; leave it out instead"
            )
        names = names.noting()
        self._note(Part.ELEMENT, node, names, element)
        if element.type in _CODED and (match := CODE.fullmatch(node.text)):
            concept = self.world.codes.find(match.group(1), match.group(2), node.place)
            made = Compiler(self.world, node.place).compile(code_call(match), names)
            shape = shape_for(made, element, world=self.world, place=node.place)
            return rendering.fixed(lambda: shape(concept), node.place, traced=self.world.traced)
        if not is_primitive(element.type):
            hint = "; a code is written system#code" if element.type in _CODED else ""
            message = f"{element.name} is {a(element.type)}, not a plain value{hint}"
            raise FaultError("E213", node.place, message)
        value = constant(node, element)
        if element.key == "system" and element.owner in _WITH_SYSTEM:
            self.world.codes.check_url(node.text, node.place)
        return rendering.fixed(lambda: value, node.place, traced=self.world.traced)

    def _directive(self, node: Fields, element: Element, names: Names, *, inside: bool) -> Producer:
        keys = set(node.items) - {"$if"}
        if keys not in _SHAPES_OF_DIRECTIVES:
            raise misshapen(node)
        when = None
        if "$if" in node.items:
            when, names = self._condition(node.items["$if"], names)
        if "$for" in keys:
            producer = self._for(node, element, names)
        elif "$switch" in keys:
            producer = self._switch(node.items["$switch"], element, names, inside=inside)
        else:
            producer = self._use(node, element, names, inside=inside)
        return producer if when is None else rendering.chosen([(when, producer)])

    def _for(self, node: Fields, element: Element, names: Names) -> Producer:
        names = names.noting()
        rows, name, kind = row_binding(node.items["$for"], names, self.world)
        self._note(Part.CONDITION, node.items["$for"], names)
        inner, slot = names.below(f"for each {shown(node.items['$for'])}").with_row(name, kind)
        item = self._items(node.items["$item"], element, inner, inside=True)
        place = node.items["$for"].place
        return rendering.rows_of(rows.run, slot, item, place, traced=self.world.traced)

    def _switch(self, node: Node, element: Element, names: Names, *, inside: bool) -> Producer:
        branches: list[rendering.Branch] = []
        listed = items_of(node, "$switch", node.place, code="E218")
        for number, item in enumerate(listed):
            with self.faults.caught():
                fields = fields_of(item, "a branch of $switch", node.place, code="E218")
                is_else = set(fields.items) == {"$else"} and number == len(listed) - 1
                if not is_else and set(fields.items) != {"$when", "$then"}:
                    message = "a branch is {$when, $then}; the last may be {$else}"
                    raise FaultError("E218", fields.place, message)
                when, inner = (
                    (None, names) if is_else else self._condition(fields.items["$when"], names)
                )
                then = fields.items["$else" if is_else else "$then"]
                producer = self._branch(then, element, inner, inside=inside)
                branches.append((when, producer))
                if not is_else:
                    names = self._otherwise(fields.items["$when"], names)
        return rendering.chosen(branches)

    def _branch(self, node: Node, element: Element, names: Names, *, inside: bool) -> Producer:
        if (isinstance(node, Sequence) and not node.items) or is_nothing(node):
            return rendering.chained(())
        if not element.many:
            return self._one(node, element, names)
        return self._items(node, element, names, inside=inside and not isinstance(node, Sequence))

    def _use(self, node: Fields, element: Element, names: Names, *, inside: bool) -> Producer:
        name = text_of(node.items["$use"], "$use", node.place, code="E207")
        place = node.items["$use"].place
        if name not in self._fragments:
            message = f"no fragment '{name}'{suggest(name, self._fragments)}"
            raise FaultError("E207", place, message, needs=f"fragments/{name}.yaml")
        if name in self._using:
            raise FaultError("E207", place, f"fragment '{name}' uses itself")
        fragment = self._fragments[name]
        names = names.below(f"fragment {name} ({shown(node.items.get('with'))})")
        inner = replace(
            names, bound={}, item=None, facts={}, parameters=self._arguments(node, fragment, names)
        )
        self._using.append(name)
        try:
            if element.many:
                return self._items(fragment.content, element, inner, inside=inside)
            return self._one(fragment.content, element, inner)
        finally:
            self._using.pop()

    def _arguments(self, node: Fields, fragment: Fragment, names: Names) -> dict[str, Argument]:
        given = Fields(items={}, places={}, place=node.place)
        if "with" in node.items:
            given = fields_of(node.items["with"], "'with'", node.place, code="E207")
        for key, place in given.places.items():
            if key not in fragment.parameters:
                near = suggest(key, fragment.parameters)
                raise FaultError(
                    "E207", place, f"fragment '{fragment.name}' has no parameter '{key}'{near}"
                )
        missing = [name for name in fragment.parameters if name not in given.items]
        if missing:
            message = f"fragment '{fragment.name}' needs {', '.join(map(repr, missing))}"
            raise FaultError("E207", node.place, message)
        return {key: self._argument(value, names) for key, value in given.items.items()}

    def _argument(self, node: Node, names: Names) -> Argument:
        """Read what a parameter stands for.

        It is compiled where the fragment uses it, and here to find mistakes.
        """
        if not isinstance(node, Scalar):
            raise FaultError(
                "E207", node.place, "a parameter is an expression, a code or a plain value"
            )
        if is_expression(node):
            text, place = expression_text(node, sign=True)
            tree = parse_at(text, place)
        else:
            tree, place = plain_argument(node, self.world), node.place
        with self.faults.caught():
            Compiler(self.world, place).compile(tree, names.noting())
        return Argument(tree=tree, names=names, place=place)

    def _condition(self, node: Node, names: Names) -> tuple[Run, Names]:
        """Compile a condition; return it with the names in reach where it holds."""
        text, place = expression_text(node, sign=False)
        tree, names = parse_at(text, place), names.noting()
        run = Compiler(self.world, place).boolean(tree, names).run
        self._note(Part.CONDITION, node, names)
        names = names.below(f"if {text.strip()}")
        return rendering.asked(run, node.place, traced=self.world.traced), names.where(tree)

    def _otherwise(self, node: Node, names: Names) -> Names:
        text, place = expression_text(node, sign=False)
        names = names.below(f"not if {text.strip()}")
        return names.where(parse_at(text, place), holds=False)
