"""A small client for the API: send records, signed or by token, and follow them.

    from fhirbridge.client import Client

    clinic = Client("https://bridge.example.org", token)
    receipt = clinic.send(record)
    print(clinic.follow(receipt["id"]).state)

It imports nothing else of this package: copy the file into another system if you like (it needs
requests, and standardwebhooks where it signs). It holds one connection: one client for each thread.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from standardwebhooks import Webhook

JSON = "application/json"
LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
LONGEST_WAIT = 60.0  # seconds between two tries
# The service, or a proxy before it, is not able now. Nothing was stored, or it is stored once.
PASSING = frozenset({429, 502, 503, 504})
NOT_OVER = frozenset({"pending", "sending", "unknown"})
STUCK = frozenset({"held", "parked"})

Json = dict[str, Any]


class NoAnswerError(Exception):
    """Nobody answered, as often as it was tried. Whether anything was stored is not known.

    Send it again: what is sent twice is stored once.
    """


class ProblemError(Exception):
    """The service refused something (RFC 9457).

    `status` and `code` are for programs, `detail` and `hint` for people; `findings` is all that is
    wrong with a record, and `fields` the JSON Pointers of it. None of them holds a patient's value.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Take a problem as it was answered."""
        self.status = status
        self.code: str = problem.get("code", "")
        self.detail: str = problem.get("detail", "")
        self.hint: str = problem.get("hint", "")
        self.findings: Sequence[Json] = problem.get("findings", [])
        self.fields = tuple(one["pointer"] for one in self.findings)
        listed = [f"{one['pointer']}: {one['message']}" for one in self.findings]
        first = " ".join(part for part in (str(status), self.code, self.detail) if part)
        super().__init__("; ".join([first, *listed]) + (f" ({self.hint})" if self.hint else ""))


class State(StrEnum):
    """How far a record is."""

    DELIVERED = "delivered"  # every EHR has what it is owed
    STUCK = "stuck"  # something of it waits for a person
    UNDER_WAY = "under way"  # it was not over when the time to follow it was
    NOTHING_OWED = "nothing owed"  # no EHR is there, or a newer version counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How far a record is, why it waits, and its deliveries as the list has them."""

    state: State
    reasons: Sequence[str]
    deliveries: Sequence[Json]


