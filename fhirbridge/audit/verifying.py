"""Checks a package of evidence: offline, with the public key alone. Touches no database.

What is checked, in this order, and the first fault ends it:
1. the manifest is signed by a trusted key, and every file is as it says: none more, none less;
2. the checkpoint is signed by a trusted key; where an older one is given, the log only grew;
3. each evidence row is as it was when it got its place, each payload is the row's;
4. of an export of resources: a row of the log names these very bytes, each resource is in the
   index, and its record and its delivery are in the log.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fhirbridge.audit import notes, signatures, tree
from fhirbridge.audit.log import LEAF_FIELDS, leaf_hash
from fhirbridge.audit.notes import Checkpoint, NoteError, Verifier
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec

MANIFEST, SIGNATURE = "manifest.json", "manifest.jws"
CHECKPOINT, EVIDENCE, GROWN = "checkpoint.txt", "evidence.ndjson", "consistency.ndjson"
KEYS = "keys.txt"
PROOFS = (EVIDENCE, CHECKPOINT, GROWN, KEYS)  # the rest of an export is what is handed over
WHOLE = "fhirbridge/evidence/v1"  # every row up to the checkpoint
RESOURCES = "fhirbridge/export/v1"
SCRUBBED = "fhirbridge/scrubbed/v1"  # without identifiers, so without an index
INDEX, OF_RESOURCES = "index.ndjson", "resources/"
EXPORTED = "resources.exported"
LARGEST_MANIFEST = 100_000_000
TRUSTED = re.compile(r"(\S+)(?: compromised (\S+))?")


class UnprovenError(BridgeError):
    """The package is not what was signed; the text names the first file or row that is not."""

    code = "E963"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """A key that the reader has from elsewhere, and since when somebody else may have it too."""

    key: Verifier
    compromised_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What was found sound."""

    origin: str
    size: int
    at: str  # of the checkpoint
    signed_by: str
    files: int
    rows: int
    later: int  # rows that the package holds and its checkpoint does not know yet
    erased: int  # rows whose payload is gone for good
    grown_from: tuple[int, ...]  # the older checkpoints that it was compared with


def trusted(text: str) -> list[Trusted]:
    """Read a file of verifier keys, one a line; `#` begins a comment. Raises NoteError."""
    found = []
    for line in text.splitlines():
        if not (bare := line.partition("#")[0].strip()):
            continue
        said = TRUSTED.fullmatch(bare)
        if said is None:
            raise NoteError(
                "a line is no verifier key", hint="NAME+ID+KEY, or NAME+ID+KEY compromised TIME"
            )
        found.append(Trusted(key=notes.verifier(said[1]), compromised_at=said[2] or ""))
    if not found:
        raise NoteError("no verifier key is given", hint="fhirbridge audit key show")
    return found


def verify(package: Path, keys: Sequence[Trusted], older: Sequence[str] = ()) -> Proven:
    """Check a package folder; `older` are checkpoints that were kept elsewhere.

    Raises UnprovenError at the first fault, NoteError where one of `older` is no checkpoint.
    """
    if not package.is_dir():
        raise UnprovenError(f"{package.name} is no folder", hint="unpack it first")
    said = _manifest(package, keys)
    listed = _files(package, said)
    checkpoint, by = _checkpoint(_read(package, CHECKPOINT), keys)
    rows = _Rows(package, checkpoint, whole=said.get("format") == WHOLE)
    rows.check()
    if said.get("format") in (RESOURCES, SCRUBBED) and content(listed) not in rows.exported:
        raise _bad("no row of the log says that this was handed over")
    if said.get("format") == RESOURCES:
        _check_resources(package, listed, rows)
    grown = _grown(package, checkpoint, older, keys, rows)
    return Proven(
        origin=checkpoint.origin,
        size=checkpoint.size,
        at=checkpoint.at,
        signed_by=by,
        files=len(listed),
        rows=rows.count,
        later=rows.later,
        erased=rows.erased,
        grown_from=grown,
    )


def _manifest(package: Path, keys: Sequence[Trusted]) -> dict[str, Any]:
    raw = _read(package, MANIFEST)
    try:
        signature = _read(package, SIGNATURE).decode("ascii")
        said = codec.decode(raw)
    except (UnicodeDecodeError, BridgeError) as error:
        raise _bad(f"{MANIFEST} or {SIGNATURE} cannot be read") from error
    by = signatures.signer(signature, raw, [one.key for one in keys])
    if by is None:
        raise _bad(f"{MANIFEST} is not signed by a key that you trust, or was changed")
    if not isinstance(said, dict):
        raise _bad(f"{MANIFEST} cannot be read")
    made_at = str(said.get("made_at"))
    _refuse_late(next(one for one in keys if one.key == by), made_at, MANIFEST)
    return said


