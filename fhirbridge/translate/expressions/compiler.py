"""Expression trees to typed closures.

Names, fields, closed words and types are checked here, at load.
"""

from dataclasses import replace

from fhirbridge.translate.expressions import clinical_functions, functions, number_units, operators
from fhirbridge.translate.expressions.compiled import (
    Compiled,
    Names,
    World,
    as_list,
    spell,
    words_of,
)
from fhirbridge.translate.expressions.narrowing import left_over, literals, path_of
from fhirbridge.translate.expressions.parser import (
    Binary,
    Call,
    Dollar,
    Expression,
    Index,
    Literal,
    Member,
    Minus,
    Name,
    Span,
    parse,
)
from fhirbridge.translate.expressions.record_paths import field_of
from fhirbridge.translate.expressions.tokenizer import ExpressionError
from fhirbridge.translate.faults import A_LET, FaultError, Place, a, suggest
from fhirbridge.translate.frame import Frame
from fhirbridge.translate.source_types import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    NUMBERS,
    STRING,
    Type,
)

_RUN = {"site": STRING, "tenant": STRING}
_RUN_PER_DELIVERY = {
    "targets": STRING.list(),
    "delivery": STRING,
    "recorded": Type(kind="dateTime"),
    "set_digest": STRING,
}
_LOGIC = {
    "and": operators.conjunction,
    "or": operators.disjunction,
    "xor": operators.exclusive,
    "implies": operators.implication,
}
_ORDER = ("<", "<=", ">", ">=")


def compile_text(text: str, names: Names, *, world: World, place: Place) -> Compiled:
    """Compile one expression that starts at `place`. Raises FaultError."""
    return Compiler(world, place).compile(parse_at(text, place), names)


def parse_at(text: str, place: Place) -> Expression:
    """Parse one expression. Raises FaultError E201 at the column of the mistake."""
    try:
        return parse(text)
    except ExpressionError as error:
        raise FaultError("E201", place.moved(error.at), error.message) from None


