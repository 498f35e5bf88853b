"""One webhook id, knocked at two services with one database at the same moment."""

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import requests
from standardwebhooks import Webhook

from fhirbridge import opening
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from tests.numbers import slow
from tests.records.visits import a_visit
from tests.web.sending import HOOK
from tests.web.service import settings_below


@dataclass(frozen=True, slots=True)
class Knocked:
    """Statuses by which body was sent, how many different answers 202 had, records there are."""

    first: Counter[int]
    other: Counter[int]
    answers: int
    stored: int


def at_two(folder: Path, times: int) -> Knocked:
    """Post one body so often, and half as often another one under its id, to each in turn."""
    with ExitStack() as stack:
        one = stack.enter_context(slow.served(folder, slow.REAL_SECONDS))
        two = stack.enter_context(slow.again(folder))
        bridge = opening.open_bridge(settings_below(folder / "home"))
        stack.callback(bridge.close)
        secret = bridge.add_source("clinic", None, actor="test")
        body, other = (codec.encode(a_visit(session_id=name)) for name in ("one", "other"))
        done: list[tuple[bytes, int, bytes]] = []
        gate = threading.Barrier(times)

        def knock(number: int) -> None:
            sent = other if number % 3 == 2 else body
            port = (one, two)[number % 2].port
            at = SystemClock().now().astimezone(UTC)
            headers = {
                "Content-Type": "application/json",
                "webhook-id": "msg_1",
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": Webhook(secret).sign("msg_1", at, sent.decode()),
            }
            gate.wait()
            url = f"http://127.0.0.1:{port}{HOOK}"
            answer = requests.post(url, data=sent, headers=headers, timeout=60)
            while answer.status_code == 503:  # as a sender does, and less patient
                answer = requests.post(url, data=sent, headers=headers, timeout=60)
            done.append((sent, answer.status_code, answer.content))

        threads = [threading.Thread(target=knock, args=(number,)) for number in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Knocked(
            first=Counter(status for sent, status, _ in done if sent == body),
            other=Counter(status for sent, status, _ in done if sent == other),
            answers=len({content for _, status, content in done if status == 202}),
            stored=one.records(),
        )
