"""The tags of a document: known ones, each closed. EHRs refuse a narrative with a stray tag."""

import re
from html.parser import HTMLParser

from fhirbridge.translate.faults import Fault, Place, suggest

_VOID = frozenset({"br", "hr", "img", "meta", "col", "wbr"})
_NAMES = """
a abbr address article aside b bdi bdo blockquote body caption cite code colgroup dd del dfn div dl
dt em figcaption figure footer h1 h2 h3 h4 h5 h6 head header html i ins kbd li main mark nav ol p
pre q s samp section small span strong style sub sup table tbody td tfoot th thead time title tr u
ul var
"""
_KNOWN = _VOID.union(_NAMES.split())
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
        del attrs
        line = self.getpos()[0]
        if tag not in _KNOWN:
            self._note(line, f"no such tag <{tag}>{suggest(tag, _KNOWN)}")
        elif tag not in _VOID:
            self._open.append((tag, line))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
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

    def _note(self, line: int, message: str) -> None:
        place = Place(file=self._file, line=line)
        self.found.append(Fault(code="E209", place=place, message=message))
