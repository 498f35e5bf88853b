"""From settings to a working bridge: the one place that chooses adapters and reads key files."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from ipaddress import ip_network
from pathlib import Path

from fhirbridge import tracing
from fhirbridge.access.tokens import Role
from fhirbridge.alerts.book import Tell
from fhirbridge.alerts.command import AlertCommand, nobody
from fhirbridge.bridge import Bridge
from fhirbridge.clock import Clock, SystemClock
from fhirbridge.deliver import worker
from fhirbridge.destinations import modes, registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Transport
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.egress.way import Way
from fhirbridge.ehr.rest import Ehr, is_loopback
from fhirbridge.errors import BridgeError
from fhirbridge.house import Parts
from fhirbridge.intake.live import LiveSet
from fhirbridge.intake.rooms import Quarantine
from fhirbridge.outbox.waking import Bell, Waking
from fhirbridge.records.source_schema import source_schema
from fhirbridge.rng import Rng, SystemRng
from fhirbridge.settings import Settings, foreign_environment
from fhirbridge.signin.book import Book
from fhirbridge.signin.keys import Keys
from fhirbridge.signin.tokens import Tokens
from fhirbridge.signin.transport import Rooms as SigningRooms
from fhirbridge.signin.transport import SignedIn
from fhirbridge.store import room
from fhirbridge.store.engine import Store
from fhirbridge.store.jobs import Jobs
from fhirbridge.store.room import MEGABYTE, Disk
from fhirbridge.store.sealed import KEY_BYTES, KeyMismatchError, Vault
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.translate.values import Site

PRIVATE = 0o600
OTHERS = 0o077
UNFINISHED = "init.unfinished"
PRIVATE_NETS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


class KeyFileError(BridgeError):
    """A key file is missing, open to others, or not a key."""

    code = "E802"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class AlreadyThereError(BridgeError):
    """There is a bridge in this folder already."""

    code = "E803"


class TracesError(BridgeError):
    """Traces are wanted and cannot be made."""

    code = "E809"


KEY_ERRORS = (KeyFileError, KeyMismatchError)


def open_bridge(
    settings: Settings, *, clock: Clock | None = None, rng: Rng | None = None
) -> Bridge:
    """Open what `initialise` made. Raises KeyFileError, KeyMismatchError or StoreError."""
    bridge, store, vault, site_key = _build(settings, clock or SystemClock(), rng or SystemRng())
    store.check()
    with store.begin() as tx:
        vault.check_fingerprints(tx, site_key=site_key)
    return bridge


def initialise(
    settings: Settings,
    *,
    hand_over: Callable[[str], None] = lambda _token: None,
    clock: Clock | None = None,
    rng: Rng | None = None,
) -> str:
    """Make keys, database and the first token (role admin); return it. Overwrites no key.

    One that was killed half way is continued, with the keys that it made. It has ended once
    `hand_over` took the token: killed before that, the next one makes another token.
    """
    unfinished = settings.home / UNFINISHED
    if not unfinished.exists():
        _refuse_what_is_there(settings)
    # Before anything is made: a set with mistakes must not leave half an installation behind.
    files = mapping_set.read(settings.mappings)
    mapping_set.compile_all(files, source_schema())
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(settings, unfinished):
        secret = _make(settings, files, clock or SystemClock(), rng or SystemRng())
        hand_over(secret)
    return secret


@contextmanager
def _alone(settings: Settings, unfinished: Path) -> Iterator[None]:
    """Mark that an installation is begun, and take the mark away at its end.

    Who is killed leaves the mark behind, but not its lock.
    """
    descriptor, is_first = _mark(unfinished)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_first:
            _refuse_what_is_there(settings)
        elif not os.fstat(descriptor).st_nlink:  # whoever had it came to its end meanwhile
            raise _has_keys()
        yield
        unfinished.unlink()
    except BlockingIOError:
        raise AlreadyThereError("another init is at work", hint="wait for its end") from None
    except AlreadyThereError:
        if is_first:
            unfinished.unlink()
        raise
    finally:
        os.close(descriptor)


def _mark(unfinished: Path) -> tuple[int, bool]:
    """Open the mark; say whether it was made just now."""
    try:
        return os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE), True
    except FileExistsError:
        pass
    try:
        return os.open(unfinished, os.O_RDWR), False
    except FileNotFoundError:
        raise _has_keys() from None


def _make(settings: Settings, files: Files, clock: Clock, rng: Rng) -> str:
    """Do each step that is not done yet: the keys are there before the database is."""
    keys = (settings.master_key_file, settings.site_key_file, settings.evidence_key_file)
    if not all(path.exists() for path in keys):
        _refuse_a_database(settings)
    for path in keys:
        _unwritten(path).unlink(missing_ok=True)
        if not path.exists():
            write_key(path, rng.token(KEY_BYTES))
    bridge, store, vault, site_key = _build(settings, clock, rng)
    try:
        store.create()
        store.check()
        with store.begin() as tx:
            vault.note_fingerprints(tx, site_key=site_key)
            vault.check_fingerprints(tx, site_key=site_key)
        bridge.start_mappings(files, actor="init")
        return bridge.make_token(name="first", role=Role.ADMIN, actor="init")
    finally:
        bridge.close()


def _refuse_what_is_there(settings: Settings) -> None:
    if settings.master_key_file.exists() or settings.site_key_file.exists():
        raise _has_keys()
    _refuse_a_database(settings)


def _refuse_a_database(settings: Settings) -> None:
    if _is_made(settings.database_url):
        raise AlreadyThereError(
            "there is a database already, without its keys; nothing was changed",
            hint="put back its key files: what it holds cannot be read with others",
        )


def _has_keys() -> AlreadyThereError:
    return AlreadyThereError(
        "there are keys already; nothing was changed",
        hint="remove them only together with their database; a token: fhirbridge token make",
    )


def _is_made(database_url: str) -> bool:
    store = Store(database_url)
    try:
        return store.is_made()
    finally:
        store.close()


def _build(settings: Settings, clock: Clock, rng: Rng) -> tuple[Bridge, Store, Vault, bytes]:
    vault = Vault(read_key(settings.master_key_file), rng)
    site_key = read_key(settings.site_key_file)
    store = Store(settings.database_url)
    wires = Wires(settings, clock)
    signing = SigningRooms(
        store=store,
        clock=clock,
        rng=rng,
        book=Book(vault=vault, clock=clock, rng=rng),
        keys=Keys(vault=vault, clock=clock),
        tokens=Tokens(store=store, vault=vault, clock=clock),
        connect=wires.connect,
        proxy=settings.proxy,
    )

    def ehr_for(destination: Destination) -> Ehr:
        registry.check_is_server(destination)
        return Ehr(
            base_url=destination.base_url,
            transport=SignedIn(signing, destination),
            batches=destination.reads_in_batches,
            guards=not modes.is_weak(destination.traits),
        )

    def compile_one(files: Files, overlay: str) -> MappingSet:
        return mapping_set.compile_set(files, source_schema(), overlay)

    parts = Parts(
        store=store,
        vault=vault,
        clock=clock,
        rng=rng,
        site=Site(host=settings.site, tenant=settings.tenant, key=site_key),
        source=source_schema,
        live=LiveSet(compile_one),
        ehr_for=ehr_for,
        quarantine=Quarantine(days=settings.quarantine_days, most=settings.quarantine_most),
        crew=worker.at_once,
        tell=_way_to_tell(settings),
        disk=disk_of(settings),
        seed=partial(read_key, settings.evidence_key_file),
        waking=_way_to_wake(store),
    )
    return Bridge(parts), store, vault, site_key


def _way_to_wake(store: Store) -> Waking:
    return Jobs(store) if store.engine.dialect.name == "postgresql" else Bell()


def disk_of(settings: Settings) -> Disk:
    """Return where the database lies; it need not be there yet."""
    return room.beside(settings.database_url, least=settings.least_free_mb * MEGABYTE)


class Wires:
    """The connections to each destination, kept open between requests."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Trust whom the settings name, where a destination does not name others."""
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str, tuple[str, ...], Way], HttpTransport] = {}

    def connect(self, destination: Destination, way: Way) -> Transport:
        """Return the transport to one destination by one way; the earlier ones are closed."""
        # Not by its name alone: the next one of that name may lie in another network.
        of_it = (destination.name, destination.base_url, destination.networks)
        key = (*of_it, way)
        with self._lock:
            if key not in self._open:
                self._open[key] = self._made(destination, way)
                for old in [one for one in self._open if one[:3] == of_it and one != key]:
                    self._open.pop(old).close()  # what is under way there ends as it may
            return self._open[key]

    def _made(self, destination: Destination, way: Way) -> HttpTransport:
        policy = NetworkPolicy(
            allow_loopback=is_loopback(destination.base_url),
            allowed=tuple(ip_network(one) for one in destination.networks),
        )
        return HttpTransport(
            allowed=policy,
            clock=self._clock,
            resolver=SystemResolver(),
            ca_file=self._settings.ca_file,
            way=way,
        )


