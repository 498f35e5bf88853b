"""A folder into which a system drops files: what may be taken from it, and where it goes after.

Everything is done by file descriptors of the folder: a name leads nowhere else. One process at a
time works in a folder. A file is moved only after its result is there whole, so that whoever is
killed does it once more, and finds that it is done.
"""

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fhirbridge.errors import BridgeError

LOCK = ".fhirbridge-ingest.lock"
RESULT = ".result.json"
DONE, FAILED = "done", "failed"
MOST_BYTES = 1_000_000_000  # of one file
PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FolderError(BridgeError):
    """The folder cannot be used."""

    code = "E246"


class Look(NamedTuple):
    """A file as it lies there: unchanged where two looks are equal."""

    name: str
    inode: int
    size: int
    changed: int


class Folder:
    """A folder that is locked for this process while it is open."""

    def __init__(self, descriptor: int) -> None:
        self._here = descriptor

    def look(self, endings: tuple[str, ...]) -> set[Look]:
        """Return the files that may be taken: plain ones with one of the endings.

        No links, devices, folders, results, hidden or overlarge files.
        """
        found = set()
        for name in os.listdir(self._here):  # noqa: PTH208  Path takes no descriptor
            if name.startswith(".") or name.endswith(RESULT) or not name.endswith(endings):
                continue
            with suppress(FileNotFoundError):
                seen = os.stat(name, dir_fd=self._here, follow_symlinks=False)
                if stat.S_ISREG(seen.st_mode) and seen.st_size <= MOST_BYTES:
                    found.add(_look(name, seen))
        return found

    @contextmanager
    def reading(self, seen: Look) -> Iterator[BinaryIO]:
        """Open a file that still is as it was seen. Raises FileNotFoundError where it is not."""
        with os.fdopen(os.open(seen.name, _READ, dir_fd=self._here), "rb") as file:
            if _look(seen.name, os.fstat(file.fileno())) != seen:
                raise FileNotFoundError(errno.ENOENT, "it changed")
            yield file

    def is_as_seen(self, seen: Look) -> bool:
        """Say whether the name still leads to the same file, unchanged."""
        try:
            now = os.stat(seen.name, dir_fd=self._here, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return _look(seen.name, now) == seen

    @contextmanager
    def writing_result(self, name: str) -> Iterator[BinaryIO]:
        """Write the result of a file: there whole at the end of it, or not at all."""
        unwritten = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}{RESULT}"
        with suppress(FileNotFoundError):
            os.unlink(unwritten, dir_fd=self._here)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(unwritten, flags, PRIVATE, dir_fd=self._here)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unwritten, name + RESULT, src_dir_fd=self._here, dst_dir_fd=self._here)
        os.fsync(self._here)

    def move(self, name: str, into: str, digest: str) -> None:
        """Move a file into `done` or `failed`; what has its name there and is another one stays."""
        with suppress(FileExistsError):
            os.mkdir(into, PRIVATE_FOLDER, dir_fd=self._here)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            there = os.open(into, flags, dir_fd=self._here)
        except OSError as error:
            raise FolderError(
                f"{into} is no folder that can be used", hint="take away what has its name"
            ) from error
        try:
            target = name if _is_free(there, name) else f"{digest[:16]}-{name}"
            os.replace(name, target, src_dir_fd=self._here, dst_dir_fd=there)
            os.fsync(there)
            os.fsync(self._here)
        finally:
            os.close(there)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Lock a folder for this process. Raises FolderError where another one has it."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    here = os.open(path, flags)
    try:
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE, dir_fd=here)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Folder(here)
        except BlockingIOError:
            raise FolderError(
                "another ingest is at work in this folder", hint="one is enough; let it go on"
            ) from None
        finally:
            os.close(lock)
    except OSError as error:
        raise FolderError(f"the folder cannot be used: {error.strerror}") from None
    finally:
        os.close(here)


def _look(name: str, seen: os.stat_result) -> Look:
    return Look(name, seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _is_free(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False
