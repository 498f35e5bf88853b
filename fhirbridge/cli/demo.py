"""`fhirbridge demo`: the whole journey with synthetic patients, over HTTP as integrators do."""

import contextlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fhirbridge import opening, settings
from fhirbridge.cli import printing
from fhirbridge.clock import SystemClock
from fhirbridge.egress.exchange import Request, Response
from fhirbridge.fhir import codec

HOME = Path(".demo")
MARK = "made-by-fhirbridge-demo"
START_SECONDS = 60
ASK_SECONDS = 30.0
LOCAL = "127.0.0.1:0"


@click.command()
@click.option("--ehr", help="The FHIR base address of a test server, instead of the sandbox.")
@click.option(
    "--test-patient", is_flag=True, help="Say that --ehr is a test server for synthetic patients."
)
@click.option(
    "--network", "networks", multiple=True, help="A private network in which --ehr answers."
)
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Leave the servers running until Ctrl-C (default: at a terminal).",
)
def demo(
    ehr: str | None, *, test_patient: bool, networks: tuple[str, ...], keep: bool | None
) -> None:
    """Start a sandbox EHR and the service, send the samples, sync twice, show what went where.

    Nothing of it is real: all patients are synthetic. Everything lies in the folder .demo.
    """
    if ehr and not test_patient:
        raise click.UsageError(
            f"the demo writes synthetic patients to {ehr}; say with --test-patient that it is "
            f"a test server (make demo EHR={ehr} TEST_PATIENT=yes)"
        )
    stay = sys.stdin.isatty() and sys.stdout.isatty() if keep is None else keep
    # Ended by a supervisor as by Ctrl-C: the servers end with it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    with ExitStack() as stack:
        shown = _Demo(stack, _fresh_home(ehr))
        shown.run(ehr, networks, stay=stay)
        if stay:
            printing.words("Press Ctrl-C to stop.")
            with contextlib.suppress(KeyboardInterrupt):
                shown.wait()