def begin_traces(settings: Settings) -> None:
    """Send spans of this process to the collector that the settings name, if they do.

    Raises TracesError where the program was installed without them.
    """
    if not settings.traces:
        return
    try:
        from fhirbridge.egress.traces import Collector  # noqa: PLC0415  an extra, and heavy
    except ImportError:
        raise TracesError(
            "FHIRBRIDGE_TRACES is set and OpenTelemetry is not installed",
            hint="install fhirbridge[traces], or unset FHIRBRIDGE_TRACES",
        ) from None
    # An administrator named this one address, so it may lie in a private network.
    near = NetworkPolicy(
        allow_loopback=is_loopback(settings.traces), allowed=tuple(map(ip_network, PRIVATE_NETS))
    )
    transport = HttpTransport(
        allowed=near, clock=SystemClock(), resolver=SystemResolver(), ca_file=settings.ca_file
    )
    tracing.begin(Collector(settings.traces, transport))


def _way_to_tell(settings: Settings) -> Tell:
    if not settings.alert_command:
        return nobody
    return AlertCommand(words=settings.alert_command, environment=foreign_environment())


def local_transport() -> Transport:
    """Return a way to this machine only: how the demo talks to the servers that it started."""
    allowed = NetworkPolicy(allow_loopback=True)
    return HttpTransport(allowed=allowed, clock=SystemClock(), resolver=SystemResolver())


