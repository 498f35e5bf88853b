"""A page of a document as a PDF: the same words, tables and plots, made from the page itself.

Equal pages give equal bytes: no clock, no chance, fonts of our own. Of the page's style only what
its elements mean is kept; it is black on white, in one family of type.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TypeGuard

from fpdf.errors import FPDFException

from fhirbridge.translate.documents import letters, page_tree, paper_drawing, paper_tables
from fhirbridge.translate.documents.page_tree import Element
from fhirbridge.translate.documents.sheets import SIDE, SMALL, Run, Sheets

# What runs in a line; every other element stands by itself.
_NAMES = """
a abbr b bdi bdo br cite code del dfn em i img ins kbd mark q s samp small span strong sub sup time
u var wbr
"""
_INLINE = frozenset(_NAMES.split())
_BOLD = frozenset({"b", "strong"})
_UNSEEN = frozenset({"head", "style", "footer"})
_HEADINGS = {"h1": 15.0, "h2": 12.0, "h3": 10.5, "h4": 9.5, "h5": 9.5, "h6": 9.5}
_SPACE = re.compile(r"[ \t\n\r\f]+")
_INDENT, _TERM = 5.0, 42.0  # of a list; of what a <dl> explains
_AFTER = 1.6  # below a paragraph
_TALLEST = 20  # lines of a term or a notice, which is not parted; a longer one is a paragraph
_HEADING, _BEGINNING = 12.0, 14.0  # a heading stays on one sheet with the beginning of the next
_BREAK = "\v"  # a <br> among text, of which other white space is no line's end

# What a page may make of the library: the caller says which document it was, and no value of it.
FAILURES = (
    FPDFException,
    ArithmeticError,
    AssertionError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def pdf(page: str, title: str) -> bytes:
    """Return a page as PDF. `title` goes into its metadata: nothing of the record may be in it."""
    root = page_tree.read(page)
    foot = " · ".join(_plain(_runs([one])) for one in root.every("footer"))
    language = next((one.get("lang") for one in root.inner("html")), "")
    sheets = Sheets(title, language, root.text(), foot)
    _flow(sheets, root.children, 0)
    if sheets.lacks_letters:
        said = f"{letters.UNKNOWN} stands for a letter that this PDF has no font for."
        sheets.paragraph([(said, False)], size=SMALL)
    return bytes(sheets.output())


def _flow(sheets: Sheets, children: list[Element | str], left: float) -> None:
    """Write what stands in an element: text and inline elements as paragraphs, blocks as such."""
    inline: list[Element | str] = []
    blocks = [one for one in children if _is_block(one)]
    for one in children:
        if _is_block(one):
            _paragraph(sheets, inline, left)
            inline = []
            blocks = blocks[1:]
            if one.tag in _HEADINGS:
                sheets.keep(_HEADING + _beginning(sheets, blocks))
            if one.tag not in _UNSEEN:
                _block(sheets, one, left)
        else:
            inline.append(one)
    _paragraph(sheets, inline, left)


def _is_block(one: Element | str) -> TypeGuard[Element]:
    return isinstance(one, Element) and one.tag not in _INLINE


def _paragraph(sheets: Sheets, inline: list[Element | str], left: float) -> None:
    runs = _runs(inline)
    if runs:
        sheets.paragraph(runs, left)
        sheets.ln(_AFTER)


def _beginning(sheets: Sheets, blocks: list[Element]) -> float:
    """Return how much of what follows a heading may not be parted from it."""
    if not blocks:
        return 0
    if blocks[0].tag in _HEADINGS:
        return _HEADING + _beginning(sheets, blocks[1:])
    plots = [*blocks[0].every("svg")] if blocks[0].tag == "figure" else []
    return sum(paper_drawing.height(sheets, one) for one in plots) or _BEGINNING


def _block(sheets: Sheets, element: Element, left: float) -> None:
    if element.tag in _HEADINGS:
        _heading(sheets, element, left)
    elif element.tag in ("ul", "ol"):
        _list(sheets, element, left)
    elif element.tag == "dl":
        _terms(sheets, element, left)
    elif element.tag == "table":
        _table(sheets, element, left)
    elif element.tag == "svg":
        paper_drawing.draw(sheets, element)
    elif element.tag == "hr":
        sheets.rule(sheets.get_y() + 1)
        sheets.ln(3)
    elif "notice" in element.get("class").split():
        _notice(sheets, element)
    else:
        _flow(sheets, element.children, left)


def _heading(sheets: Sheets, element: Element, left: float) -> None:
    size = _HEADINGS[element.tag]
    sheets.ln(2.5)
    sheets.paragraph([(text, True) for text, _ in _runs(element.children)], left, size)
    if element.tag == "h2":
        sheets.rule(sheets.get_y())
    sheets.ln(1)


def _list(sheets: Sheets, element: Element, left: float) -> None:
    for number, item in enumerate(element.inner("li"), start=1):
        sheets.type()
        sheets.keep(sheets.leading)
        y = sheets.get_y()
        sheets.place(SIDE + left, y, f"{number}." if element.tag == "ol" else "•")
        sheets.set_y(y)
        if item.text().strip():
            _flow(sheets, item.children, left + _INDENT)
        else:
            sheets.ln(sheets.leading)
    sheets.ln(1)


def _terms(sheets: Sheets, element: Element, left: float) -> None:
    """Write each term beside what is said of it."""
    sheet, below = sheets.page_no(), sheets.get_y()
    for one in _said(element):
        if one.tag == "dt":
            _below(sheets, sheet, below)
            below = _term(sheets, _plain(_runs(one.children)), left)
            sheet = sheets.page_no()
        elif any(_is_block(inner) for inner in one.children):
            _flow(sheets, one.children, _TERM)
        else:
            sheets.paragraph(_runs(one.children), _TERM)
    _below(sheets, sheet, below)
    sheets.ln(_AFTER)


def _term(sheets: Sheets, text: str, left: float) -> float:
    """Write a term; the cursor stays for what is said of it. Return where the term ends."""
    sheets.type(bold=True)
    lines = sheets.lines(text, _TERM - left - 3)
    if len(lines) > _TALLEST:
        sheets.paragraph([(text, True)], left)
        return sheets.get_y()
    sheets.keep(sheets.leading * max(2, len(lines)))
    y = sheets.get_y()
    for number, line in enumerate(lines):
        sheets.place(SIDE + left, y + number * sheets.leading, line)
    sheets.set_y(y)
    return y + sheets.leading * len(lines)


def _below(sheets: Sheets, sheet: int, y: float) -> None:
    """Go on below a term that is higher than what was said of it."""
    if sheets.page_no() == sheet:
        sheets.set_y(max(sheets.get_y(), y))


def _said(element: Element) -> Iterator[Element]:
    for one in element.inner("dt", "dd", "div"):
        yield from one.inner("dt", "dd") if one.tag == "div" else (one,)


def _table(sheets: Sheets, element: Element, left: float) -> None:
    for caption in element.inner("caption"):
        _paragraph(sheets, caption.children, left)
    rows = [
        paper_tables.Row(
            cells=tuple(
                paper_tables.Cell(
                    text=_plain(_runs([cell])),
                    span=int(cell.get("colspan")) if cell.get("colspan").isdecimal() else 1,
                    bold=cell.tag == "th",
                )
                for cell in row.inner("th", "td")
            ),
            heads=heads,
        )
        for row, heads in _rows_of(element)
    ]
    paper_tables.write(sheets, [row for row in rows if row.cells], left)
    sheets.ln(2)


def _rows_of(table: Element) -> Iterator[tuple[Element, bool]]:
    for part in table.inner("thead", "tbody", "tfoot", "tr"):
        if part.tag == "tr":
            yield part, False
        else:
            yield from ((row, part.tag == "thead") for row in part.inner("tr"))


def _notice(sheets: Sheets, element: Element) -> None:
    """Write what must not be overlooked into a box."""
    sheets.type(bold=True)
    text = _plain(_runs([element]))
    lines = sheets.lines(text, sheets.epw - 6)
    if len(lines) > _TALLEST:
        sheets.paragraph([(text, True)])
        return
    high = sheets.leading * len(lines) + 3
    sheets.keep(high)
    y = sheets.get_y()
    sheets.ink("#111", 0.5)
    sheets.rect(SIDE, y, sheets.epw, high)
    for number, line in enumerate(lines):
        sheets.place(SIDE + 3, y + 1.5 + number * sheets.leading, line)
    sheets.set_xy(SIDE, y + high)
    sheets.ln(2)


def _runs(children: Iterable[Element | str]) -> list[Run]:
    """Return text as it is printed: white space is one space, and none stands at either end."""
    found: list[Run] = []
    for text, bold in _raw(children, bold=False):
        words = _SPACE.sub(" ", text)
        if words.startswith(" ") and (not found or found[-1][0][-1:] in (" ", _BREAK)):
            words = words[1:]
        if words and found and found[-1][1] == bold:
            found[-1] = (found[-1][0] + words, bold)
        elif words:
            found.append((words, bold))
    if found:
        found[-1] = (found[-1][0].rstrip(" "), found[-1][1])
    return [(text.replace(_BREAK, "\n"), bold) for text, bold in found if text]


def _raw(children: Iterable[Element | str], *, bold: bool) -> Iterator[Run]:
    for one in children:
        if isinstance(one, str):
            yield one, bold
        elif one.tag == "br":
            yield _BREAK, bold
        elif one.tag == "img":
            yield one.get("alt"), bold
        else:
            yield from _raw(one.children, bold=bold or one.tag in _BOLD)
            # What does not run in a line is not joined to the word behind it.
            yield (" " if one.tag not in _INLINE else ""), bold


def _plain(runs: Iterable[Run]) -> str:
    return "".join(text for text, _ in runs)
