"""Why the EHR would not take a resource, in one sentence. Pure; words of ours only.

The server's own words choose an element among those that we made, and are never repeated.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MOST_SOURCES = 3
INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was refused: its type, the mapping that made it, and where each element is from."""

    type: str
    mapping: str
    why: Sequence[dict[str, Any]]  # target, line, sources, rule


def sentence(made: Made, path: str, said: str, *, together: int = 1) -> str:
    """Say which resource, element, source field and mapping line; `said` is the classified answer.

    `path` is where the server saw the error, or ""; `together` how many went in one request, of
    which it named none.
    """
    among = f", one of {together} that go together" if together > 1 else ""
    return (
        f"the EHR will not take {made.type} of {made.mapping}{_origin(made, path)}{among}: {said}"
    )


def _origin(made: Made, path: str) -> str:
    line = _named(made, path)
    if line is not None:
        sources = ", ".join(line["sources"][:MOST_SOURCES])
        parts = [line["target"], f"from {sources}" if sources else "constant", line["line"]]
    else:
        parts = [_row(made), _file(made)]
    shown = ", ".join(part for part in parts if part)
    return f" ({shown})" if shown else ""


def _named(made: Made, path: str) -> dict[str, Any] | None:
    """Return the element of ours that is nearest to the path, or None where none is near."""
    steps = path.split(".") if path else []
    best, most = None, 0
    for line in made.why:
        shared = sum(1 for _ in _shared(steps, line["target"].split(".")[1:]))
        if shared > most:
            best, most = line, shared
    return best


def _shared(theirs: Sequence[str], ours: Sequence[str]) -> Iterator[str]:
    """Yield the steps that both begin with; `value` is also our `valueQuantity`."""
    for their, our in zip(theirs, ours, strict=False):
        bare, own = INDEX.sub("", their), INDEX.sub("", our)
        same_row = their == bare or our in (own, their)
        choice = own.startswith(bare) and own[len(bare) : len(bare) + 1].isupper()
        if not same_row or not (own == bare or choice):
            return
        yield our


def _row(made: Made) -> str:
    """Return the row of the record that most elements are from, such as `from vitals[3]`."""
    rows = [
        source.partition(".")[0]
        for line in made.why
        for source in line["sources"]
        if INDEX.search(source.partition(".")[0])
    ]
    return f"from {max(rows, key=rows.count)}" if rows else ""


def _file(made: Made) -> str:
    files = [line["line"].rpartition(":")[0] for line in made.why]
    return max(files, key=files.count) if files else ""
