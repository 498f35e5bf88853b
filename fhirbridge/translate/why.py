"""The trace: from which fields, by which line and rule each element comes; what nobody read.

Each wrapper makes a closure that notes of one that does not; an untraced set does without them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fhirbridge.translate.faults import Place
from fhirbridge.translate.frame import Frame, Read, Run
from fhirbridge.translate.values import Why

Producer = Callable[[Frame, list[Any]], None]  # appends to the list what it makes
Take = Callable[[Frame, dict[str, Any]], Any]  # takes a field of an object


def noted_field(name: str, *, leaf: bool) -> Take:
    """Take a field and note it; of an object that is there, only what is read in it counts."""

    def take(frame: Frame, value: dict[str, Any]) -> Any:
        inner = value.get(name)
        if leaf or inner is None or inner == []:
            frame.reads.append((value, name))
        return inner

    return take


def noted_test(test: Run) -> Run:
    """Leave out what was read of a row that does not count: it is no source of the result."""

    def kept(frame: Frame) -> Any:
        start = len(frame.reads)
        if test(frame) is True:
            return True
        frame.passed.extend(frame.reads[start:])
        del frame.reads[start:]
        return False

    return kept


def noted_let(run: Run, slot: int) -> Run:
    """Evaluate a `let` once for each row; whoever uses it has read what it read."""

    def value(frame: Frame) -> Any:
        known: tuple[Any, list[Read], list[str]] | None = frame.slots[slot]
        if known is None:
            start, rules = len(frame.reads), len(frame.rules)
            made = run(frame)
            frame.slots[slot] = (made, frame.reads[start:], frame.rules[rules:])
            return made
        frame.reads.extend(known[1])
        frame.rules.extend(known[2])
        return known[0]

    return value


def noted_choice(run: Run) -> Run:
    """Leave out what only steers the output: what it reads is no source of an element."""

    def value(frame: Frame) -> Any:
        made = run(frame)
        _forget(frame)
        return made

    return value


def noted_rows(run: Run, place: Place) -> Run:
    """Note that a list came out empty, with what was read to find that."""
    line = place.short

    def rows(frame: Frame) -> Any:
        start = len(frame.passed)
        found = run(frame)
        if not found:
            sources = frame.paths_of(frame.passed[start:])
            frame.empty.append(Why(target=frame.target, line=line, sources=sources))
        return found

    return rows


def noted_element(run: Run, place: Place) -> Run:
    """Note from what an element was made, or that it came out empty."""
    line = place.short

    def element(frame: Frame) -> Any:
        refused = len(frame.refused)
        value = run(frame)
        if len(frame.refused) == refused:
            sources = frame.paths_of(frame.reads)
            rule = ", ".join(dict.fromkeys(frame.rules)) or ("" if sources else "constant")
            why = Why(target=frame.target, line=line, sources=sources, rule=rule)
            (frame.empty if value is None else frame.whys).append(why)
        _forget(frame)
        return value

    return element


def _forget(frame: Frame) -> None:
    frame.passed.extend(frame.reads)
    frame.reads.clear()
    frame.rules.clear()


def noted_document(run: Run, name: str) -> Run:
    """Note which parts of the record a document read: `vitals`, not three hundred paths."""

    def text(frame: Frame) -> Any:
        start = len(frame.reads)
        filled = run(frame)
        read = frame.reads[start:]
        parts = [frame.path_of(one).partition(".")[0].partition("[")[0] for one in read]
        frame.passed.extend(read)
        frame.reads[start:] = [(frame.record, part) for part in dict.fromkeys(parts) if part]
        frame.follow(f"document({name})")
        return filled

    return text


def noted_child(run: Run, key: str) -> Run:
    """Keep the path while the element of an object is made."""
    step = f".{key}"

    def child(frame: Frame) -> Any:
        frame.path.append(step)
        value = run(frame)
        frame.path.pop()
        return value

    return child


def noted_item(produce: Producer) -> Producer:
    """Keep the path while the next item of a list is made."""

    def item(frame: Frame, out: list[Any]) -> None:
        frame.path.append(f"[{len(out)}]")
        produce(frame, out)
        frame.path.pop()

    return item


def unmapped(record: dict[str, Any], reads: Iterable[Read]) -> tuple[str, ...]:
    """Return the paths with data that nothing read.

    Of a part of which nothing was read, only the part.
    """
    seen = {(id(value), name) for value, name in reads}
    return tuple(sorted(_unread(record, "", seen)[0]))


def _unread(value: Any, path: str, seen: set[tuple[int, str]]) -> tuple[list[str], bool]:
    """Return what was not read below a value, and whether anything was."""
    missed: list[str] = []
    touched = False
    for inner, own, was_read in _parts(value, path, seen):
        if was_read:
            touched = True
        elif not isinstance(inner, dict | list):
            missed.append(own)
        elif inner:
            below, some = _unread(inner, own, seen)
            missed += below if some else [own]
            touched = touched or some
    return missed, touched


def _parts(value: Any, path: str, seen: set[tuple[int, str]]) -> Iterator[tuple[Any, str, bool]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            own = f"{path}.{name}" if path else name
            simple = not isinstance(inner, dict) and not (
                isinstance(inner, list) and _holds_objects(inner)
            )
            yield inner, own, simple and (id(value), name) in seen
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield inner, f"{path}[{number}]", False


def _holds_objects(rows: list[Any]) -> bool:
    return any(isinstance(row, dict | list) for row in rows)