class _Demo:
    def __init__(self, stack: ExitStack, home: Path) -> None:
        self._stack = stack
        self._home = home
        self._environment = {**settings.foreign_environment(), "FHIRBRIDGE_HOME": str(home)}
        self._http = opening.local_transport()
        self._servers: list[subprocess.Popen[bytes]] = []

    def run(self, ehr: str | None, networks: tuple[str, ...], *, stay: bool) -> None:
        """Do the journey and say each step."""
        page = ""
        if ehr is None:
            page = self._start("sandbox", "--file", str(self._home / "sandbox.db"))
            ehr = f"{page}/fhir"
            printing.words(
                f"1. A sandbox EHR runs at {page} (a small FHIR server for synthetic data)."
            )
        else:
            printing.words(f"1. The EHR is the test server {ehr}.")
        token = self._token()
        self._destination(ehr, networks)
        service = self._start("serve", "--no-deliver")
        printing.words(f"2. The service runs at {service}; the EHR is known to it as `demo`.")
        self._send_samples(service, token)
        first = self._sync()
        printing.words("4. First sync: delivered what was owed.")
        self._show_holdings(first)
        second = self._sync()
        writes = second["settled"]
        printing.words(
            f"5. Second sync: {writes} deliveries, {writes} writes: nothing had changed."
        )
        if writes or second["waiting"]:
            raise click.ClickException("not everything arrived: fhirbridge sync status says why")
        if stay:
            self._say_where(service, page or ehr)
        else:
            printing.words("\nTo look around in it yourself: .venv/bin/fhirbridge demo --keep")
            printing.words('Then: README.md, "Your own clinic".')

    def wait(self) -> None:
        """Wait for the servers."""
        for server in self._servers:
            server.wait()

    def _token(self) -> str:
        kept = self._home / "token"
        if not kept.exists():
            secret = self._fhirbridge("init").decode().strip()
            kept.touch(mode=0o600)
            kept.write_text(secret, encoding="ascii")
        return kept.read_text(encoding="ascii")

    def _destination(self, ehr: str, networks: tuple[str, ...]) -> None:
        known = codec.decode(self._fhirbridge("destination", "list", "--json"))
        if any(one["name"] == "demo" for one in known):
            return
        reach = [word for network in networks for word in ("--network", network)]
        self._fhirbridge("destination", "add", "demo", ehr, "--test-patient", *reach)

    def _send_samples(self, service: str, token: str) -> None:
        samples = sorted(
            (one for one in files("fhirbridge.samples").iterdir() if one.name.endswith(".json")),
            key=str,
        )
        rows = [
            [sample.name, *self._post(service, token, sample.read_bytes())]
            for sample in _watched(samples, "sending")
        ]
        printing.words(
            f"3. Sent {len(rows)} session records, each by POST {service}/api/v1/sessions"
        )
        printing.table(
            "Session records", ["record", "answer", "state", "FHIR resources to send"], rows
        )

    def _post(self, service: str, token: str, body: bytes) -> list[Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        request = Request(
            method="POST", url=f"{service}/api/v1/sessions", headers=headers, body=body
        )
        answer = self._http.send(request, deadline_seconds=ASK_SECONDS)
        if not isinstance(answer, Response):
            raise click.ClickException(f"the service did not answer: {answer.reason}")
        receipt = codec.decode(answer.body)
        if answer.status >= 300:  # noqa: PLR2004  not a success
            raise click.ClickException(
                f"the service answered {answer.status}: {receipt.get('title', '')}"
            )
        planned = sum(one["send"]["count"] for one in receipt["destinations"])
        return [answer.status, receipt["state"], planned]

    def _sync(self) -> Any:
        return codec.decode(self._fhirbridge("sync", "run", "--json", accept=(0, 3)))

    def _show_holdings(self, synced: Any) -> None:
        rows = [[one["type"], one["resources"]] for one in synced["holdings"]["demo"]]
        printing.table("What the EHR holds now", ["FHIR type", "resources"], rows)

    def _say_where(self, service: str, look: str) -> None:
        home = self._home
        printing.words(f"\nLook at the EHR:  {look}")
        printing.words(f"Read the API:     {service}/api/docs   (the token is in {home / 'token'})")
        printing.words("Try next, in another terminal: change a vital sign in a copy of a sample,")
        printing.words(
            "raise its version, and see that only that Observation and the note are sent:"
        )
        printing.words(f"  export FHIRBRIDGE_HOME={home}")
        printing.words("  .venv/bin/fhirbridge ingest COPY.json; .venv/bin/fhirbridge sync run")

    def _start(self, *command: str) -> str:
        """Start a server of ours on a free port; return its address. It ends with the demo."""
        return self._stack.enter_context(self._running(command))

    @contextmanager
    def _running(self, command: tuple[str, ...]) -> Iterator[str]:
        ready = self._home / f"{command[0]}.address"
        ready.unlink(missing_ok=True)
        with (self._home / f"{command[0]}.log").open("wb") as output:
            words = [*_program(), *command, "--bind", LOCAL, "--ready-file", str(ready)]
            server = subprocess.Popen(words, env=self._environment, stdout=output, stderr=output)  # noqa: S603
        self._servers.append(server)
        try:
            yield _address(server, ready)
        finally:
            server.terminate()
            server.wait()

    def _fhirbridge(self, *words: str, accept: tuple[int, ...] = (0,)) -> bytes:
        done = subprocess.run(  # noqa: S603
            [*_program(), *words], env=self._environment, capture_output=True, check=False
        )
        if done.returncode not in accept:
            raise click.ClickException(f"fhirbridge {words[0]}: {done.stderr.decode().strip()}")
        return done.stdout


def _program() -> list[str]:
    return [sys.executable, "-m", "fhirbridge"]


def _address(server: subprocess.Popen[bytes], ready: Path) -> str:
    clock = SystemClock()
    until = clock.monotonic() + START_SECONDS
    while clock.monotonic() < until and server.poll() is None:
        if ready.exists() and (address := ready.read_text(encoding="ascii").strip()):
            return address
        clock.sleep(0.1)
    raise click.ClickException(f"a server did not start; see {ready.with_suffix('.log')}")


def _fresh_home(ehr: str | None) -> Path:
    """Return a new folder for the sandbox; for a given EHR the one used before.

    Its keys make the ids: with new ones the EHR would get a second copy of every patient.
    """
    parts = urlsplit(ehr or "")
    name = re.sub(r"[^a-z0-9]+", "-", f"{parts.netloc}{parts.path}".lower()).strip("-") or "sandbox"
    home = HOME / name
    if ehr is None and (home / MARK).exists():
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).touch()
    return home


def _watched(things: list[Any], what: str) -> Iterator[Any]:
    """Yield each thing, with a progress bar where somebody watches."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        yield from progress.track(things)
