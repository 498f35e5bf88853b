"""A backup is a folder: the database, the two keys sealed by a passphrase, and a manifest.

It is there whole or not at all, and put back only where it is as it was written.
"""

import hashlib
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fhirbridge import __version__, opening
from fhirbridge.clock import SystemClock
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, SystemRng
from fhirbridge.settings import Settings
from fhirbridge.store import copying, moment
from fhirbridge.store.engine import Store
from fhirbridge.store.room import JOURNALS
from fhirbridge.store.sealed import fingerprint

DATABASE = "fhirbridge.db"
KEYS = "keys.sealed"
MANIFEST = "manifest.json"
FORM = "fhirbridge/backup/v1"
LEAST_PASSPHRASE = 16  # bytes
SALT_BYTES = 16
# 128 MiB and about half a second for one guess.
COST = {"n": 2**17, "r": 8, "p": 1}


class BackupError(BridgeError):
    """A backup cannot be written or put back; nothing was changed."""

    code = "E806"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    form: str
    made_at: str
    software: str
    files: dict[str, str]  # name to SHA-256 in hex
    rows: dict[str, int]  # of each table
    keys: dict[str, str]  # "master", "site" to fingerprint


def write(settings: Settings, folder: Path, passphrase: bytes | None) -> Manifest:
    """Make the new folder `folder`. Without a passphrase the keys are not in it.

    Raises BackupError, and what opening raises.
    """
    check_wishes(folder, passphrase)
    keys = _keys(settings)
    store = _opened(settings)
    part = folder.with_name(folder.name + ".part")
    with _told(part, "remove what an earlier backup left there, and see that it can be written"):
        part.mkdir(mode=0o700)
    try:
        with _told(part, "make space, then try again"):
            manifest = _fill(part, store, keys, passphrase)
            part.rename(folder)
            copying.sync(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        store.close()
    return manifest


def _fill(part: Path, store: Store, keys: dict[str, bytes], passphrase: bytes | None) -> Manifest:
    rng = SystemRng()
    copying.copy(store, part / DATABASE, rng)
    if passphrase is not None:
        (part / KEYS).write_bytes(_seal(keys, passphrase, rng))
    manifest = Manifest(
        form=FORM,
        made_at=moment.to_text(SystemClock().now()),
        software=__version__,
        files={one.name: _sha256(one) for one in sorted(part.iterdir())},
        rows=copying.counts(part / DATABASE),
        keys={name: fingerprint(key) for name, key in keys.items()},
    )
    (part / MANIFEST).write_bytes(codec.encode(asdict(manifest)))
    for one in (*part.iterdir(), part):
        copying.sync(one)
    return manifest


def restore(settings: Settings, folder: Path, passphrase: bytes | None) -> Manifest:
    """Put a backup where the settings say; overwrite nothing. Raises BackupError.

    The keys come from the backup, or lie where the settings say already.
    """
    manifest = check(folder)
    target = _target(settings)
    keys = _keys_for(settings, folder, manifest, passphrase)
    part = target.with_name(target.name + ".part")
    with _told(part, "make space, and see that the folder can be written"):
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(folder / DATABASE, part)
        part.chmod(0o600)
        copying.sync(part)
        for path, key in keys.items():
            opening.write_key(path, key)
        part.rename(target)  # last: until then there is no database to start with
        copying.sync(target.parent)
    return manifest


def check(folder: Path) -> Manifest:
    """Read a backup and see that it is as it was written. Raises BackupError."""
    try:
        said = codec.decode((folder / MANIFEST).read_bytes())
        manifest = Manifest(**said)
    except (OSError, BridgeError, TypeError, AttributeError) as error:
        raise _no_backup(folder, "it has no manifest that can be read") from error
    if manifest.form != FORM:
        raise _no_backup(folder, "it has another form")
    there = {one.name for one in folder.iterdir()} - {MANIFEST}
    if there != manifest.files.keys():
        raise _no_backup(folder, "files were added or removed")
    for name, digest in manifest.files.items():
        if _sha256(folder / name) != digest:
            raise _no_backup(folder, f"{name} was changed")
    if copying.counts(folder / DATABASE) != manifest.rows:
        raise _no_backup(folder, "the database has other rows than it had")
    return manifest


@contextmanager
def _told(path: Path, hint: str) -> Iterator[None]:
    """Tell what the disk refuses in our words."""
    try:
        yield
    except OSError as error:
        why = error.strerror or "no reason given"
        raise BackupError(f"{path.name} cannot be written: {why}", hint=hint) from error


def _no_backup(folder: Path, why: str) -> BackupError:
    return BackupError(
        f"{folder.name} is no backup that can be trusted: {why}", hint="use another backup"
    )


def check_wishes(folder: Path, passphrase: bytes | None) -> None:
    """Refuse what cannot be done, before anything is noted or written. Raises BackupError."""
    if folder.exists():
        raise BackupError(f"{folder.name} is there already", hint="name a folder that is not")
    if passphrase is not None and len(passphrase) < LEAST_PASSPHRASE:
        raise BackupError(
            f"the passphrase has fewer than {LEAST_PASSPHRASE} characters",
            hint="it guards every chart: openssl rand -base64 33 > FILE",
        )


def _opened(settings: Settings) -> Store:
    store = Store(settings.database_url)
    copying.file_of(store)
    store.check()
    return store


def _target(settings: Settings) -> Path:
    store = Store(settings.database_url)
    try:
        target = copying.file_of(store)
    finally:
        store.close()
    for ending in JOURNALS:  # a journal would be applied to what is put beside it
        there = target.with_name(target.name + ending)
        if there.exists():
            raise BackupError(
                f"there is a database already: {there.name}",
                hint=f"end fhirbridge and move all {target.name}* away; nothing is overwritten",
            )
    return target


def _files(settings: Settings) -> dict[str, Path]:
    return {
        "master": settings.master_key_file,
        "site": settings.site_key_file,
        "evidence": settings.evidence_key_file,
    }


def _keys(settings: Settings) -> dict[str, bytes]:
    files = _files(settings)
    if not files["evidence"].exists():  # as on a host that signs nothing
        del files["evidence"]
    return {name: opening.read_key(path) for name, path in files.items()}


def _keys_for(
    settings: Settings, folder: Path, manifest: Manifest, passphrase: bytes | None
) -> dict[Path, bytes]:
    """Return the keys that are to be written; those that are there must be the right ones."""
    files = {name: path for name, path in _files(settings).items() if name in manifest.keys}
    missing = {name: path for name, path in files.items() if not path.exists()}
    there = {name: path for name, path in files.items() if name not in missing}
    for name, path in there.items():
        if fingerprint(opening.read_key(path)) != manifest.keys[name]:
            raise BackupError(
                f"{path.name} is another key than the backup was made with",
                hint="move it away, or put the right one there",
            )
    if not missing:
        return {}
    if KEYS not in manifest.files or passphrase is None:
        raise BackupError(
            "the keys are missing",
            hint=f"put {', '.join(path.name for path in missing.values())} in place first, "
            "or name the passphrase file of a backup that has them",
        )
    sealed = _unseal((folder / KEYS).read_bytes(), passphrase)
    if {name: fingerprint(key) for name, key in sealed.items()} != manifest.keys:
        raise BackupError("the keys in it are not its own", hint="use another backup")
    return {path: sealed[name] for name, path in missing.items()}


def _seal(keys: dict[str, bytes], passphrase: bytes, rng: Rng) -> bytes:
    salt = rng.token(SALT_BYTES)
    plain = codec.encode({name: key.hex() for name, key in keys.items()})
    return salt + _lock(passphrase, salt).encrypt(plain)


def _unseal(sealed: bytes, passphrase: bytes) -> dict[str, bytes]:
    try:
        plain = _lock(passphrase, sealed[:SALT_BYTES]).decrypt(sealed[SALT_BYTES:])
    except (InvalidToken, InvalidSignature):
        raise BackupError(
            "the passphrase does not open the keys", hint="use the one of that day"
        ) from None
    found: dict[str, Any] = codec.decode(plain)
    return {name: bytes.fromhex(text) for name, text in found.items()}


def _lock(passphrase: bytes, salt: bytes) -> Fernet:
    derived = Scrypt(salt=salt, length=32, **COST).derive(passphrase)
    return Fernet(urlsafe_b64encode(derived))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
