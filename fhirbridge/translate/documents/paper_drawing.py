"""The plots of a page in its PDF: their own SVG, drawn again. Paths of straight lines, and text."""

import re
from collections.abc import Iterator

from fhirbridge.translate.documents.page_tree import Element
from fhirbridge.translate.documents.sheets import SIDE, Sheets

_STROKE = re.compile(r"M([^MZ]+)(Z?)")
_POINT = 72 / 25.4  # of a millimetre


def height(sheets: Sheets, svg: Element) -> float:
    """Return how high an SVG of ours is drawn."""
    return _size(svg)[1] * _scale(sheets, svg)


def draw(sheets: Sheets, svg: Element) -> None:
    """Draw an SVG of ours as wide as the sheet, and on one sheet."""
    scale = _scale(sheets, svg)
    sheets.keep(height(sheets, svg))
    top = sheets.get_y()
    with sheets.placing():
        for shape in svg.inner("path", "text"):
            if shape.tag == "path":
                _path(sheets, shape, scale, top)
            else:
                _text(sheets, shape, scale, top)
    sheets.ink("#111", 0.2)
    sheets.set_xy(SIDE, top + height(sheets, svg))


def _size(svg: Element) -> tuple[float, float]:
    _, _, width, high = (float(one) for one in svg.get("viewbox").split())
    return width, high


def _scale(sheets: Sheets, svg: Element) -> float:
    """Return how many millimetres one of its lengths is: as wide as the sheet, on one sheet."""
    width, high = _size(svg)
    return min(sheets.epw / width, sheets.whole / high)


def _path(sheets: Sheets, path: Element, scale: float, top: float) -> None:
    fill = path.get("fill")
    filled = fill != "none"
    dash = " ".join(str(float(one) * scale) for one in path.get("stroke-dasharray").split())
    width = float(path.get("stroke-width")) * scale
    sheets.ink(path.get("stroke"), width, fill if filled else "#fff", dash)
    for points, closed in _strokes(path.get("d")):
        places = [(SIDE + x * scale, top + y * scale) for x, y in points]
        sheets.polyline(places, polygon=closed, style="DF" if filled else "D")


def _strokes(d: str) -> Iterator[tuple[list[tuple[float, float]], bool]]:
    for points, end in _STROKE.findall(d):
        numbers = [float(one) for one in points.replace("L", " ").split()]
        yield list(zip(numbers[::2], numbers[1::2], strict=True)), bool(end)


def _text(sheets: Sheets, text: Element, scale: float, top: float) -> None:
    size = float(text.get("font-size")) * scale
    sheets.type(size * _POINT, bold=text.get("font-weight") == "bold")
    words = text.text()
    before = {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor"), 0.0)
    x = SIDE + float(text.get("x")) * scale - before * sheets.width_of(words)
    # A line is placed by its upper edge, an SVG's text by its base.
    y = top + float(text.get("y")) * scale - sheets.leading / 2 - 0.3 * size
    sheets.place(x, y, words)
