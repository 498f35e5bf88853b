"""The letters of a PDF: which font of ours has each, and what stands for one that none has."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from fontTools.ttLib import TTFont

FOLDER = Path(__file__).parent / "fonts"
REGULAR, BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"
# Asked in this order for what the first has not. Each is read only when a letter wants it.
OTHERS = (
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansEthiopic-Regular.ttf",
    "NotoSansBengali-Regular.ttf",
    "NotoSansGujarati-Regular.ttf",
    "NotoSansGurmukhi-Regular.ttf",
    "NotoSansTamil-Regular.ttf",
    "NotoSansTelugu-Regular.ttf",
    "NotoSansKannada-Regular.ttf",
    "NotoSansMalayalam-Regular.ttf",
    "NotoSansSinhala-Regular.ttf",
    "NotoSansKhmer-Regular.ttf",
    "NotoSansMyanmar-Regular.ttf",
    "DroidSansFallback.ttf",
)
UNKNOWN = "□"  # stands for a letter that no font has
# From here on letters may join, stack or run to the left: Hebrew to Myanmar, and combining marks.
_FIRST_JOINED, _LAST_JOINED = "\u0590", "\u1cff"


@lru_cache(maxsize=len(OTHERS) + 2)
def of_font(file: str) -> frozenset[str]:
    """Return the letters of a font."""
    with TTFont(FOLDER / file, lazy=True) as font:
        return frozenset(map(chr, font.getBestCmap()))


def fonts_for(text: str) -> tuple[str, ...]:
    """Return which of the other fonts a text needs."""
    composed = unicodedata.normalize("NFC", text)
    missing = {letter for letter in composed if not letter.isspace()} - of_fonts(())
    found: list[str] = []
    for file in OTHERS:
        if missing & of_font(file):
            found.append(file)
            missing -= of_font(file)
        if not missing:
            break
    return tuple(found)


def of_fonts(others: tuple[str, ...]) -> frozenset[str]:
    """Return the letters of our own family, in both weights, and of these others."""
    return (of_font(REGULAR) & of_font(BOLD)).union(*map(of_font, others))


def shown(text: str, known: frozenset[str]) -> str:
    """Return a text as it can be printed, composed (`é` is one letter); white space stays.

    A letter that is not known becomes UNKNOWN; signs that print nothing are left out.
    """
    if text.isascii() and text.isprintable():
        return text
    letters = (
        one if one.isspace() or one in known else UNKNOWN
        for one in unicodedata.normalize("NFC", text)
        if one.isspace() or one in known or unicodedata.category(one) not in ("Cc", "Cf")
    )
    return "".join(letters)


def are_joined(text: str) -> bool:
    """Say whether letters must be shaped: where they join, stack or run to the left."""
    return not text.isascii() and any(
        _FIRST_JOINED <= one <= _LAST_JOINED or unicodedata.combining(one) for one in text
    )
