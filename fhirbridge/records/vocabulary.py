"""The words that coded fields know and the units that measures know. Data: vocabulary.json."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

from fhirbridge.fhir import codec

LONGEST_WORD = 64  # a longer one is no typing mistake, and would be slow to compare


@cache
def read(name: str) -> Mapping[str, Any]:
    """Read one JSON data file of this room, with exact decimals."""
    raw = resources.files("fhirbridge.records").joinpath(name).read_bytes()
    data: dict[str, Any] = codec.decode(raw)
    return data


@cache
def keys(table: str) -> tuple[str, ...]:
    """Return the keys of one table, in its own order; KeyError where there is no such table."""
    return tuple(read("vocabulary.json")[table])


def nearest(word: object, known: Iterable[str]) -> str:
    """Return the known word nearest to what was sent, or ""; never the sender's own word."""
    if not isinstance(word, str) or len(word) > LONGEST_WORD:
        return ""
    by_fold = {_fold(name): name for name in known}
    close = get_close_matches(_fold(word), list(by_fold), n=1, cutoff=0.6)
    return by_fold[close[0]] if close else ""


def _fold(word: str) -> str:
    return word.strip().lower().replace("_", "-").replace(" ", "-")