class Compiler:
    """Compiles the expressions of one place in a file."""

    def __init__(self, world: World, place: Place) -> None:
        self.world = world
        self._place = place

    def fault(self, code: str, tree: Expression, message: str, *, needs: str = "") -> FaultError:
        return FaultError(code, self.place_of(tree), message, needs=needs)

    def place_of(self, tree: Expression) -> Place:
        return self._place.moved(tree.at)

    def compile(self, tree: Expression, names: Names) -> Compiled:
        """Compile one tree. Raises FaultError at the offset of the mistake."""
        if isinstance(tree, Literal):
            return _literal(tree)
        if isinstance(tree, Name | Member):
            made = self._name(tree, names) if isinstance(tree, Name) else self._member(tree, names)
            names.noted.read(*made.type.paths)
            return _narrowed(tree, made, names)
        return self._other(tree, names)

    def _other(self, tree: Dollar | Index | Call | Minus | Span | Binary, names: Names) -> Compiled:
        match tree:
            case Span():
                message = "a length of time can only be added to a time, or taken from it"
                raise self.fault("E205", tree, message)
            case Dollar():
                return self._dollar(tree, names)
            case Index():
                return self._index(tree, names)
            case Call():
                return self._call(tree, names)
            case Minus():
                return self._minus(tree, names)
            case Binary():
                return self._binary(tree, names)

    def _name(self, tree: Name, names: Names) -> Compiled:
        item = names.item
        if item is not None and item.type.field and tree.name in item.type.field.fields:
            return field_of(item, tree.name, traced=self.world.traced)
        if tree.name in names.bound:
            names.used.add(tree.name)
            bound = names.bound[tree.name]
            if bound.noted is not None:
                names.noted.take(bound.noted)
            return bound
        if tree.name in names.broken:
            names.used.add(tree.name)
            raise self.fault("E202", tree, f"'{tree.name}' has a mistake itself", needs=A_LET)
        fields = names.record.field.fields if names.record.field else {}
        if tree.name not in fields:
            rows = item.type.field.fields if item and item.type.field else {}
            near = suggest(tree.name, [*rows, *names.bound, *fields])
            raise self.fault("E202", tree, f"source has no field {tree.name}{near}")
        return field_of(names.whole_record(), tree.name, traced=self.world.traced)

    def _dollar(self, tree: Dollar, names: Names) -> Compiled:
        if tree.name == "this" and names.item is not None:
            names.noted.read(*names.item.type.paths)
            return names.item
        if tree.name in names.parameters:
            argument = names.parameters[tree.name]
            inner = replace(argument.names, noted=names.noted)
            return Compiler(self.world, argument.place).compile(argument.tree, inner)
        known = [f"${name}" for name in names.parameters]
        near = suggest(f"${tree.name}", known)
        raise self.fault("E202", tree, f"there is no ${tree.name} here{near}")

    def _member(self, tree: Member, names: Names) -> Compiled:
        if isinstance(tree.base, Dollar) and tree.base.name == "run":
            return self._run_variable(tree, names)
        base = self.compile(tree.base, names)
        fields = base.type.field.fields if base.type.field else None
        if fields is None:
            raise self.fault("E202", tree, f"{a(base.type)} has no field {tree.name}")
        if tree.name not in fields:
            shown = f"{spell(tree.base)}.{tree.name}"
            raise self.fault(
                "E202", tree, f"source has no field {shown}{suggest(tree.name, fields)}"
            )
        return field_of(base, tree.name, traced=self.world.traced)

    def _run_variable(self, tree: Member, names: Names) -> Compiled:
        known = _RUN | _RUN_PER_DELIVERY if names.per_delivery else _RUN
        if tree.name not in known:
            only = (
                "; only mappings of scope delivery know it"
                if tree.name in _RUN_PER_DELIVERY
                else ""
            )
            near = only or suggest(tree.name, known)
            raise self.fault("E202", tree, f"there is no $run.{tree.name} here{near}")
        name = tree.name
        return Compiled(run=lambda frame: frame.run[name], type=known[name])

    def _index(self, tree: Index, names: Names) -> Compiled:
        base = self.compile(tree.base, names)
        if not base.type.many:
            raise self.fault(
                "E205", tree, f"[{tree.number}] needs a list, and this is {a(base.type)}"
            )
        run, number = base.run, tree.number

        def item(frame: Frame) -> object:
            rows = run(frame)
            return rows[number] if number < len(rows) else None

        return Compiled(run=item, type=base.type.one())

    def _call(self, tree: Call, names: Names) -> Compiled:
        table = (
            functions.TABLE if tree.base is not None else functions.BARE | clinical_functions.TABLE
        )
        if tree.name not in table:
            known = [*functions.TABLE, *functions.BARE, *clinical_functions.TABLE]
            hint = suggest(tree.name, known)
            if tree.name in known:
                hint = (
                    "; it stands after a dot" if tree.base is None else "; it stands without a dot"
                )
            raise self.fault("E203", tree, f"there is no function {tree.name}() here{hint}")
        entry = table[tree.name]
        if not entry.least <= len(tree.arguments) <= entry.most:
            raise self.fault("E203", tree, f"{tree.name}() takes {entry.shown}")
        return entry.make(self, tree, names)

    def _minus(self, tree: Minus, names: Names) -> Compiled:
        operand = self.number(tree.operand, names)
        run = operand.run
        constant = None if operand.constant is None else operators.negated(operand.constant)

        def negated(frame: Frame) -> object:
            value = run(frame)
            return None if value is None else operators.negated(value)

        return Compiled(run=negated, type=operand.type, constant=constant)

    def _binary(self, tree: Binary, names: Names) -> Compiled:
        if tree.sign in _LOGIC:
            left, right = self.boolean(tree.left, names), self.boolean(tree.right, names)
            return Compiled(run=_LOGIC[tree.sign](left.run, right.run), type=BOOLEAN)
        if tree.sign in ("=", "!=", *_ORDER):
            return self._comparison(tree, names)
        if tree.sign == "in":
            return self._membership(tree, names)
        if tree.sign == "|":
            return self._union(tree, names)
        if tree.sign == "&":
            return self._joined(tree, names)
        return self._arithmetic(tree, names)

    def single(self, tree: Expression, names: Names) -> Compiled:
        """Compile what must give one value."""
        made = self.compile(tree, names)
        if made.type.many:
            raise self.fault(
                "E205", tree, f"{spell(tree)} is a list; use first(), single() or exists()"
            )
        return made

    def boolean(self, tree: Expression, names: Names) -> Compiled:
        made = self.single(tree, names)
        if made.type.kind not in ("boolean", "nothing"):
            hint = "a yes or no is needed: use exists() or compare it"
            raise self.fault("E205", tree, f"{spell(tree)} is {a(made.type)}; {hint}")
        return made

    def number(self, tree: Expression, names: Names) -> Compiled:
        made = self.single(tree, names)
        if made.type.kind not in NUMBERS:
            hint = {"string": "; texts are joined by &", "quotient": "; put .round(n) after it"}
            message = f"{spell(tree)} is {a(made.type)}, and a number is needed"
            raise self.fault("E205", tree, message + hint.get(made.type.kind, ""))
        return made

    def _comparison(self, tree: Binary, names: Names) -> Compiled:
        # Without what conditions say: a comparison that can only be false is dull, not wrong.
        names = replace(names, facts={})
        left, right = self.single(tree.left, names), self.single(tree.right, names)
        kind = self._shared_kind(tree, left.type, right.type)
        if kind == "boolean" and tree.sign in _ORDER:
            raise self.fault("E205", tree, f"{tree.sign} cannot compare {a(kind)}")
        self._check_words(tree, left, right)
        made = operators.compare(tree.sign, kind)
        return Compiled(run=operators.strict(made, left.run, right.run), type=BOOLEAN)

    def _shared_kind(self, tree: Binary, left: Type, right: Type) -> str:
        kinds = {left.kind, right.kind}
        if kinds <= set(NUMBERS):
            return "number"
        if kinds == {"date", "partialDate"}:
            return "partialDate"
        if len(kinds) == 1 and left.kind in (
            "string",
            "boolean",
            "date",
            "dateTime",
            "partialDate",
        ):
            return left.kind
        message = f"{a(left)} and {a(right)} cannot be compared by {tree.sign}"
        raise self.fault("E205", tree, message)

    def _check_words(self, tree: Binary, left: Compiled, right: Compiled) -> None:
        """Refuse a word outside a closed set.

        It can never be equal, and the typo would be silent.
        """
        for one, other in ((left, right), (right, left)):
            strange = self._strange(one.type, other.type)
            if other.constant is not None or len(strange) == len(other.type.values):
                self._refuse(tree, strange, one.type)

    def _strange(self, kind: Type, other: Type) -> list[str]:
        """Return the words of the other that are not in the closed set of the first."""
        known = words_of(kind, self.world)
        return [word for word in other.values if known and word not in known]

    def _refuse(self, tree: Expression, strange: list[str], kind: Type) -> None:
        if strange:
            near = suggest(strange[0], words_of(kind, self.world))
            raise self.fault("E205", tree, f"it is never '{strange[0]}'{near}")

    def _membership(self, tree: Binary, names: Names) -> Compiled:
        names = replace(names, facts={})
        left, right = self.single(tree.left, names), self.compile(tree.right, names)
        self._shared_kind(tree, left.type, right.type.one())
        self._refuse(tree, self._strange(left.type, right.type), left.type)
        listed = literals(tree.right)
        if twice := [word for word in listed if listed.count(word) > 1]:
            raise self.fault("E205", tree, f"'{twice[0]}' stands twice in the list")
        rows, value_of = as_list(right), left.run
        key = operators.comparable(left.type.kind)

        def run(frame: Frame) -> object:
            value, found = value_of(frame), rows(frame)
            return None if value is None else key(value) in [key(item) for item in found]

        return Compiled(run=run, type=BOOLEAN)

    def _union(self, tree: Binary, names: Names) -> Compiled:
        left, right = self.compile(tree.left, names), self.compile(tree.right, names)
        first, second = as_list(left), as_list(right)
        kind = functions.joined(self, tree, [left.type, right.type]).list()
        return Compiled(
            run=lambda frame: functions.distinct([*first(frame), *second(frame)]), type=kind
        )

    def _joined(self, tree: Binary, names: Names) -> Compiled:
        left, right = self.single(tree.left, names), self.single(tree.right, names)
        for made, side in ((left, tree.left), (right, tree.right)):
            if made.type.kind != "string":
                hint = "; use toString()"
                raise self.fault(
                    "E205", side, f"& joins texts, and {spell(side)} is {a(made.type)}{hint}"
                )
        first, second = left.run, right.run
        return Compiled(run=lambda frame: (first(frame) or "") + (second(frame) or ""), type=STRING)

    def _arithmetic(self, tree: Binary, names: Names) -> Compiled:
        if isinstance(tree.right, Span) and tree.sign in ("+", "-"):
            return self._moved(tree, tree.right, names)
        left, right = self.number(tree.left, names), self.number(tree.right, names)
        whole = tree.sign == "div" or {left.type.kind, right.type.kind} == {"integer"}
        kind = INTEGER if whole and tree.sign != "/" else DECIMAL
        if tree.sign == "/":
            kind = Type(kind="quotient")  # only round(n) takes it
        elif tree.sign == "*":
            kind = replace(kind, unit=number_units.of_product(left.type, right.type))
        run = operators.strict(operators.arithmetic(tree.sign), left.run, right.run)
        return Compiled(run=run, type=kind)

    def _moved(self, tree: Binary, span: Span, names: Names) -> Compiled:
        left = self.single(tree.left, names)
        if left.type.kind != "dateTime":
            message = f"{spell(tree.left)} is {a(left.type)}, and a time is needed"
            raise self.fault("E205", tree, message)
        run, length = left.run, -span.length if tree.sign == "-" else span.length

        def moved(frame: Frame) -> object:
            moment = run(frame)
            return None if moment is None else operators.moved(moment, length)

        return Compiled(run=moved, type=left.type)


def _narrowed(tree: Name | Member, made: Compiled, names: Names) -> Compiled:
    if unit := number_units.of_value(tree, names):
        return replace(made, type=replace(made.type, unit=unit))
    fact = names.facts.get(path_of(tree)) if names.facts else None
    if fact is None or made.type.kind != "string":
        return made
    return replace(made, type=replace(made.type, values=left_over(made.type, fact)))


def _literal(tree: Literal) -> Compiled:
    value = tree.value
    if isinstance(value, str):
        kind = replace(STRING, values=(value,))
    elif isinstance(value, bool):
        kind = BOOLEAN
    else:
        kind = INTEGER if isinstance(value, int) else DECIMAL
    return Compiled(run=lambda _: value, type=kind, constant=value)
