"""Run a piece of work in a process of its own and kill that process -9 at the n-th boundary.

A boundary is every SQL statement, both sides of every COMMIT, and both sides of every exchange with
the EHR or an endpoint: all that is durable or visible happens at one of them.
"""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from fhirbridge.bridge import Bridge
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown

NEVER = 10**9


class Boundaries:
    """Counts boundaries and kills its own process at one of them."""

    def __init__(self, kill_at: int, told: Path | None = None) -> None:
        """`told`: the file that will name the boundary at which it died."""
        self.kill_at = kill_at
        self.passed: list[str] = []
        self._told = told
        self._each = threading.local()  # lanes are drained by threads
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        with self._lock:  # or two threads count past the one that is meant
            self.passed.append(name)
            if len(self.passed) == self.kill_at:
                if self._told is not None:
                    self._told.write_text(name)
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, bridge: Bridge) -> None:
        """Hook into the bridge's database, and its ways to EHRs and to endpoints of webhooks."""
        engine = bridge._store.engine

        @event.listens_for(engine, "before_cursor_execute")
        def statement(_c: Any, _cursor: Any, text: str, *_rest: Any) -> None:
            self.reach("statement " + " ".join(text.split()[:3]))

        @event.listens_for(engine, "commit")
        def commit(_c: Any) -> None:
            self.reach("before commit")
            self._each.committing = True

        @event.listens_for(engine, "checkin")
        def after(_c: Any, _record: Any) -> None:
            if getattr(self._each, "committing", False):
                self._each.committing = False
                self.reach("after commit")

        ehr_for = bridge._parts.ehr_for

        def watched(destination: Any) -> Any:
            ehr = ehr_for(destination)
            if not isinstance(ehr._transport, _Watched):
                ehr._transport = _Watched(ehr._transport, self)
            return ehr

        object.__setattr__(bridge._parts, "ehr_for", watched)
        connect = bridge._parts.webhooks
        object.__setattr__(
            bridge._parts, "webhooks", lambda networks: _Watched(connect(networks), self)
        )


class _Watched:
    def __init__(self, transport: Transport, boundaries: Boundaries) -> None:
        self._transport = transport
        self._boundaries = boundaries

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        self._boundaries.reach("before the request")
        outcome = self._transport.send(request, deadline_seconds=deadline_seconds)
        self._boundaries.reach("after the answer")
        return outcome


def killed(work: Callable[[], None]) -> bool:
    """Run `work` in a forked process; say whether it was killed. Only an end or a kill will do."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert was_killed or os.waitstatus_to_exitcode(status) == 0, status
    return was_killed