def read_key(path: Path) -> bytes:
    """Return the key in a file that only its owner may read. Raises KeyFileError."""
    try:
        mode = path.stat().st_mode
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise KeyFileError(
            f"there is no key file {path.name}", hint="run: fhirbridge init"
        ) from None
    except (OSError, ValueError):
        raise KeyFileError(
            f"the key file {path.name} cannot be read", hint="restore it from its backup"
        ) from None
    if mode & OTHERS:
        raise KeyFileError(
            f"the key file {path.name} is open to other users", hint=f"chmod 600 {path.name}"
        )
    if len(key) != KEY_BYTES or len(set(key)) == 1:
        raise KeyFileError(
            f"the key file {path.name} is not a key of 32 bytes", hint="restore it from its backup"
        )
    return key


def write_key(path: Path, key: bytes) -> None:
    """Write a new key file, mode 0600, whole or not at all. Raises AlreadyThereError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unwritten = _unwritten(path)
    descriptor = os.open(unwritten, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(unwritten, path)
    except FileExistsError:  # another process makes the same bridge just now
        raise _has_keys() from None
    finally:
        unwritten.unlink()


def make_key(path: Path) -> None:
    """Write a new key of 32 random bytes. Raises AlreadyThereError."""
    write_key(path, SystemRng().token(KEY_BYTES))


def _unwritten(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
