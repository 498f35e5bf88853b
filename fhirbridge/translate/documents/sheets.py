"""The sheets of a PDF: type, lines and paragraphs at their places. Knows nothing of pages in HTML.

Lengths are millimetres, sizes of type are points.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise

from fpdf import FPDF
from fpdf.enums import MethodReturnValue, XPos, YPos

from fhirbridge.translate.documents import letters

SIDE, TOP, FOOT = 17.0, 15.0, 20.0  # margins
SIZE, SMALL = 9.5, 8.0
PRODUCER = "fhirbridge"
# Never the clock: the same page is the same bytes. When a note was signed, its text says.
CREATED = datetime(2000, 1, 1, tzinfo=UTC)
_FAMILY = "note"
_LEADING = 1.37  # from line to line, in sizes of the type
_MM = 25.4 / 72  # of a point
_PAGE_NUMBER = 28.0  # what it takes at the foot

Run = tuple[str, bool]  # text, and whether it is bold


class Sheets(FPDF):
    """Sheets of paper, the newest last; the cursor stands where the next block begins."""

    def __init__(self, title: str, language: str, text: str, foot: str) -> None:
        """Take a title for the metadata, all text for its letters, and what each foot says."""
        super().__init__(format="letter")
        others = letters.fonts_for(text)
        self._known = letters.of_fonts(others)
        self._foot = foot
        self.lacks_letters = False
        self.set_title(title)
        self.set_producer(PRODUCER)
        self.set_creation_date(CREATED)
        if language:
            self.set_lang(language)
        self.c_margin = 0
        self.set_margins(SIDE, TOP)
        self.set_auto_page_break(auto=True, margin=FOOT)
        self.add_font(_FAMILY, "", letters.FOLDER / letters.REGULAR)
        self.add_font(_FAMILY, "B", letters.FOLDER / letters.BOLD)
        for file in others:
            self.add_font(file, "", letters.FOLDER / file)
        self.set_fallback_fonts(list(others), exact_match=False)
        self.type()
        self.add_page()

    def footer(self) -> None:
        """Write the foot of a sheet: what the page says there, and which sheet this is."""
        with self.placing():
            self.type(size=SMALL)
            y = self.h - FOOT + 6
            lines = self.lines(self._foot, self.epw - _PAGE_NUMBER)
            for number, line in enumerate(lines[:2]):
                self.place(SIDE, y + number * self.leading, line)
            number_at = self.w - SIDE - _PAGE_NUMBER + 6
            self.place(number_at, y, f"Page {self.page_no()} of {self.str_alias_nb_pages}")

    @property
    def leading(self) -> float:
        """From line to line in the type that is set."""
        return self.font_size_pt * _MM * _LEADING

    @property
    def room(self) -> float:
        """What is left of the sheet below the cursor."""
        return float(self.page_break_trigger) - float(self.get_y())

    @property
    def whole(self) -> float:
        """How much one sheet takes."""
        return float(self.page_break_trigger) - TOP

    def type(self, size: float = SIZE, *, bold: bool = False) -> None:
        """Set the type."""
        self.set_font(_FAMILY, "B" if bold else "", size)

    def keep(self, height: float) -> None:
        """Begin a new sheet where this one has less room than that."""
        if self.room < height and self.get_y() > TOP:
            self.add_page()

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Put things at places of the caller's own: no sheet begins by itself."""
        before = bool(self.auto_page_break)  # a foot may be due amid a table
        self.set_auto_page_break(auto=False, margin=FOOT)
        try:
            yield
        finally:
            self.set_auto_page_break(auto=before, margin=FOOT)

    def paragraph(self, runs: Iterable[Run], left: float = 0, size: float = SIZE) -> None:
        """Write runs one after the other, with what they need of lines and sheets."""
        self.set_left_margin(SIDE + left)
        self.set_x(SIDE + left)
        for text, bold in runs:
            self.type(size, bold=bold)
            with self._shaped(text):
                self.write(self.leading, self._shown(text))
        self.ln(self.leading)
        self.set_left_margin(SIDE)
        self.set_x(SIDE)

    def lines(self, text: str, width: float) -> list[str]:
        """Break a text into lines of a width, in the type that is set."""
        if not text:
            return []
        with self._shaped(text):
            found = self.multi_cell(
                width,
                self.leading,
                self._shown(text),
                align="L",
                dry_run=True,
                output=MethodReturnValue.LINES,
            )
        return [str(line) for line in found] if isinstance(found, list) else []

    def width_of(self, text: str) -> float:
        """Return how wide a text is in the type that is set."""
        with self._shaped(text):
            return float(self.get_string_width(self._shown(text)))

    def place(self, x: float, y: float, text: str) -> None:
        """Put one line with its upper left corner there; the cursor goes with it."""
        self.set_xy(x, y)
        with self._shaped(text):
            shown = self._shown(text)
            self.cell(0, self.leading, shown, new_x=XPos.LEFT, new_y=YPos.TOP)

    def rule(self, y: float) -> None:
        """Draw a thin line across."""
        self.ink("#999", 0.2)
        self.line(SIDE, y, self.w - SIDE, y)

    def ink(self, stroke: str, width: float, fill: str = "#fff", dash: str = "") -> None:
        """Set how lines and areas are drawn; `dash` is two lengths, as in an SVG."""
        self.set_draw_color(stroke)
        self.set_fill_color(fill)
        self.set_line_width(width)
        lengths = [float(one) for one in dash.split()]
        for drawn, left_out in pairwise(lengths):
            self.set_dash_pattern(drawn, left_out)
        if not lengths:
            self.set_dash_pattern()

    def _shown(self, text: str) -> str:
        shown = letters.shown(text, self._known)
        self.lacks_letters = self.lacks_letters or letters.UNKNOWN in shown
        return shown

    @contextmanager
    def _shaped(self, text: str) -> Iterator[None]:
        """Shape letters that join or stack; five times slower, so only where there are some."""
        if not letters.are_joined(text):
            yield
            return
        self.set_text_shaping(use_shaping_engine=True)
        try:
            yield
        finally:
            self.set_text_shaping(use_shaping_engine=False)
