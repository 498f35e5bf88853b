"""From settings to a working bridge: the one place that chooses adapters and reads key files."""

import os
from http import HTTPStatus
from ipaddress import ip_network
from pathlib import Path

from fhirbridge.access.tokens import Role
from fhirbridge.alerts.book import Tell
from fhirbridge.alerts.command import AlertCommand, nobody
from fhirbridge.bridge import Bridge
from fhirbridge.clock import Clock, SystemClock
from fhirbridge.deliver import worker
from fhirbridge.destinations import modes
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Transport
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.ehr.rest import Ehr, is_loopback
from fhirbridge.errors import BridgeError
from fhirbridge.house import Parts
from fhirbridge.intake.live import LiveSet
from fhirbridge.intake.rooms import Quarantine
from fhirbridge.records.source_schema import source_schema
from fhirbridge.rng import Rng, SystemRng
from fhirbridge.settings import Settings, foreign_environment
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import KEY_BYTES, KeyMismatchError, Vault
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.translate.values import Site

PRIVATE = 0o600
OTHERS = 0o077


class KeyFileError(BridgeError):
    """A key file is missing, open to others, or not a key."""

    code = "E802"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class AlreadyThereError(BridgeError):
    """There is a bridge in this folder already."""

    code = "E803"


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


def initialise(settings: Settings, *, clock: Clock | None = None, rng: Rng | None = None) -> str:
    """Make keys, database and the first token (role admin); return it. Overwrites no key."""
    chance = rng or SystemRng()
    if settings.master_key_file.exists() or settings.site_key_file.exists():
        raise _has_keys()
    if _is_made(settings.database_url):
        raise AlreadyThereError(
            "there is a database already, without its keys; nothing was changed",
            hint="put back its key files: what it holds cannot be read with others",
        )
    # Before anything is made: a set with mistakes must not leave half an installation behind.
    files = mapping_set.read(settings.mappings)
    mapping_set.compile_all(files, source_schema())
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (settings.master_key_file, settings.site_key_file):
        _write_key(path, chance.token(KEY_BYTES))
    bridge, store, vault, site_key = _build(settings, clock or SystemClock(), chance)
    store.create()
    with store.begin() as tx:
        vault.note_fingerprints(tx, site_key=site_key)
    bridge.start_mappings(files, actor="init")
    secret = bridge.make_token(name="first", role=Role.ADMIN, actor="init")
    bridge.close()
    return secret


def _has_keys() -> AlreadyThereError:
    return AlreadyThereError(
        "there are keys already; nothing was changed",
        hint="remove them only together with their database",
    )


def _is_made(database_url: str) -> bool:
    store = Store(database_url)
    try:
        return store.is_made()
    finally:
        store.close()


def _build(settings: Settings, clock: Clock, rng: Rng) -> tuple[Bridge, Store, Vault, bytes]:
    vault = Vault(_read_key(settings.master_key_file), rng)
    site_key = _read_key(settings.site_key_file)
    store = Store(settings.database_url)
    transports: dict[tuple[object, ...], Transport] = {}

    def ehr_for(destination: Destination) -> Ehr:
        # Not by its name alone: the next one of that name may lie in another network.
        way = (destination.name, destination.base_url, destination.networks)
        if way not in transports:
            transports[way] = _transport(destination, settings, clock)
        return Ehr(
            base_url=destination.base_url,
            transport=transports[way],
            batches=modes.reads_in_batches(destination.traits),
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
    )
    return Bridge(parts), store, vault, site_key


def _transport(destination: Destination, settings: Settings, clock: Clock) -> Transport:
    policy = NetworkPolicy(
        allow_loopback=is_loopback(destination.base_url),
        allowed=tuple(ip_network(one) for one in destination.networks),
    )
    return HttpTransport(
        allowed=policy, clock=clock, resolver=SystemResolver(), ca_file=settings.ca_file
    )


def _way_to_tell(settings: Settings) -> Tell:
    if not settings.alert_command:
        return nobody
    return AlertCommand(words=settings.alert_command, environment=foreign_environment())


def local_transport() -> Transport:
    """Return a way to this machine only: how the demo talks to the servers that it started."""
    allowed = NetworkPolicy(allow_loopback=True)
    return HttpTransport(allowed=allowed, clock=SystemClock(), resolver=SystemResolver())


def _read_key(path: Path) -> bytes:
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


def _write_key(path: Path, key: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:  # another process makes the same bridge just now
        raise _has_keys() from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
