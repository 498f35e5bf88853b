"""The later pages of a search, under a number: the link shows nothing of what was searched for."""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlencode

from fhirbridge.sandbox.outcome import Issue, RefusedError
from fhirbridge.sandbox.storage import Version

KEPT = 200
Key = tuple[str, str]


class Pages:
    """What the last searches found, by number; older ones are forgotten."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Key, ...]] = {}
        self._number = 0

    def keep(self, found: Sequence[Version]) -> str:
        """Remember a result; returns its number."""
        self._number += 1
        number = str(self._number)
        self._found[number] = tuple((version.type, version.id) for version in found)
        if len(self._found) > KEPT:
            del self._found[next(iter(self._found))]
        return number

    def get(self, number: str) -> tuple[Key, ...]:
        """Return a result that is still remembered; raises RefusedError (410)."""
        found = self._found.get(number)
        if found is None:
            raise RefusedError(
                HTTPStatus.GONE,
                Issue.NOT_FOUND,
                "this page of a search is no longer known",
                hint="search again",
            )
        return found


def url(base: str, number: str, *, offset: int, count: int) -> str:
    """Return the address of a page, in the form that HAPI uses."""
    query = {"_getpages": number, "_getpagesoffset": offset, "_count": count}
    return f"{base}?{urlencode(query)}"