def _files(package: Path, said: dict[str, Any]) -> list[dict[str, Any]]:
    listed = said.get("files")
    if not isinstance(listed, list):
        raise _bad(f"{MANIFEST} names no files")
    names = [one["name"] for one in listed]
    for one in sorted(package.rglob("*")):
        name = one.relative_to(package).as_posix()
        if one.is_symlink() or not (one.is_file() or one.is_dir()):
            raise _bad(f"{name} is no plain file")
        if one.is_file() and name not in (*names, MANIFEST, SIGNATURE):
            raise _bad(f"{name} is not in the manifest: it was added or renamed")
    for one in listed:
        path = package / one["name"]
        if not path.is_file():
            raise _bad(f"{one['name']} is missing: it was removed or renamed")
        if path.stat().st_size != one["bytes"] or _sha256(path) != one["sha256"]:
            raise _bad(f"{one['name']} was changed")
    return listed


def _checkpoint(raw: bytes, keys: Sequence[Trusted]) -> tuple[Checkpoint, str]:
    try:
        said, by = notes.opened(raw.decode(), [one.key for one in keys])
    except UnicodeDecodeError:
        raise _bad("a checkpoint is no text") from None
    if not by:
        raise _bad("a checkpoint is not signed by a key that you trust, or was changed")
    for one in keys:  # one key that is sound is enough
        if one.key.id in by and (not one.compromised_at or said.at < one.compromised_at):
            return said, one.key.id
    raise _bad("a checkpoint is signed only by a key that somebody else may have had by then")


def _refuse_late(key: Trusted, at: str, what: str) -> None:
    if key.compromised_at and at >= key.compromised_at:
        raise _bad(f"{what} is signed by a key that somebody else may have had by then")


class _Rows:
    """Reads the evidence rows once, and keeps of the tree what is needed."""

    def __init__(self, package: Path, checkpoint: Checkpoint, *, whole: bool) -> None:
        self._package = package
        self._checkpoint = checkpoint
        self._whole = whole
        self._nodes: dict[tuple[int, int], bytes] = {}
        self.count = self.later = self.erased = 0
        self.about: set[str] = set()  # ids of records and deliveries of which there is a row
        self.exported: set[str] = set()  # what was handed over, as rows of the log say it

    def check(self) -> None:
        """Read every row. Raises UnprovenError at the first that is not as it was."""
        for line, row in _lines(self._package / EVIDENCE):
            self.count += 1
            where = f"{EVIDENCE} line {line} ({row.get('id')})"
            leaf = self._leaf(row, where)
            if self._whole:
                self._add(row, leaf, where)
            elif row.get("number") is None:
                self.later += 1
            else:
                self._prove(row, leaf, where)
                self._note(row)
        if self._whole and self._root(self.count) != self._checkpoint.root:
            raise _bad(f"{EVIDENCE} holds other rows than the checkpoint was made of")

    def root(self, size: int) -> bytes | None:
        """Return the root of the first `size` rows; None where not all rows are here."""
        return self._root(size) if self._whole and size <= self.count else None

    def _leaf(self, row: dict[str, Any], where: str) -> bytes:
        try:
            fields = {name: row[name] for name in LEAF_FIELDS}
            leaf = leaf_hash(bytes.fromhex(row["salt"]), fields)
        except (KeyError, ValueError, TypeError):
            raise _bad(f"{where} lacks what its leaf is made of") from None
        if leaf != row.get("leaf"):
            raise _bad(f"{where} was changed")
        if "payload" in row:
            salted = bytes.fromhex(row["payload_salt"]) + _read(self._package, row["payload"])
            if hashlib.sha256(salted).hexdigest() != row["payload_digest"]:
                raise _bad(f"{row['payload']} is not what {where} keeps")
        self.erased += row.get("erased") is True
        return bytes.fromhex(leaf)

    def _add(self, row: dict[str, Any], leaf: bytes, where: str) -> None:
        if row.get("number") != self.count - 1 or self.count > self._checkpoint.size:
            raise _bad(f"{where} is not where it belongs: a row was put in, removed or moved")
        for level, index, digest in tree.completed(self.count - 1, leaf, self._node):
            self._nodes[level, index] = digest

    def _prove(self, row: dict[str, Any], leaf: bytes, where: str) -> None:
        proof = [bytes.fromhex(one) for one in row.get("inclusion", ())]
        size = self._checkpoint.size
        if tree.root_of_inclusion(leaf, row["number"], size, proof) != self._checkpoint.root:
            raise _bad(f"{where} is not in the log that was signed")

    def _note(self, row: dict[str, Any]) -> None:
        self.about |= {row["record_id"], row["delivery_id"]}
        if row["action"] == EXPORTED:
            said = codec.decode(row["detail"].encode())
            self.exported.add(str(said.get("content")))

    def _node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]

    def _root(self, size: int) -> bytes:
        return tree.root(size, self._node)


