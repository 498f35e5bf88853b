"""`fhirbridge serve` and `fhirbridge sandbox`: gunicorn, one process with threads."""

import re
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from fhirbridge import log, opening, settings, tracing
from fhirbridge.bridge import Bridge
from fhirbridge.cli import printing
from fhirbridge.cli.buffering import BufferingWorker
from fhirbridge.cli.sign_in_options import read_secret
from fhirbridge.deliver.loop import Loop
from fhirbridge.pull.rounds import Pace, Rounds
from fhirbridge.reconcile.watch import Watch
from fhirbridge.webhooks.posting import Posting

THREADS = 8
CONNECTIONS = 800  # at once; more wait to be taken. Less than the 1,024 files of most machines
GRACE_SECONDS = 30
EXCHANGE_SECONDS = 20  # of them, to end what is under way to an EHR
POSTING_SECONDS = 2  # and to who is told by webhooks: what is not noted goes once more
ADDRESS = re.compile(r"[^\s/]+:[0-9]{1,5}")

NOBODY_IS_TOLD = (
    "WARNING: nobody is told of alerts, not even of a sign of suicidality that is stuck: "
    "set FHIRBRIDGE_ALERT_COMMAND"
)

ready_file = click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the address to this file once it answers (for scripts; port 0 takes a free one).",
)


class Served(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """A WSGI application under gunicorn, made in the process that serves."""

    def __init__(self, make: Callable[[], Any], options: dict[str, Any]) -> None:
        self._make = make
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        fixed = {
            "workers": 1,
            "worker_class": BufferingWorker,
            "threads": THREADS,
            "worker_connections": CONNECTIONS,
            "graceful_timeout": GRACE_SECONDS,
            "timeout": 2 * GRACE_SECONDS,
            "limit_request_line": 2048,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            "loglevel": "warning",
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
        }
        for name, value in {**fixed, **self._options}.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make()


class Service:
    """The web application with its delivery loop: both live in the worker, after the fork."""

    def __init__(self, chosen: settings.Settings, *, deliver: bool) -> None:
        self._settings = chosen
        self._deliver = deliver
        self._bridge: Bridge | None = None
        self._loop: Loop | None = None
        self._watch: Watch | None = None
        self._pulling: Rounds | None = None
        self._posting: Posting | None = None

    def make(self) -> Any:
        """Open the bridge in this process and return the application."""
        from fhirbridge.web.app import create_app  # noqa: PLC0415  flask only where it serves

        log.configure()
        opening.begin_traces(self._settings)
        self._bridge = opening.open_bridge(self._settings)
        return create_app(self._bridge)

    def started(self, worker: Any) -> None:
        """Start delivering, once the application is up; nothing new once it is to end."""
        if self._deliver and self._bridge is not None:
            self._loop = self._bridge.delivery_loop(go_on=lambda: bool(worker.alive))
            self._loop.start()
            self._posting = self._bridge.webhooks.posting()
            self._posting.start()
            if self._settings.watch_seconds:
                self._watch = self._bridge.watch(seconds=self._settings.watch_seconds)
                self._watch.start()
            if self._settings.pull_seconds:
                self._pulling = self._bridge.pull_rounds(pace=_pace(self._settings))
                self._pulling.start()

    def ended(self) -> None:
        """Finish the exchange that is under way."""
        for one in (self._watch, self._pulling):
            if one is not None:
                one.stop(0)  # it writes nothing to the EHR: nobody waits for it
        if self._loop is not None:
            self._loop.stop(EXCHANGE_SECONDS)
        if self._posting is not None:
            self._posting.stop(POSTING_SECONDS)
        tracing.end()


@click.command()
@click.option("--bind", help="HOST:PORT; 127.0.0.1:8350 unless FHIRBRIDGE_BIND says otherwise.")
@click.option(
    "--no-deliver", is_flag=True, help="Only take records in; deliver with fhirbridge sync run."
)
@ready_file
def serve(bind: str | None, *, no_deliver: bool, ready_file: Path | None) -> None:
    """Run the web service and deliver in the background."""
    chosen = settings.read()
    address = _checked(bind or chosen.bind)
    # Opened once before the fork: a wrong key or mapping stops here, with its reason.
    bridge = opening.open_bridge(chosen)
    bridge.warm_up()
    bridge.close()
    if not chosen.alert_command:
        printing.words(NOBODY_IS_TOLD)
        log.configure()
        log.get().warning("alerts.nobody")
    service = Service(chosen, deliver=not no_deliver)
    _run(service.make, address, ready_file, started=service.started, ended=service.ended)


@click.command()
def worker() -> None:
    """Deliver in the background until it is told to end; as many as you like, on any machine.

    With `serve --no-deliver` where records come in. `serve` also looks at the EHRs; a worker
    only delivers, and sends webhooks.
    """
    log.configure()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    chosen = settings.read()
    opening.begin_traces(chosen)
    bridge = opening.open_bridge(chosen)
    loop = bridge.delivery_loop(go_on=lambda: not stopped.is_set())
    loop.start()
    posting = bridge.webhooks.posting()
    posting.start()
    stopped.wait()
    loop.stop(EXCHANGE_SECONDS)
    posting.stop(POSTING_SECONDS)
    tracing.end()
    bridge.close()


@click.command()
@click.option("--bind", default="127.0.0.1:8351", show_default=True, help="HOST:PORT.")
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="Remember in this SQLite file."
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Let in only who brings the bearer token in this file.",
)
@ready_file
def sandbox(
    bind: str, *, file: Path | None, token_file: Path | None, ready_file: Path | None
) -> None:
    """Run a sandbox EHR: a small FHIR R4 server for synthetic data only."""
    token = read_secret(token_file, "--token-file").strip() if token_file else ""

    def make() -> Any:
        from fhirbridge.sandbox.app import create_app  # noqa: PLC0415  flask only where it serves

        return create_app(file, token=token)

    _run(make, _checked(bind), ready_file)


def _run(
    make: Callable[[], Any],
    address: str,
    ready: Path | None,
    *,
    started: Callable[[Any], None] = lambda _worker: None,
    ended: Callable[[], None] = lambda: None,
) -> None:
    def post_worker_init(worker: Any) -> None:
        host, port = worker.sockets[0].getsockname()[:2]
        started(worker)
        click.echo(f"listening on http://{host}:{port}", err=True)
        if ready is not None:
            ready.write_text(f"http://{host}:{port}\n", encoding="ascii")

    def worker_exit(_server: Any, _worker: Any) -> None:
        ended()

    hooks = {"post_worker_init": post_worker_init, "worker_exit": worker_exit}
    Served(make, {"bind": address, **hooks}).run()


def _pace(chosen: settings.Settings) -> Pace:
    return Pace(every=timedelta(seconds=chosen.pull_seconds), days=chosen.pull_days)


def _checked(address: str) -> str:
    if not ADDRESS.fullmatch(address) or int(address.rpartition(":")[2]) > settings.LAST_PORT:
        raise click.UsageError("--bind is HOST:PORT, for example 127.0.0.1:8350")
    return address
