"""Closures that make JSON from a frame: elements, lists, objects.

What is empty vanishes; what FHIR demands may not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.translate.expressions.compiled import Compiled
from fhirbridge.translate.faults import Place
from fhirbridge.translate.frame import MAX_OUTPUT, Frame, RefusedError, Run
from fhirbridge.translate.skeletons.shapes import Shape
from fhirbridge.translate.values import Why

MAX_ROWS = 10_000

Producer = Callable[[Frame, list[Any]], None]  # appends to the list what it makes


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One element of an object that is made."""

    key: str
    run: Run
    place: Place


def ask(frame: Frame, run: Run, place: Place) -> Any:
    """Evaluate what steers the output but does not stand in it; nothing where it is refused."""
    start, rules = len(frame.reads), len(frame.rules)
    try:
        return run(frame)
    except RefusedError as error:
        frame.refuse(error.code, place, error.message, frame.sources(start))
        return None
    finally:
        frame.passed.extend(frame.reads[start:])
        del frame.reads[start:], frame.rules[rules:]


def leaf(made: Compiled, shape: Shape, place: Place) -> Run:
    """Return what makes one element from an expression, with its why."""
    run, many, refers = made.run, made.type.many, made.type.kind == "Reference"

    def element(frame: Frame) -> Any:
        try:
            value = run(frame)
            if many:
                shaped = (shape(item) for item in value)
                made_value: Any = [item for item in shaped if item is not None] or None
            else:
                made_value = None if value is None else shape(value)
        except RefusedError as error:
            frame.refuse(error.code, place, error.message, frame.sources(0))
            _forget(frame)
            return None
        why = _noted(frame, made_value, place)
        if refers and made_value is not None:
            _note_references(frame, value if many else [value], why)
        return made_value

    return element


def _noted(frame: Frame, value: Any, place: Place) -> Why:
    sources = frame.sources(0)
    rule = ", ".join(dict.fromkeys(frame.rules)) or ("" if sources else "constant")
    why = Why(target=frame.target, line=place.short, sources=sources, rule=rule)
    (frame.empty if value is None else frame.whys).append(why)
    _forget(frame)
    frame.size += len(value) if isinstance(value, str) else 1
    if frame.size > MAX_OUTPUT:
        raise RefusedError("E408", f"the resource is larger than {MAX_OUTPUT} characters")
    return why


def _forget(frame: Frame) -> None:
    frame.passed.extend(frame.reads)
    frame.reads.clear()
    frame.rules.clear()


def _note_references(frame: Frame, values: Sequence[dict[str, str]], why: Why) -> None:
    for value in values:
        kind, _, own = value["reference"].partition("/")
        frame.references.append((kind, own, why))


def fixed(make: Callable[[], Any], place: Place) -> Run:
    """Return what makes a constant.

    `make` gives a new object each time, so that no two resources share one.
    """
    line = place.short

    def element(frame: Frame) -> Any:
        frame.whys.append(Why(target=frame.target, line=line, sources=(), rule="constant"))
        return make()

    return element


def nothing(_: Frame) -> None:
    """Make nothing."""


def single(run: Run) -> Producer:
    """Return what appends one item, where it is not nothing."""

    def produce(frame: Frame, out: list[Any]) -> None:
        frame.path.append(f"[{len(out)}]")
        value = run(frame)
        frame.path.pop()
        if value is not None:
            out.append(value)

    return produce


def several(run: Run) -> Producer:
    """Return what appends each item of an expression's list."""

    def produce(frame: Frame, out: list[Any]) -> None:
        out.extend(run(frame) or [])

    return produce


def chained(producers: Sequence[Producer]) -> Producer:
    """Return what appends the items of several, in their order."""

    def produce(frame: Frame, out: list[Any]) -> None:
        for producer in producers:
            producer(frame, out)

    return produce


def rows_of(made: Run, slot: int, item: Producer, place: Place) -> Producer:
    """Return what appends the items made for each row."""

    def produce(frame: Frame, out: list[Any]) -> None:
        start = len(frame.passed)
        rows = ask(frame, made, place)
        if not rows:
            sources = tuple(dict.fromkeys(frame.path_of(read) for read in frame.passed[start:]))
            frame.empty.append(Why(target=frame.target, line=place.short, sources=sources))
            return
        if len(rows) > MAX_ROWS:
            raise RefusedError("E408", f"more than {MAX_ROWS} rows")
        for row in rows:
            frame.slots[slot] = row
            item(frame, out)

    return produce


def listed(producer: Producer) -> Run:
    """Return what makes a list; an empty one is nothing."""

    def element(frame: Frame) -> Any:
        out: list[Any] = []
        producer(frame, out)
        return out or None

    return element


Branch = tuple[Run | None, Place, Producer]  # when (nothing for $else), where, then


def chosen(branches: Sequence[Branch]) -> Producer:
    """Return what appends the items of the first branch that holds."""

    def produce(frame: Frame, out: list[Any]) -> None:
        for when, place, then in branches:
            if when is None or ask(frame, when, place) is True:
                then(frame, out)
                return

    return produce


def only_if(when: Run, place: Place, then: Producer) -> Producer:
    """Return what appends nothing where the condition does not hold."""
    return chosen([(when, place, then)])


def unwrapped(producer: Producer) -> Run:
    """Return what makes the one value that a producer appends; its path has no index."""

    def element(frame: Frame) -> Any:
        out: list[Any] = []
        producer(frame, out)
        return out[0] if out else None

    return element


def plain(run: Run) -> Producer:
    """Return what appends one value that stands in no list."""

    def produce(frame: Frame, out: list[Any]) -> None:
        value = run(frame)
        if value is not None:
            out.append(value)

    return produce


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What is known at load of an object that is made."""

    place: Place
    fixed: tuple[tuple[str, str], ...]  # resourceType of a contained resource
    demanded: tuple[tuple[str, ...], ...]
    when: Run | None


def object_of(children: Sequence[Child], shell: Shell) -> Run:
    """Return what makes an object; it vanishes where all in it is empty."""

    def element(frame: Frame) -> Any:
        if shell.when is not None and ask(frame, shell.when, shell.place) is not True:
            return None
        out: dict[str, Any] = {}
        for child in children:
            frame.path.append(f".{child.key}")
            value = child.run(frame)
            frame.path.pop()
            if value is not None:
                out[child.key] = value
        if not out:
            return None
        for keys in shell.demanded:
            if not any(key in out for key in keys):
                _report_missing(frame, keys, children, shell.place)
        return {**dict(shell.fixed), **out}

    return element


def _report_missing(
    frame: Frame, keys: tuple[str, ...], children: Sequence[Child], place: Place
) -> None:
    """Note that an element which FHIR demands came out empty.

    Unless its own problem is noted already.
    """
    target = f"{frame.target}.{keys[0]}"
    ways = tuple(f"{frame.target}.{key}" for key in keys)
    if any(_is_within(path, ways) for path in frame.refused):
        return
    at = next((child.place for child in children if child.key in keys), place)
    sources = [
        source for why in frame.empty if _is_within(why.target, ways) for source in why.sources
    ]
    frame.path.append(target.removeprefix(frame.target))
    frame.refuse("E401", at, "FHIR demands it, and it is empty", tuple(dict.fromkeys(sources)))
    frame.path.pop()


def _is_within(path: str, parents: tuple[str, ...]) -> bool:
    return any(
        path == parent or path.startswith((f"{parent}.", f"{parent}[")) for parent in parents
    )