def content(listed: Iterable[Mapping[str, Any]]) -> str:
    """Return one SHA-256 for all that an export hands over: of its files, as sha256sum has them."""
    lines = sorted(f"{one['sha256']}  {one['name']}\n" for one in listed if _is_handed_over(one))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _is_handed_over(listed: Mapping[str, Any]) -> bool:
    return listed["name"] not in PROOFS


def _check_resources(package: Path, listed: list[dict[str, Any]], rows: _Rows) -> None:
    """Check that the log knows each resource's record and delivery."""
    if not any(one["name"] == INDEX for one in listed):
        raise _bad(f"{INDEX} is missing")
    reading = _Reading(package)
    with reading.files:
        for line, row in _lines(package / INDEX):
            where = f"{INDEX} line {line}"
            if reading.sha256(str(row.get("file")), row.get("line")) != row.get("sha256"):
                raise _bad(f"{where} is not of the resource that it names")
            about = {row.get("record_id"), row.get("delivery") or row.get("record_id")}
            if not about <= rows.about:
                raise _bad(f"{where}: the log has no row of its record or its delivery")
        there = {one["name"] for one in listed if one["name"].startswith(OF_RESOURCES)}
        if reading.unread() or there != reading.names:
            raise _bad(f"{INDEX} does not name every resource")


class _Reading:
    """Reads files of resources line by line, as the index names them: in their order."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._open: dict[str, tuple[BinaryIO, int]] = {}
        self.files = ExitStack()

    @property
    def names(self) -> set[str]:
        """Return which files were read."""
        return {*self._open}

    def sha256(self, name: str, line: Any) -> str:
        """Return the SHA-256 of the next line of a file; "" where another one is meant."""
        if name not in self._open:
            path = self._package / name
            if not name.startswith(OF_RESOURCES) or ".." in name or not path.is_file():
                return ""
            self._open[name] = (self.files.enter_context(path.open("rb")), 0)
        file, before = self._open[name]
        self._open[name] = (file, before + 1)
        raw = file.readline()
        return hashlib.sha256(raw[:-1]).hexdigest() if raw and line == before + 1 else ""

    def unread(self) -> bool:
        """Say whether any file has lines left."""
        return any(file.read(1) for file, _ in self._open.values())


def _grown(
    package: Path,
    checkpoint: Checkpoint,
    older: Sequence[str],
    keys: Sequence[Trusted],
    rows: _Rows,
) -> tuple[int, ...]:
    """Check that each older log is how this one begins."""
    proofs = {}
    if (package / GROWN).exists():
        proofs = {row["size"]: row["proof"] for _, row in _lines(package / GROWN)}
    found = []
    for note in older:
        before, _ = _checkpoint(note.encode(), keys)
        if before.origin != checkpoint.origin:
            raise _bad("the older checkpoint is of another log")
        if before.size > checkpoint.size:
            raise _bad(
                f"the older checkpoint knows {before.size} rows, this one {checkpoint.size}: "
                "the end of the log was cut off"
            )
        again = rows.root(before.size)
        if again is None:
            proof = [bytes.fromhex(one) for one in proofs.get(before.size, ())]
            is_so = tree.is_consistent(
                before.size, before.root, checkpoint.size, checkpoint.root, proof
            )
        else:
            is_so = again == before.root
        if not is_so:
            raise _bad(
                f"the log is not the one that was signed at {before.at} with {before.size} rows: "
                "rows before it were changed"
            )
        found.append(before.size)
    return tuple(found)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                row = codec.decode(raw)
            except BridgeError:
                row = None
            if not isinstance(row, dict):
                raise _bad(f"{path.name} line {number} is no JSON object")
            yield number, row


def _read(package: Path, name: str) -> bytes:
    path = package / name
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_MANIFEST:
        raise _bad(f"{name} is missing, no plain file or too large")
    return path.read_bytes()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bad(what: str) -> UnprovenError:
    return UnprovenError(what, hint="do not rely on this package; ask who made it for another copy")
