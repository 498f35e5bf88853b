"""The filters of lists: each one's name, what it may be, and its place in the document."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import request

from fhirbridge.errors import BridgeError
from fhirbridge.outbox.states import STUCK, State
from fhirbridge.overview.lists import DEFAULT, MOST, Sought

OPAQUE = re.compile(r"[A-Za-z0-9._-]{1,100}")
LIMIT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
CURSOR = re.compile(r"[A-Za-z0-9_=-]{1,300}")
RECORD_STATES = ("current", "older", "superseded")


class BadQueryError(BridgeError):
    """A filter has no such name, comes twice, or cannot be that."""

    code = "E920"
    http_status = HTTPStatus.BAD_REQUEST


def _matching(form: re.Pattern[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError
        return text

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return read


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    at.utctimetuple()  # the first and the last day of all have zones in which they are none
    return at


def _limit(text: str) -> int:
    if not LIMIT.fullmatch(text) or int(text) > MOST:
        raise ValueError
    return int(text)


def _about(description: str, **schema: Any) -> dict[str, Any]:
    return {"schema": {"type": "string", **schema}, "description": description}


WAITING = tuple(str(one) for one in STUCK)
DELIVERY_STATES = tuple(str(one) for one in State)
NAME = {"pattern": f"^{OPAQUE.pattern}$"}
TIME = "with its zone, such as 2026-03-02T09:30:00-05:00 (a + is %2B)"
# Of each: how it is read, and how the document tells of it.
FILTERS: dict[str, tuple[Callable[[str], Any], dict[str, Any]]] = {
    "session": (
        _matching(OPAQUE),
        _about("our opaque name of a session, as lists show it", **NAME),
    ),
    "record": (_matching(OPAQUE), _about("id of a receipt", **NAME)),
    "destination": (_matching(OPAQUE), _about("name of a destination", **NAME)),
    "waiting": (
        _one_of(*WAITING),
        _about("something of it waits for a person in this state", enum=list(WAITING)),
    ),
    "received_from": (_moment, _about(f"since then, {TIME}", format="date-time")),
    "received_before": (_moment, _about(f"before then, {TIME}", format="date-time")),
    "paused": (
        lambda text: _one_of("true", "false")(text) == "true",
        {"schema": {"type": "boolean"}, "description": "whether it gets nothing at present"},
    ),
    "cursor": (
        _matching(CURSOR),
        _about("`next` of the page before, with the same filter", pattern=f"^{CURSOR.pattern}$"),
    ),
    "limit": (
        _limit,
        {
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT},
            "description": "rows on a page at most",
        },
    ),
}
PAGING = ("cursor", "limit")


class Filter:
    """What may stand in the query of one list: names of FILTERS, and its states if it has any."""

    def __init__(self, *names: str, states: tuple[str, ...] = ()) -> None:
        """Any list has PAGING besides."""
        self._known = {name: FILTERS[name] for name in (*names, *PAGING)}
        if states:
            about = _about("state of the row", enum=list(states))
            self._known["state"] = (_one_of(*states), about)

    @property
    def parameters(self) -> tuple[Mapping[str, Any], ...]:
        """Return them as the document has them."""
        return tuple(
            {"in": "query", "name": name, "required": False, **about}
            for name, (_, about) in self._known.items()
        )

    def read(self) -> Sought:
        """Return what this request asks for. Raises BadQueryError."""
        listed = ", ".join(self._known)
        found: dict[str, Any] = {}
        for name, texts in request.args.lists():
            if name not in self._known:
                raise BadQueryError("the list has no such filter", hint=f"it has: {listed}")
            if len(texts) > 1:
                raise BadQueryError(f"{name} stands there twice", hint="say it once")
            try:
                found[name] = self._known[name][0](texts[0])
            except (ValueError, OverflowError):
                raise BadQueryError(
                    f"{name} cannot be that", hint="the API's document says what it may be"
                ) from None
        return Sought(**found)
