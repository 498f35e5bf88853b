"""The `<plot>` of a document becomes an SVG: inline, with no script and nothing from outside."""

import re
from collections.abc import Iterator
from html import escape

from fhirbridge.translate.documents import chart, drawing, page_tree
from fhirbridge.translate.documents.drawing import WIDTH, Path, Shape, Text

_PLOT = re.compile(r"<plot\b[^>]*>.*?</plot>\n?", re.DOTALL)


def drawn(page: str) -> str:
    """Return a page with each plot drawn; one that shows no course of anything is left out."""
    return _PLOT.sub(lambda found: _figure(found.group()), page) if "<plot" in page else page


def _figure(text: str) -> str:
    (plot,) = page_tree.read(text).inner("plot")
    found = chart.read(plot)
    if not found.shows_a_course:
        return ""
    made = drawing.drawn(found)
    title = escape(found.title)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(WIDTH)} {_n(made.height)}"'
        f' role="img" aria-label="{title}" font-family="sans-serif">'
    )
    lines = "\n".join(_lines(made.shapes))
    return f"<figure>\n{head}\n{lines}\n</svg>\n<figcaption>{title}</figcaption>\n</figure>\n"


def _lines(shapes: tuple[Shape, ...]) -> Iterator[str]:
    for shape in shapes:
        yield _text(shape) if isinstance(shape, Text) else _path(shape)


def _path(path: Path) -> str:
    strokes = [" L".join(f"{_n(x)} {_n(y)}" for x, y in points) for points in path.strokes]
    end = " Z" if path.closed else ""
    d = " ".join(f"M{stroke}{end}" for stroke in strokes)
    dash = f' stroke-dasharray="{path.dash}"' if path.dash else ""
    return (
        f'<path d="{d}" fill="{path.fill or "none"}" stroke="{path.stroke}"'
        f' stroke-width="{_n(path.width)}"{dash}/>'
    )


def _text(text: Text) -> str:
    bold = ' font-weight="bold"' if text.bold else ""
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    place = f'x="{_n(text.x)}" y="{_n(text.y)}" font-size="{_n(text.size)}"'
    return f"<text {place}{anchor}{bold}>{escape(text.text)}</text>"


def _n(number: float) -> str:
    """Write a number with one decimal at most."""
    text = f"{number:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
