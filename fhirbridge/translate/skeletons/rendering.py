"""Closures that make JSON from a frame: elements, lists, objects.

What is empty vanishes; what FHIR demands may not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.translate import why
from fhirbridge.translate.expressions.compiled import Compiled
from fhirbridge.translate.faults import Place
from fhirbridge.translate.frame import MAX_OUTPUT, Frame, RefusedError, Run
from fhirbridge.translate.skeletons.shapes import Shape
from fhirbridge.translate.values import Why
from fhirbridge.translate.why import Producer

MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One element of an object that is made."""

    key: str
    run: Run
    place: Place


def asked(run: Run, place: Place, *, traced: bool) -> Run:
    """Return what steers the output but does not stand in it; nothing where it is refused."""

    def answer(frame: Frame) -> Any:
        try:
            return run(frame)
        except RefusedError as error:
            frame.refuse(error.code, place, error.message, frame.paths_of(frame.reads))
            return None

    return why.noted_choice(answer) if traced else answer


def leaf(made: Compiled, shape: Shape, place: Place, *, traced: bool) -> Run:
    """Return what makes one element from an expression."""
    run, many = made.run, made.type.many

    def element(frame: Frame) -> Any:
        try:
            value = run(frame)
            if many:
                value = [item for item in map(shape, value) if item is not None] or None
            elif value is not None:
                value = shape(value)
        except RefusedError as error:
            frame.refuse(error.code, place, error.message, frame.paths_of(frame.reads))
            return None
        frame.size += len(value) if isinstance(value, str) else 1
        if frame.size > MAX_OUTPUT:
            raise RefusedError("E408", f"the resource is larger than {MAX_OUTPUT} characters")
        return value

    noted = why.noted_element(element, place) if traced else element
    return _referring(noted, place) if made.type.kind == "Reference" else noted


def _referring(run: Run, place: Place) -> Run:
    """Note to what an element refers: it must be made too."""
    untraced = Why(target="", line=place.short, sources=())

    def element(frame: Frame) -> Any:
        value = run(frame)
        if value is not None:
            at = frame.whys[-1] if frame.whys else untraced
            for item in value if isinstance(value, list) else [value]:
                text = item if isinstance(item, str) else item["reference"]
                kind, _, own = text.partition("/")
                frame.references.append((kind, own, at))
        return value

    return element


def fixed(make: Callable[[], Any], place: Place, *, traced: bool) -> Run:
    """Return what makes a constant.

    `make` gives a new object each time, so that no two resources share one.
    """
    run: Run = lambda _: make()  # noqa: E731 - one line says it
    return why.noted_element(run, place) if traced else run


def nothing(_: Frame) -> None:
    """Make nothing."""


def single(run: Run) -> Producer:
    """Return what appends one value, where it is not nothing."""

    def produce(frame: Frame, out: list[Any]) -> None:
        value = run(frame)
        if value is not None:
            out.append(value)

    return produce


def item(run: Run, *, traced: bool) -> Producer:
    """Return what appends one item of a list, where it is not nothing."""
    return why.noted_item(single(run)) if traced else single(run)


def several(run: Run) -> Producer:
    """Return what appends each item of an expression's list."""

    def produce(frame: Frame, out: list[Any]) -> None:
        out.extend(run(frame) or [])

    return produce


def chained(producers: Sequence[Producer]) -> Producer:
    """Return what appends the items of several, in their order."""
    if len(producers) == 1:
        return producers[0]

    def produce(frame: Frame, out: list[Any]) -> None:
        for producer in producers:
            producer(frame, out)

    return produce


def rows_of(made: Run, slot: int, each: Producer, place: Place, *, traced: bool) -> Producer:
    """Return what appends the items made for each row."""
    answer = asked(made, place, traced=traced)
    rows_in = why.noted_rows(answer, place) if traced else answer

    def produce(frame: Frame, out: list[Any]) -> None:
        rows = rows_in(frame) or ()
        if len(rows) > MAX_ROWS:
            raise RefusedError("E408", f"more than {MAX_ROWS} rows")
        for row in rows:
            frame.slots[slot] = row
            each(frame, out)

    return produce


def listed(producer: Producer) -> Run:
    """Return what makes a list; an empty one is nothing."""

    def element(frame: Frame) -> Any:
        out: list[Any] = []
        producer(frame, out)
        return out or None

    return element


Branch = tuple[Run | None, Producer]  # when, asked (nothing for $else); then


def chosen(branches: Sequence[Branch]) -> Producer:
    """Return what appends the items of the first branch that holds."""

    def produce(frame: Frame, out: list[Any]) -> None:
        for when, then in branches:
            if when is None or when(frame) is True:
                then(frame, out)
                return

    return produce


def unwrapped(producer: Producer) -> Run:
    """Return what makes the one value that a producer appends; its path has no index."""

    def element(frame: Frame) -> Any:
        out: list[Any] = []
        producer(frame, out)
        return out[0] if out else None

    return element


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What is known at load of an object that is made."""

    place: Place
    fixed: tuple[tuple[str, str], ...]  # resourceType of a contained resource
    demanded: tuple[tuple[str, ...], ...]
    when: Run | None  # asked


def object_of(children: Sequence[Child], shell: Shell, *, traced: bool) -> Run:
    """Return what makes an object; it vanishes where all in it is empty."""
    parts = [
        (child.key, why.noted_child(child.run, child.key) if traced else child.run)
        for child in children
    ]
    when, demanded, given = shell.when, shell.demanded, dict(shell.fixed)

    def element(frame: Frame) -> Any:
        if when is not None and when(frame) is not True:
            return None
        out = {key: value for key, run in parts if (value := run(frame)) is not None}
        if not out:
            return None
        for keys in demanded:
            if not any(key in out for key in keys):
                _report_missing(frame, keys, children, shell.place)
        return {**given, **out}

    return element


def _report_missing(
    frame: Frame, keys: tuple[str, ...], children: Sequence[Child], place: Place
) -> None:
    """Note that an element which FHIR demands came out empty.

    Unless its own problem is noted already; untraced, where there is any problem with the resource.
    """
    target = f"{frame.target}.{keys[0]}"
    ways = tuple(f"{frame.target}.{key}" for key in keys)
    if any(not frame.traced or _is_within(path, ways) for path in frame.refused):
        return
    at = next((child.place for child in children if child.key in keys), place)
    sources = [
        source for gap in frame.empty if _is_within(gap.target, ways) for source in gap.sources
    ]
    frame.path.append(target.removeprefix(frame.target))
    frame.refuse("E401", at, "FHIR demands it, and it is empty", tuple(dict.fromkeys(sources)))
    frame.path.pop()


def _is_within(path: str, parents: tuple[str, ...]) -> bool:
    return any(
        path == parent or path.startswith((f"{parent}.", f"{parent}[")) for parent in parents
    )