class Client:
    """One service, asked with one token or one secret of a webhook source."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        webhook_secret: str = "",
        ca_file: str | None = None,
        tries: int = 6,
        timeout_seconds: float = 30,
    ) -> None:
        """Remember where the service is; nothing is sent yet.

        `ca_file`: PEM of an authority of your own. `tries`: of each request, about a minute
        altogether where there are 6; `timeout_seconds`: of each for the next bytes to come. Raises
        ValueError for an address over which a token must not go.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and (parts.scheme, parts.hostname in LOCAL) != ("http", True):
            raise ValueError("the address begins with https://, or is on this machine")
        self._url = url.rstrip("/")
        self._token, self._secret = token, webhook_secret
        self._tries, self._timeout = tries, timeout_seconds
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc would take the token's place
        self._session.verify = ca_file or True

    # --- send ---------------------------------------------------------------------------------

    def send(self, record: bytes | Mapping[str, Any], *, key: str = "") -> Json:
        """Send one session record; return its receipt once it is stored.

        `record`: JSON, or what becomes JSON, with numbers as int or Decimal. `key`: what makes it
        the same request when you send it again after a restart; without it a record that was there
        already is told as `repeated`. Raises ProblemError or NoAnswerError.
        """
        return self._post("/api/v1/sessions", record, key)

    def send_stock(self, document: bytes | Mapping[str, Any], *, key: str = "") -> Json:
        """Send one stock document, in the same way."""
        return self._post("/api/v1/stock", document, key)

    def send_signed(self, content: bytes | Mapping[str, Any], *, message_id: str = "") -> Json:
        """Send a record, stock document or event as a signed message; needs no token.

        `message_id`: the same whenever the same message is sent again; a new one without it.
        Returns what became of each item. Raises ProblemError or NoAnswerError.
        """
        body, named = _body(content), message_id or f"msg_{secrets.token_hex(16)}"

        def headers() -> dict[str, str]:
            at = datetime.now(UTC)
            return {
                "Content-Type": JSON,
                "webhook-id": named,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": Webhook(self._secret).sign(named, at, body.decode()),
            }

        return self._decoded("POST", "/webhooks/v1/sessions", headers, body)

    # --- look ---------------------------------------------------------------------------------

    def record(self, record_id: str) -> Json:
        """Return one record version with all that became of it. Holds PHI; the reading is noted."""
        return self._get(f"/api/v1/sessions/{record_id}")

    def sessions(self, **filters: str) -> Iterator[Json]:
        """Return record versions, the last received first; `filters` as the API's document says."""
        return self._listed("/api/v1/sessions", "sessions", filters)

    def deliveries(self, **filters: str) -> Iterator[Json]:
        """Return deliveries, the last made first; `filters` as the API's document says."""
        return self._listed("/api/v1/deliveries", "deliveries", filters)

    def events(self, after: int = 0) -> Iterator[Json]:
        """Return what happened after the event of this sequence, the oldest first, to the last.

        Keep the `sequence` of the last one that you have seen to, and ask after it next time.
        """
        more = True
        while more:
            page = self._get("/api/v1/events", after=str(after))
            yield from page["events"]
            after, more = page["last"], page["more"]

    def follow(self, record_id: str, *, seconds: float = 600, every_seconds: float = 2) -> Followed:
        """Wait until every EHR has a record or something of it waits for a person.

        At most so many `seconds`. Asks for no PHI. Raises ProblemError or NoAnswerError.
        """
        end = time.monotonic() + seconds
        while True:
            found = _judged(list(self.deliveries(record=record_id, limit="200")))
            if found.state is not State.UNDER_WAY or time.monotonic() + every_seconds > end:
                return found
            time.sleep(every_seconds)

    # --- requests -----------------------------------------------------------------------------

    def _post(self, path: str, content: bytes | Mapping[str, Any], key: str) -> Json:
        headers = {**self._bearer(), "Content-Type": JSON}
        headers["Idempotency-Key"] = key or secrets.token_hex(16)  # of all tries of this call
        return self._decoded("POST", path, lambda: headers, _body(content))

    def _get(self, path: str, **query: str) -> Json:
        return self._decoded("GET", path, self._bearer, None, query)

    def _listed(self, path: str, name: str, filters: Mapping[str, str]) -> Iterator[Json]:
        cursor = ""
        while True:
            page = self._get(path, **{**filters, **({"cursor": cursor} if cursor else {})})
            yield from page[name]
            cursor = page["next"]
            if not cursor:
                return

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _decoded(self, *request: Any) -> Json:
        answer = self._answered(*request)
        try:
            found = json.loads(answer.content, parse_float=Decimal)
        except ValueError:
            found = None
        if not isinstance(found, dict):  # of a proxy, say
            found = {"detail": "the answer is not the service's own"}
        elif HTTPStatus.OK <= answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
            return found
        raise ProblemError(answer.status_code, found)

    def _answered(
        self, method: str, path: str, headers: Any, body: bytes | None, query: Any = None
    ) -> requests.Response:
        """Return an answer that is not about a passing trouble, or the last one that was."""
        answer = None
        for number in range(1, self._tries + 1):
            try:
                answer = self._session.request(
                    method,
                    self._url + path,
                    params=query,
                    data=body,
                    headers=headers(),
                    timeout=self._timeout,
                    allow_redirects=False,
                )
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code not in PASSING:
                return answer
            if number < self._tries:
                time.sleep(_wait(number, answer))
        if answer is None:
            raise NoAnswerError(f"no answer from the service, tried {self._tries} times")
        return answer


def _wait(number: int, answer: requests.Response | None) -> float:
    """Return how long to wait after try `number`: as long as was asked for, or twice as long."""
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    if asked.isascii() and asked.isdecimal():
        return min(float(asked), LONGEST_WAIT)
    chance = 0.5 + secrets.randbelow(1000) / 1000
    return min(chance * 2.0 ** (number - 1), LONGEST_WAIT)


def _judged(deliveries: Sequence[Json]) -> Followed:
    states = {one["state"] for one in deliveries}
    reasons = sorted({one["reason"] for one in deliveries if one["reason"]})
    if states & STUCK:
        state = State.STUCK
    elif states & NOT_OVER:
        state = State.UNDER_WAY
    elif "delivered" in states:
        state = State.DELIVERED
    else:
        state = State.NOTHING_OWED
    return Followed(state=state, reasons=reasons, deliveries=deliveries)


def _body(content: bytes | Mapping[str, Any]) -> bytes:
    return content if isinstance(content, bytes) else _written(content).encode()


def _written(value: Any) -> str:
    """Write JSON in which a Decimal keeps its digits."""
    if isinstance(value, float):
        raise TypeError("a float does not keep its digits: read numbers as Decimal, or send bytes")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        parts = (f"{json.dumps(str(name))}:{_written(one)}" for name, one in value.items())
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)
