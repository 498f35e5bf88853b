"""The tags of a document: known ones, each closed. EHRs refuse a narrative with a stray tag."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from fhirbridge.translate.faults import Fault, Place, suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """An element of a plot: in which it stands, and its attributes."""

    within: str = ""
    needed: tuple[str, ...]
    may: tuple[str, ...] = ()


_PLOT = {
    "plot": _Part(needed=("title",)),
    "lane": _Part(within="plot", needed=("name",)),
    "stretch": _Part(within="lane", needed=("from", "label"), may=("to",)),
    "pause": _Part(within="lane", needed=("from", "label"), may=("to",)),
    "moment": _Part(within="lane", needed=("at", "label")),
    "panel": _Part(within="plot", needed=("name",), may=("least", "most")),
    "line": _Part(within="panel", needed=("name",)),
    "point": _Part(within="line", needed=("at", "value"), may=("unit",)),
}
VOID = frozenset({"br", "hr", "img", "meta", "col", "wbr", "stretch", "pause", "moment", "point"})
_NAMES = """
a abbr address article aside b bdi bdo blockquote body caption cite code colgroup dd del dfn div dl
dt em figcaption figure footer h1 h2 h3 h4 h5 h6 head header html i ins kbd li main mark nav ol p
pre q s samp section small span strong style sub sup table tbody td tfoot th thead time title tr u
ul var
"""
_KNOWN = VOID.union(_NAMES.split(), _PLOT)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_OF_TEMPLATE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)


def faults_in(text: str, file: str) -> list[Fault]:
    """Return each tag that is unknown or not closed, as if every branch were taken."""
    walk = _Walk(file)
    walk.feed(_OF_TEMPLATE.sub(_blank, text))
    walk.close()
    walk.finish()
    return walk.found


def _blank(match: re.Match[str]) -> str:
    """Leave only line ends, so that lines keep their numbers."""
    return re.sub(r"[^\n]", " ", match.group())


class _Walk(HTMLParser):
    def __init__(self, file: str) -> None:
        super().__init__()
        self.found: list[Fault] = []
        self._file = file
        self._open: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        self._check_plot(tag, dict(attrs))
        if tag not in _KNOWN:
            self._note(line, f"no such tag <{tag}>{suggest(tag, _KNOWN)}")
        elif tag not in VOID:
            self._open.append((tag, line))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_plot(tag, dict(attrs))
        if tag not in _KNOWN:
            self._note(self.getpos()[0], f"no such tag <{tag}>{suggest(tag, _KNOWN)}")

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()
            return
        inner = f"; <{self._open[-1][0]}> is open" if self._open else ""
        self._note(self.getpos()[0], f"</{tag}> closes nothing here{inner}")

    def finish(self) -> None:
        """Note what is still open at the end, where nothing else was wrong."""
        if self._open and not self.found:
            tag, line = self._open[-1]
            self._note(line, f"<{tag}> is not closed")

    def _check_plot(self, tag: str, given: dict[str, str | None]) -> None:
        """Note what a plot would not understand: it would draw less, and say nothing."""
        outer = self._open[-1][0] if self._open else ""
        for message in _strange(tag, given, outer):
            self._note(self.getpos()[0], message)

    def _note(self, line: int, message: str) -> None:
        place = Place(file=self._file, line=line)
        self.found.append(Fault(code="E209", place=place, message=message))


def _strange(tag: str, given: dict[str, str | None], outer: str) -> Iterator[str]:
    part = _PLOT.get(tag)
    if part is not None:
        yield from _strange_part(tag, part, given, outer)
    elif outer in _PLOT and tag in _KNOWN:
        yield f"<{tag}> does not stand in a <{outer}>"


def _strange_part(tag: str, part: _Part, given: dict[str, str | None], outer: str) -> Iterator[str]:
    if part.within and part.within != outer:
        yield f"<{tag}> stands in a <{part.within}>"
    known = part.needed + part.may
    yield from (
        f"<{tag}> has no '{name}'{suggest(name, known)}" for name in given if name not in known
    )
    yield from (f"<{tag}> needs '{name}'" for name in part.needed if name not in given)
    # Blank is what the template fills in.
    bounds = {name: (given.get(name) or "").strip() for name in ("least", "most")}
    for name, value in bounds.items():
        if value and not _NUMBER.fullmatch(value):
            yield f"'{name}' of a <{tag}> is a number"
