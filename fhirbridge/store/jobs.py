"""Wake workers on any machine through PostgreSQL, by procrastinate. Why so: docs/adr/0020.

A job is a hint and no more: what it names is looked at, and found by a sweep without it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from fhirbridge.store.engine import Store

if TYPE_CHECKING:
    from fhirbridge.store.job_worker import JobWorker

QUEUE = "fhirbridge"
TASK = "fhirbridge.wake"
SWEEP_SECONDS = 30.0

# One job waits for a lane, however often it is woken. Not by the library's own call: that needs a
# savepoint, and reads from the error of a doubled one a text that it expects in English.
_DEFER = text(
    """INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args)
    VALUES (:queue, :task, :lane_lock, jsonb_build_object(
        'destination', CAST(:destination AS text), 'lane', CAST(:lane AS text)))
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING"""
)


class Jobs:
    """Wake-ups that wait in the database for the next worker that is free."""

    sweep_seconds = SWEEP_SECONDS

    def __init__(self, store: Store) -> None:
        """Begin nothing yet."""
        self._store = store
        self._worker: JobWorker | None = None

    def wake(self, tx: Connection, destination: str, lane: str) -> None:
        """Write one job for this lane, unless one waits already."""
        named = {"destination": destination, "lane": lane, "lane_lock": f"{destination}:{lane}"}
        tx.execute(_DEFER, {"queue": QUEUE, "task": TASK, **named})

    def listen(self, look: Callable[[str], None]) -> None:
        """Take jobs in a thread of its own, until `stop`. Whoever listened before hears no more."""
        self.stop()
        # Half a second, only for who listens.
        from fhirbridge.store.job_worker import JobWorker  # noqa: PLC0415

        self._worker = JobWorker(self._store.conninfo(), queue=QUEUE, task=TASK, look=look)
        self._worker.start()

    def stop(self) -> None:
        """Take no job any more."""
        if self._worker is not None:
            self._worker.stop()
