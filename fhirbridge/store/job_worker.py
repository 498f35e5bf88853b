"""Take the jobs that wake: procrastinate's worker, in a thread, begun again where it ends."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status

from fhirbridge import log

HEARD_SECONDS = 10.0  # between two signs of life of a worker
STALLED_SECONDS = 30.0  # without one: its jobs are deleted
AGAIN_SECONDS = 5.0  # after the database was away
STOP_SECONDS = 5.0
CONNECTIONS = 3
LIBRARIES = ("procrastinate", "psycopg.pool")


class JobWorker:
    """Calls `look` with the destination of each job of a queue."""

    def __init__(
        self, conninfo: str, *, queue: str, task: str, look: Callable[[str], None]
    ) -> None:
        """Begin nothing yet; `conninfo` as libpq takes it."""
        # Not the connector for threads: with it a worker starts, and silently runs nothing.
        connector = PsycopgConnector(conninfo=conninfo, min_size=1, max_size=CONNECTIONS)
        self._app = App(connector=connector)
        self._queue = queue

        @self._app.task(name=task, queue=queue)
        async def wake(destination: str, lane: str) -> None:  # noqa: ARG001  who looks finds the lane
            look(destination)

        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wake", daemon=True)
        self._ending: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Start the thread; after a fork, never before."""
        for name in LIBRARIES:  # what ends is told once, below; they tell each new try
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread.start()

    def stop(self) -> None:
        """Take nothing new, and wait a little for the end."""
        self._over.set()
        with suppress(RuntimeError):  # it ends just now
            self._ending()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                asyncio.run(self._work())
            except Exception as error:  # noqa: BLE001  the sweep goes on meanwhile
                log.get().warning("wakeups.broke_off", kind=type(error).__name__)
            self._over.wait(AGAIN_SECONDS)

    async def _work(self) -> None:
        """Work until told to end, or until anything of it ends."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        self._ending = lambda: loop.call_soon_threadsafe(told.set)
        if self._over.is_set():
            return
        async with self._app.open_async():
            tasks = [
                asyncio.create_task(one)
                for one in (self._take(), self._delete_stalled(), told.wait())
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for one in ended:
            if isinstance(one, Exception):
                raise one
        if not self._over.is_set():
            raise ConnectionResetError  # procrastinate's worker keeps to itself why it ended

    async def _take(self) -> None:
        await self._app.run_worker_async(
            queues=[self._queue],
            name="fhirbridge",
            # A failed one, too: its lane is found by the sweep.
            delete_jobs="always",
            install_signal_handlers=False,
            shutdown_graceful_timeout=STOP_SECONDS,
            update_heartbeat_interval=HEARD_SECONDS,
            stalled_worker_timeout=STALLED_SECONDS,
        )

    async def _delete_stalled(self) -> None:
        """Delete, again and again, the jobs of workers that died: none is done twice for it."""
        jobs = self._app.job_manager
        while True:
            await jobs.prune_stalled_workers(STALLED_SECONDS)
            stalled = await jobs.get_stalled_jobs(
                queue=self._queue, seconds_since_heartbeat=STALLED_SECONDS
            )
            for job in stalled:
                with suppress(ConnectorException):  # another worker was quicker
                    await jobs.finish_job(job, Status.FAILED, delete_job=True)
            await asyncio.sleep(STALLED_SECONDS)
