"""A new folder of files: complete with its manifest, or not there at all."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec

MANIFEST = "manifest.json"
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


class FolderError(BridgeError):
    """A folder cannot be made as asked; nothing of it is there."""

    code = "E807"


class Folder:
    """Takes files one by one, and notes size and SHA-256 of each for the manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path  # as long as it is being filled
        self.files: list[dict[str, Any]] = []
        self._begun: list[Rows] = []

    def write(self, name: str, raw: bytes) -> None:
        """Add one file; `name` may lie in a folder of its own."""
        self._write(name, [raw])

    def lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add one file of a JSON object a line (NDJSON)."""
        self._write(name, (codec.encode(dict(row)) + b"\n" for row in rows), counts_rows=True)

    def read(self, name: str) -> bytes:
        """Return one file as it was added."""
        return (self.path / name).read_bytes()

    def manifest(self, said: Mapping[str, Any]) -> str:
        """Add the manifest, which names every other file; return its SHA-256."""
        files = sorted(self.files, key=lambda one: str(one["name"]))
        self.write(MANIFEST, codec.encode({**said, "files": files}) + b"\n")
        return str(self.files[-1]["sha256"])

    def begin(self, name: str) -> "Rows":
        """Begin a file of rows that grows beside others; it counts once it is ended."""
        self._begun.append(Rows(self._open(name), name))
        return self._begun[-1]

    def end(self, rows: "Rows") -> None:
        """Note a file of rows for the manifest; nothing is added to it any more."""
        self._begun.remove(rows)
        self.files.append(rows.close())

    def abandon(self) -> None:
        """Close what was begun and not ended."""
        for rows in self._begun:
            rows.abandon()

    def _write(self, name: str, parts: Iterable[bytes], *, counts_rows: bool = False) -> None:
        rows = self.begin(name)
        for part in parts:
            rows.add(part)
        self.end(rows)
        if not counts_rows:
            del self.files[-1]["rows"]

    def _open(self, name: str) -> BinaryIO:
        path = self.path / name
        path.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        return os.fdopen(opened, "wb")


class Rows:
    """A file of a folder that is being written; it knows its size, SHA-256 and rows so far."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.count = self.size = 0
        self._file = file
        self._digest = hashlib.sha256()

    def add(self, row: bytes) -> None:
        """Add one row as it is: with its end of line."""
        self._file.write(row)
        self._digest.update(row)
        self.size, self.count = self.size + len(row), self.count + 1

    def abandon(self) -> None:
        """Let go of the file, which nobody will read."""
        self._file.close()

    def close(self) -> dict[str, Any]:
        """Have it on the disk; return what the manifest says of it."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        said = {"name": self.name, "bytes": self.size, "sha256": self._digest.hexdigest()}
        return {**said, "rows": self.count}


@contextmanager
def made(target: Path) -> Iterator[Folder]:
    """Give a folder to fill; it gets its name at the end, and only if all went well.

    What a killed one left beside it (`.NAME.part`) is removed first. Raises FolderError.
    """
    place = target.absolute()
    if place.is_symlink() or place.exists():
        raise FolderError(f"{target.name} is there already", hint="name a new folder")
    part = place.with_name(f".{place.name}.part")
    try:
        with _alone(part):
            out = Folder(part)
            try:
                yield out
            finally:
                out.abandon()
            for folder in (*part.iterdir(), part):
                if folder.is_dir():
                    _sync(folder)
            part.rename(place)
            _sync(place.parent)
    except OSError as error:
        raise FolderError(
            f"{target.name} cannot be written: {error.strerror or 'no reason given'}",
            hint="name a new folder where there is space and where you may write",
        ) from error


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Empty the folder and keep it for this process; a process that dies keeps nothing."""
    part.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    opened = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError("another process makes this folder just now") from None
        try:
            _empty(part)
            yield
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    finally:
        os.close(opened)


def _empty(part: Path) -> None:
    for one in part.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
